"""LocalStack, with its KMS put right where it is known to be wrong (4.9.2).

- Encrypt under an RSA key made a symmetric ciphertext. It is RSAES-OAEP with SHA-256 now, which Decrypt opens as it is.
- RSA ciphertexts and key material for import that do not open were answered with 500. AWS documents
  InvalidCiphertextException for both.
"""

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from localstack.aws.api.kms import InvalidCiphertextException
from localstack.runtime.main import main
from localstack.services.kms.models import KmsKey
from localstack.services.kms.provider import KmsProvider

symmetric_encrypt = KmsKey.encrypt


def encrypt(key, plaintext, encryption_context=None):
    if not key.crypto_key.key_spec.startswith("RSA"):
        return symmetric_encrypt(key, plaintext, encryption_context)
    public = serialization.load_der_public_key(key.crypto_key.public_key)
    return public.encrypt(plaintext, padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None))


def refusing(opens):
    def call(*arguments):
        try:
            return opens(*arguments)
        except ValueError:
            raise InvalidCiphertextException("does not open")

    return call


KmsKey.encrypt = encrypt
KmsKey.decrypt_rsa = refusing(KmsKey.decrypt_rsa)
KmsProvider._decrypt_wrapped_key_material = refusing(KmsProvider._decrypt_wrapped_key_material)

if __name__ == "__main__":
    main()
