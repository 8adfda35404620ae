"""Recomputes every protocol vector from docs/PROTOCOL.md alone, without Keyfold's code.

usage: protocol_vectors.py tests/vectors
"""

import base64
import hashlib
import hmac
import json
import pathlib
import sys
import uuid

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from protocol_keys import SUITE, jwk_thumbprint, verify_jws, xwing_private, xwing_public_bytes

CHUNK = 64 * 1024
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Fails(Exception):
    """A bundle is refused; the argument is the class of failure."""


def join_fields(label, fields):
    return b"".join(len(field).to_bytes(8, "big") + field for field in [label.encode(), *fields])


def hash_fields(label, fields):
    return hashlib.sha256(join_fields(label, fields)).digest()


def context_of(case):
    return hash_fields(
        "keyfold/1 context",
        [
            case["tenant"].encode(),
            case["user"].encode(),
            case["kind"].encode(),
            case["generation"].to_bytes(8, "big"),
            uuid.UUID(case["record"]).bytes,
            uuid.UUID(case["device"]).bytes,
            case["suite"].to_bytes(2, "big"),
        ],
    )


def key_schedule(context, s_kms, s_user):
    secrets = b"\x01\x00\x20" + s_kms
    if s_user is not None:
        secrets += b"\x02\x00\x20" + s_user
    prk = hmac.digest(b"keyfold/1 record", secrets, "sha256")
    expand = lambda label: HKDFExpand(hashes.SHA256(), 32, label + context).derive(prk)
    return expand(b"data key"), expand(b"commitment")


def nonces(prefix, count):
    return [prefix + index.to_bytes(4, "big") + bytes([index + 1 == count]) for index in range(count)]


def seal_bundle(context, data_key, factors, prefix, material):
    chunks = [material[at : at + CHUNK] for at in range(0, len(material), CHUNK)]
    sealed = [AESGCM(data_key).encrypt(n, chunk, context) for n, chunk in zip(nonces(prefix, len(chunks)), chunks)]
    return bytes([factors]) + prefix + b"".join(sealed)


def open_bundle(context, s_kms, commitment, bundle):
    if len(bundle) < 8 or bundle[0] not in (1, 3):
        raise Fails("format")
    if bundle[0] != 1:
        raise Fails("factors")
    data_key, expected = key_schedule(context, s_kms, None)
    if not hmac.compare_digest(expected, commitment):
        raise Fails("commitment")
    prefix, sealed = bundle[1:8], bundle[8:]
    chunks = [sealed[at : at + CHUNK + 16] for at in range(0, len(sealed), CHUNK + 16)]
    if not chunks or len(chunks[-1]) <= 16:
        raise Fails("altered")
    try:
        return b"".join(AESGCM(data_key).decrypt(n, c, context) for n, c in zip(nonces(prefix, len(chunks)), chunks))
    except InvalidTag:
        raise Fails("altered") from None


def check_context(case):
    assert context_of(case) == case["context"]


def check_key_schedule(case):
    data_key, commitment = key_schedule(case["context"], case["s_kms"], case["s_user"])
    assert commitment == case["commitment"]
    factors = 1 if case["s_user"] is None else 3
    assert seal_bundle(case["context"], data_key, factors, case["prefix"], case["material"]) == case["bundle"]


def check_bundle(case):
    try:
        material = open_bundle(case["context"], case["s_kms"], case["commitment"], case["bundle"])
        assert case["fails"] is None and material == b"the key material of a record"
    except Fails as failure:
        assert failure.args[0] == case["fails"], (failure, case["what"])


def check_sealing(case):
    purposes = [
        join_fields("keyfold/1 wrap", [case["context"]]),
        join_fields("keyfold/1 release", [case["context"], case["transcript"]]),
    ]
    assert case["info"] in purposes
    private = xwing_private(case["seed"])
    assert xwing_public_bytes(case["seed"]) == case["public"]
    assert len(case["sealed"]) == 1120 + 64 + 16
    assert SUITE.decrypt(case["sealed"], private, info=case["info"]) == case["payload"]


def check_transcript(case):
    fields = [
        uuid.UUID(case["restore"]).bytes,
        case["tenant"].encode(),
        case["user"].encode(),
        uuid.UUID(case["device"]).bytes,
        case["thumbprint"],
        case["receive_key"],
        b"".join(uuid.UUID(record).bytes for record in case["records"]),
        case["policy"],
        case["nonce"].encode(),
        case["reason"].encode(),
    ]
    assert hash_fields("keyfold/1 restore", fields) == case["transcript"]
    for decision in ("approve", "reject"):
        assert hash_fields("keyfold/1 approve", [case["transcript"], decision.encode()]) == case[decision]


def check_login(case):
    hashed = hash_fields("keyfold/1 login", [uuid.UUID(case["device"]).bytes, case["receive_key"]])
    assert base64.urlsafe_b64encode(hashed).rstrip(b"=").decode() == case["nonce"]


def check_jws(case):
    assert jwk_thumbprint(case["jwk"]) == case["thumbprint"]
    assert verify_jws(case["jwk"], json.loads(case["body"])) == case["payload"].encode()


def check_enrolment_code(case):
    symbols = case["code"].removeprefix("KF-").replace("-", "")
    assert len(symbols) == 28
    bits = 0
    for symbol in symbols:
        bits = bits << 5 | CROCKFORD.index(symbol)
    code, checksum = (bits >> 12).to_bytes(16, "big"), bits & 0xFFF
    expected = hash_fields("keyfold/1 enrolment checksum", [code])
    assert checksum == int.from_bytes(expected[:2], "big") >> 4
    assert hash_fields("keyfold/1 enrolment code", [code]) == case["hash"]


def check_passphrase(case):
    kdf = Argon2id(salt=case["context"], length=32, iterations=3, lanes=4, memory_cost=64 * 1024)
    s_user = kdf.derive(case["passphrase"].encode())
    assert key_schedule(case["context"], case["s_kms"], s_user)[1] == case["commitment"]


CHECKS = {
    "context.json": (check_context, ["context"]),
    "key-schedule.json": (check_key_schedule, ["context", "s_kms", "s_user", "commitment", "prefix", "material", "bundle"]),
    "bundle.json": (check_bundle, ["context", "s_kms", "commitment", "bundle"]),
    "sealing.json": (check_sealing, ["seed", "public", "context", "transcript", "info", "payload", "sealed"]),
    "transcript.json": (check_transcript, ["thumbprint", "receive_key", "policy", "transcript", "approve", "reject"]),
    "login.json": (check_login, ["receive_key"]),
    "jws.json": (check_jws, ["thumbprint"]),
    "enrolment-code.json": (check_enrolment_code, ["hash"]),
    "passphrase.json": (check_passphrase, ["context", "s_kms", "commitment"]),
}


def main(folder):
    for name, (check, binary) in CHECKS.items():
        cases = json.loads((folder / name).read_text())
        assert cases, name
        for case in cases:
            check({key: bytes.fromhex(v) if key in binary and v is not None else v for key, v in case.items()})
        print(f"{name}: {len(cases)} ok")


main(pathlib.Path(sys.argv[1]))
