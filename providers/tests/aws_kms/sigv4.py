"""Computes SigV4 signatures anew, with botocore: the first argument is the secret key, stdin has one request per line.

Ends with 0 when the signature of each request is good, and is not good for another body.
"""

import base64
import json
import re
import sys

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


def signature(request, secret, body):
    parts = re.match(
        r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request, ?SignedHeaders=([^,]+), ?Signature=(\w+)$",
        request["headers"]["authorization"],
    )
    key, region, service, signed, given = parts.groups()
    names = signed.split(";")
    assert {"host", "x-amz-date"} <= set(names), names
    headers = {name: request["headers"][name] for name in names}
    url = "http://" + request["headers"]["host"] + request["path"]
    again = AWSRequest(request["method"], url, headers, body)
    again.context["timestamp"] = request["headers"]["x-amz-date"]
    auth = SigV4Auth(Credentials(key, secret), service, region)
    return given, auth.signature(auth.string_to_sign(again, auth.canonical_request(again)), again)


for line in sys.stdin:
    request = json.loads(line)
    body = base64.b64decode(request["body"])
    given, computed = signature(request, sys.argv[1], body)
    _, of_another = signature(request, sys.argv[1], body + b" ")
    if given != computed or given == of_another:
        sys.exit(f"bad signature: {request['headers']['authorization']}")
