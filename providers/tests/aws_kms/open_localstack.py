"""Opens a ciphertext of LocalStack (stdin) without LocalStack, by key and associated data (arguments, in hex).

Key id (36 bytes), IV (16), tag (16), AES-256-GCM of the plaintext in PKCS#7 padding.
"""

import sys

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.padding import PKCS7

key, associated_data = map(bytes.fromhex, sys.argv[1:])
blob = sys.stdin.buffer.read()
iv, tag, body = blob[36:52], blob[52:68], blob[68:]
unpadder = PKCS7(128).unpadder()
padded = AESGCM(key).decrypt(iv, body + tag, associated_data)
sys.stdout.buffer.write(unpadder.update(padded) + unpadder.finalize())
