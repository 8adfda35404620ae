"""Wraps a key for import, and opens transit's ciphertexts, with the `cryptography` package alone. JSON in, base64 out."""

import json
import os
import sys
from base64 import b64decode, b64encode

from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import load_der_public_key


def wrap(question):
    """CKM_RSA_AES_KEY_WRAP: RSA-OAEP(ephemeral) || AES-KWP(ephemeral, key)."""
    ephemeral = os.urandom(32)
    wrapping_key = load_der_public_key(b64decode(question["wrapping_key"]))
    head = wrapping_key.encrypt(ephemeral, OAEP(MGF1(SHA256()), SHA256(), None))
    return head + aes_key_wrap_with_padding(ephemeral, b64decode(question["key"]))


def open_ciphertext(question):
    """nonce || AES-256-GCM(key, payload)."""
    ciphertext = b64decode(question["ciphertext"])
    aead = AESGCM(b64decode(question["key"]))
    return aead.decrypt(ciphertext[:12], ciphertext[12:], b64decode(question["associated_data"]))


question = json.load(sys.stdin)
answer = {"wrap": wrap, "open": open_ciphertext}[question["do"]](question)
print(b64encode(answer).decode())
