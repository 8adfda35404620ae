"""Signs what schemathesis sends for a device (docs/PROTOCOL.md), with cryptography alone.

Reads from the environment: KEYFOLD_URL, KEYFOLD_CA (a file), KEYFOLD_DEVICE (an id), KEYFOLD_DEVICE_KEY (P-256, PKCS#8 in hex).
"""

import base64
import json
import os

import requests
import schemathesis
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key

URL, DEVICE = os.environ["KEYFOLD_URL"], os.environ["KEYFOLD_DEVICE"]
KEY = load_der_private_key(bytes.fromhex(os.environ["KEYFOLD_DEVICE_KEY"]), None)
HTTP = requests.Session()
HTTP.verify, HTTP.trust_env = os.environ["KEYFOLD_CA"], False


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def who(url):
    """A key is shown where it enrols, and named everywhere else."""
    if not url.endswith("/devices"):
        return {"kid": DEVICE}
    point = KEY.public_key().public_numbers()
    x, y = (base64url(number.to_bytes(32, "big")) for number in (point.x, point.y))
    return {"jwk": {"kty": "EC", "crv": "P-256", "x": x, "y": y}}


def sign(request):
    """Puts a flattened JWS in the place of the payload."""
    nonce = HTTP.get(f"{URL}/v1/nonce").headers["replay-nonce"]
    header = {"alg": "ES256", "nonce": nonce, "url": request.url, **who(request.url)}
    payload = request.body.encode() if isinstance(request.body, str) else request.body or b""
    parts = {"protected": base64url(json.dumps(header).encode()), "payload": base64url(payload)}
    halves = decode_dss_signature(KEY.sign(".".join(parts.values()).encode(), ECDSA(SHA256())))
    parts["signature"] = base64url(b"".join(half.to_bytes(32, "big") for half in halves))
    request.prepare_body(json.dumps(parts), None)
    return request


def sign_empty(request):
    request.body = b""
    return sign(request)


@schemathesis.hook
def before_call(context, case, kwargs):
    body = case.operation.definition.raw.get("requestBody", {}).get("content", {}).get("application/jose+json")
    if body is not None and case.media_type == "application/jose+json":
        kwargs["auth"] = sign if "schema" in body else sign_empty
