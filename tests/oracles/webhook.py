"""Verifies webhooks with the library standardwebhooks (v1), and with cryptography what that cannot (v1a).

Stdin: {"requests": [{"headers", "body"}], "secrets": [whsec_..], "public_keys": [whpk_..]}. Stdout: {"events": [..]}, the
events of all requests. Every request must verify with every key, and none with one byte of it changed.
"""

import base64
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

question = json.load(sys.stdin)


def verify_v1(secret, headers, body):
    try:
        Webhook(secret).verify(body, headers)
        return True
    except WebhookVerificationError:
        return False


def verify_v1a(public_key, headers, body):
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_"), validate=True))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    for signature in headers["webhook-signature"].split(" "):
        version, encoded = signature.split(",")
        try:
            if version == "v1a":
                key.verify(base64.b64decode(encoded, validate=True), signed)
                return True
        except InvalidSignature:
            pass
    return False


checks = [(verify_v1, secret) for secret in question["secrets"]]
checks += [(verify_v1a, key) for key in question["public_keys"]]
events = []
for request in question["requests"]:
    headers, body = request["headers"], request["body"]
    other = headers | {"webhook-id": headers["webhook-id"] + "x"}
    for verify, key in checks:
        assert verify(key, headers, body), f"{verify.__name__} refuses"
        assert not verify(key, headers, body.replace("1", "2", 1)), f"{verify.__name__} takes another body"
        assert not verify(key, other, body), f"{verify.__name__} takes another id"
    events += json.loads(body)["data"]
json.dump({"events": events}, sys.stdout)
