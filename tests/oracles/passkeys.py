"""Yubico's library fido2 as the other side of both ceremonies, and as an authenticator of its own.

Stdin: {"rp_id", "origin", "challenge", "registered": [{"options", "answer", "root" or null, "assertion"}], "create", "get"}.
It verifies each registration, and its assertion over the challenge; over another challenge it must refuse. "create" and
"get" are options for a browser. Stdout: {algorithm: {"created", "got"}}, what a new passkey of each algorithm answers.
"""

import json
import os
import sys
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificate
from fido2.attestation import AttestationVerifier, NoneAttestation, PackedAttestation
from fido2.cose import ES256, RS256
from fido2.server import Fido2Server
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import (
    AttestationObject,
    AttestedCredentialData,
    AuthenticatorData,
    CollectedClientData,
    PublicKeyCredentialRpEntity,
)

question = json.load(sys.stdin)


class Roots(AttestationVerifier):
    def __init__(self, pem):
        super().__init__([NoneAttestation(), PackedAttestation()])
        self.root = load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.DER)

    def ca_lookup(self, attestation_result, auth_data):
        return self.root


def server(root=None):
    party = PublicKeyCredentialRpEntity(id=question["rp_id"], name="Keyfold")
    right = lambda origin: origin == question["origin"]
    if root is None:
        return Fido2Server(party, verify_origin=right)
    return Fido2Server(party, attestation="direct", verify_origin=right, verify_attestation=Roots(root))


def verify(registered):
    party = server(registered["root"])
    state = {"challenge": registered["options"]["publicKey"]["challenge"], "user_verification": "required"}
    credential = party.register_complete(state, registered["answer"]).credential_data
    state = {"challenge": question["challenge"], "user_verification": "required"}
    party.authenticate_complete(state, [credential], registered["assertion"])
    try:
        party.authenticate_complete(state | {"challenge": websafe_encode(os.urandom(32))}, [credential], registered["assertion"])
    except ValueError as error:
        assert "challenge" in str(error), error
    else:
        raise AssertionError("fido2 takes another challenge")


def signers():
    p256, rsa2048 = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
    yield "ES256", ES256.from_cryptography_key(p256.public_key()), lambda data: p256.sign(data, ec.ECDSA(SHA256()))
    pkcs1 = lambda data: rsa2048.sign(data, padding.PKCS1v15(), SHA256())
    yield "RS256", RS256.from_cryptography_key(rsa2048.public_key()), pkcs1


def answer(credential, response):
    return {
        "id": websafe_encode(credential),
        "rawId": websafe_encode(credential),
        "type": "public-key",
        "clientExtensionResults": {},
        "response": {name: websafe_encode(value) for name, value in response.items()},
    }


def make(key, sign):
    create, get = question["create"]["publicKey"], question["get"]["publicKey"]
    rp_id_hash, credential = sha256(create["rp"]["id"].encode()).digest(), os.urandom(64)
    attested = AttestedCredentialData.create(bytes(16), credential, key)
    data = AuthenticatorData.create(rp_id_hash, AuthenticatorData.FLAG(0x45), 0, attested)
    client_data = CollectedClientData.create("webauthn.create", create["challenge"], question["origin"])
    created = {"clientDataJSON": client_data, "attestationObject": AttestationObject.create("none", data, {})}
    data = AuthenticatorData.create(rp_id_hash, AuthenticatorData.FLAG(0x05), 0)
    client_data = CollectedClientData.create("webauthn.get", get["challenge"], question["origin"])
    got = {"clientDataJSON": client_data, "authenticatorData": data, "signature": sign(data + client_data.hash)}
    got["userHandle"] = websafe_decode(create["user"]["id"])
    return {"created": answer(credential, created), "got": answer(credential, got)}


for registered in question["registered"]:
    verify(registered)
print(json.dumps({name: make(key, sign) for name, key, sign in signers()}))
