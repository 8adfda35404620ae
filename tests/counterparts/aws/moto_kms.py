"""moto, with its KMS put right where it is known to be wrong (5.2.5).

It loses the words of AccessDeniedException, which say that the ciphertext is of another key.
"""

import json
import sys

from moto.kms.exceptions import AccessDeniedException
from moto.server import main

without_words = AccessDeniedException.__init__


def with_words(error, message):
    without_words(error, message)
    error.description = json.dumps({"__type": "AccessDeniedException", "message": message})


AccessDeniedException.__init__ = with_words

if __name__ == "__main__":
    main(sys.argv[1:])
