"""Both sides of a BYOK ceremony, on nothing but the `cryptography` package: one JSON request, one JSON answer."""

import base64
import hashlib
import json
import os
import sys

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocol_keys import from_base64url, to_base64url

HASHES = {"SHA-1": hashes.SHA1, "SHA-256": hashes.SHA256}


def fingerprint(pem):
    return {"fingerprint": hashlib.sha256(der(serialization.load_pem_public_key(pem.encode()))).hexdigest()}


def der(public):
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def make(bits):
    """A wrapping key; of 0 bits, one that is no RSA key."""
    private = rsa.generate_private_key(65537, bits) if bits else ec.generate_private_key(ec.SECP256R1())
    public = der(private.public_key())
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    made = {"private": pem.decode(), "wrapping_key": to_base64url(public)}
    return made | {"fingerprint": hashlib.sha256(public).hexdigest()}


def wrap_material(wrapping_key, mechanism, hash, key):
    """What the ceremony makes of a key."""
    public = serialization.load_der_public_key(from_base64url(wrapping_key))
    oaep = padding.OAEP(padding.MGF1(HASHES[hash]()), HASHES[hash](), None)
    key = bytes.fromhex(key)
    if mechanism == "CKM_RSA_PKCS_OAEP":
        return {"material": to_base64url(public.encrypt(key, oaep))}
    ephemeral = os.urandom(32)
    material = public.encrypt(ephemeral, oaep) + keywrap.aes_key_wrap_with_padding(ephemeral, key)
    return {"material": to_base64url(material)}


def open_material(private, mechanism, hash, material):
    """The key inside the material, and its check value; no key when it does not open."""
    private = serialization.load_pem_private_key(private.encode(), None)
    material, half = from_base64url(material), private.key_size // 8
    oaep = padding.OAEP(padding.MGF1(HASHES[hash]()), HASHES[hash](), None)
    try:
        key = private.decrypt(material[:half], oaep)
        if mechanism == "CKM_RSA_AES_KEY_WRAP":
            assert len(key) == 32, "the ephemeral key is AES-256"
            key = keywrap.aes_key_unwrap_with_padding(key, material[half:])
        elif material[half:]:
            return {"key": None}
    except (ValueError, keywrap.InvalidUnwrap):
        return {"key": None}
    block = Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(bytes(16))
    return {"key": key.hex(), "check_value": block[:3].hex()}


def open_transit(key, ciphertext, context):
    """The plaintext of OpenBao's `vault:v1:`, with a key that never left this side."""
    prefix, version, sealed = ciphertext.split(":")
    assert (prefix, version) == ("vault", "v1")
    sealed = base64.b64decode(sealed)
    try:
        plain = AESGCM(bytes.fromhex(key)).decrypt(sealed[:12], sealed[12:], bytes.fromhex(context))
    except InvalidTag:
        return {"plaintext": None}
    return {"plaintext": plain.hex()}


if __name__ == "__main__":
    steps = [make, fingerprint, wrap_material, open_material, open_transit]
    request = json.load(sys.stdin)
    step = {step.__name__: step for step in steps}[request.pop("do")]
    json.dump(step(**request), sys.stdout)
