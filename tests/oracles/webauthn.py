"""Verifies what passkeys signed, by W3C Web Authentication, sections 6.1 and 7.2, with cryptography alone.

Stdin: {"origin", "rp_id", "registration", "assertions": [{"challenge", "credential"}]}, credentials as their `toJSON()` gives
them. Stdout: {"assertions": [{"counter", "user_verified"}]}. Every assertion must verify, and none with one byte of it changed.
"""

import base64
import hashlib
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def client_data(response, kind, challenge):
    raw = decode(response["clientDataJSON"])
    said = json.loads(raw)
    assert said["type"] == kind, said
    assert said["origin"] == question["origin"], said
    assert said["challenge"] == challenge, said
    return hashlib.sha256(raw).digest()


def authenticator_data(response):
    data = decode(response["authenticatorData"])
    assert data[:32] == hashlib.sha256(question["rp_id"].encode()).digest()
    flags, counter = data[32], int.from_bytes(data[33:37], "big")
    assert flags & 0x01, "the user was not there"
    return data, flags, counter


def is_signed(data, client, signature):
    try:
        key.verify(signature, data + client, ECDSA(SHA256()))
        return True
    except InvalidSignature:
        return False


def changed(raw):
    return raw[:-1] + bytes([raw[-1] ^ 1])


question = json.load(sys.stdin)
registration = question["registration"]["response"]
key = load_der_public_key(decode(registration["publicKey"]))
point = key.public_numbers()
registered, _, _ = authenticator_data(registration)
assert point.x.to_bytes(32, "big") in registered and point.y.to_bytes(32, "big") in registered

answers = []
for assertion in question["assertions"]:
    response = assertion["credential"]["response"]
    client = client_data(response, "webauthn.get", assertion["challenge"])
    data, flags, counter = authenticator_data(response)
    signature = decode(response["signature"])
    assert is_signed(data, client, signature), "the signature is not good"
    assert not is_signed(changed(data), client, signature)
    assert not is_signed(data, changed(client), signature)
    answers.append({"counter": counter, "user_verified": bool(flags & 0x04)})
json.dump({"assertions": answers}, sys.stdout)
