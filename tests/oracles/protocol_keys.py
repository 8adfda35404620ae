"""X-Wing keys and signed requests, on nothing but the `cryptography` package."""

import base64
import hashlib
import json

from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mlkem, utils, x25519

SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


def to_base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _xwing_parts(seed):
    expanded = hashlib.shake_256(seed).digest(96)
    return (
        mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64]),
        x25519.X25519PrivateKey.from_private_bytes(expanded[64:]),
    )


def xwing_private(seed):
    return hpke.MLKEM768X25519PrivateKey(*_xwing_parts(seed))


def xwing_public_bytes(seed):
    return b"".join(part.public_key().public_bytes_raw() for part in _xwing_parts(seed))


def xwing_public(data):
    return hpke.MLKEM768X25519PublicKey(
        mlkem.MLKEM768PublicKey.from_public_bytes(data[:1184]),
        x25519.X25519PublicKey.from_public_bytes(data[1184:]),
    )


def jwk_thumbprint(jwk):
    required = {name: jwk[name] for name in ("crv", "kty", "x", "y") if name in jwk}
    return hashlib.sha256(json.dumps(required, separators=(",", ":"), sort_keys=True).encode()).digest()


def verify_jws(jwk, body):
    """The payload of a flattened JWS that `jwk` signed; raises InvalidSignature when it did not."""
    header = json.loads(from_base64url(body["protected"]))
    assert header.keys() - {"kid", "jwk"} == {"alg", "nonce", "url"} and len(header) == 4
    signed = f"{body['protected']}.{body['payload']}".encode()
    signature = from_base64url(body["signature"])
    x = from_base64url(jwk["x"])
    if jwk["kty"] == "OKP":
        assert header["alg"] == "EdDSA"
        ed25519.Ed25519PublicKey.from_public_bytes(x).verify(signature, signed)
    else:
        assert header["alg"] == "ES256"
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + x + from_base64url(jwk["y"]))
        halves = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        key.verify(utils.encode_dss_signature(*halves), signed, ec.ECDSA(hashes.SHA256()))
    return from_base64url(body["payload"])


def sign_jws(alg, url, nonce, payload):
    """A new key's public JWK and a request that enrols it."""
    if alg == "EdDSA":
        key = ed25519.Ed25519PrivateKey.generate()
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": to_base64url(key.public_key().public_bytes_raw())}
    else:
        key = ec.generate_private_key(ec.SECP256R1())
        numbers = key.public_key().public_numbers()
        x, y = (to_base64url(number.to_bytes(32, "big")) for number in (numbers.x, numbers.y))
        jwk = {"kty": "EC", "crv": "P-256", "x": x, "y": y}
    header = {"alg": alg, "jwk": jwk, "nonce": nonce, "url": url}
    protected, payload = to_base64url(json.dumps(header).encode()), to_base64url(payload)
    signed = f"{protected}.{payload}".encode()
    if alg == "EdDSA":
        signature = key.sign(signed)
    else:
        halves = utils.decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
        signature = b"".join(half.to_bytes(32, "big") for half in halves)
    return jwk, json.dumps({"protected": protected, "payload": payload, "signature": to_base64url(signature)})
