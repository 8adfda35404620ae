"""Microsoft's own clients (azure-keyvault-keys, azure-identity) against the counterpart of Azure Key Vault.

Reads from standard input where it is, and an application that may sign in, as JSON; prints what held, one line each.
"""

import json
import os
import sys
import tempfile
from datetime import datetime, timedelta, timezone

from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.identity import CertificateCredential
from azure.identity._internal import AadClient, AadClientCertificate
from azure.keyvault.keys import KeyClient, KeyOperation, KeyType, JsonWebKey
from azure.keyvault.keys._generated.models import KeyOperationsParameters
from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm, KeyWrapAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap_with_padding
from base64 import urlsafe_b64encode

SECRET = bytes(range(64))


def main():
    given = json.load(sys.stdin)
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as authority:
        authority.write(given["ca"])
        authority.flush()
        os.environ.pop("HTTPS_PROXY", None)
        Story(given, authority.name).run()


class Story:
    def __init__(self, given, authority):
        self.given = given
        self.verify = {"connection_verify": authority}
        self.credential = CertificateCredential(
            "tenant",
            given["client_id"],
            certificate_data=(given["key"] + given["certificate"]).encode(),
            authority=given["authority_host"],
            disable_instance_discovery=True,
            **self.verify,
        )
        self.keys = KeyClient(given["vault"], self.credential, verify_challenge_resource=False, retry_total=0, **self.verify)

    def run(self):
        hardware = self.given["managed_hsm"]
        for step in (self.sign_in, self.rsa, self.versions, self.validity, self.disabled, self.deleted, self.missing):
            step()
            print(step.__name__, "ok")
        for step in (self.aes, self.imported) if hardware else (self.no_aes,):
            step()
            print(step.__name__, "ok")

    def crypto(self, key):
        return CryptographyClient(key, self.credential, verify_challenge_resource=False, retry_total=0, **self.verify)

    def sign_in(self):
        # The credential above signs with RS256; this is what the asynchronous one signs with, PS256.
        client = AadClient("tenant", self.given["client_id"], authority=self.given["authority_host"], **self.verify)
        certificate = AadClientCertificate(self.given["key"] + self.given["certificate"])
        assert client.obtain_token_by_client_certificate(["https://vault.azure.net/.default"], certificate).token
        stranger = AadClient("tenant", "stranger", authority=self.given["authority_host"], **self.verify)
        try:
            stranger.obtain_token_by_client_certificate(["https://vault.azure.net/.default"], certificate)
            raise AssertionError("a stranger may sign in")
        except ClientAuthenticationError:
            pass

    def operate(self, operation, key, algorithm, value):
        # Below CryptographyClient, for it wraps by itself what is to be wrapped with AES: given a key whose bytes it
        # does not have, it makes some up.
        parameters = KeyOperationsParameters(algorithm=algorithm, value=value)
        return getattr(self.keys._client, operation)(key.name, key.properties.version, parameters).result

    def rsa(self):
        key = self.keys.create_rsa_key("rsa", hardware_protected=self.given["managed_hsm"])
        for algorithm in (KeyWrapAlgorithm.rsa_oaep_256, KeyWrapAlgorithm.rsa_oaep):
            # This client wraps by itself with the public key; the service opens.
            wrapped = self.crypto(key).wrap_key(algorithm, SECRET)
            assert self.crypto(key).unwrap_key(algorithm, wrapped.encrypted_key).key == SECRET
        altered = bytes([wrapped.encrypted_key[0] ^ 1]) + wrapped.encrypted_key[1:]
        assert refusal(lambda: self.crypto(key).unwrap_key(algorithm, altered)) == (400, "BadParameter")

    def versions(self):
        first = self.keys.get_key("rsa")
        second = self.keys.rotate_key("rsa")
        assert first.properties.version != second.properties.version
        assert self.keys.get_key("rsa").id == second.id
        listed = {version.version for version in self.keys.list_properties_of_key_versions("rsa")}
        assert listed == {first.properties.version, second.properties.version}
        wrapped = self.crypto(first).wrap_key(KeyWrapAlgorithm.rsa_oaep_256, SECRET).encrypted_key
        assert self.crypto(first).unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, wrapped).key == SECRET

    def validity(self):
        key = self.keys.get_key("rsa")
        wrapped = self.crypto(key).wrap_key(KeyWrapAlgorithm.rsa_oaep_256, SECRET).encrypted_key
        past = datetime.now(timezone.utc) - timedelta(hours=1)
        key = self.keys.update_key_properties("rsa", expires_on=past)
        assert key.properties.expires_on == past.replace(microsecond=0)
        assert self.crypto(key).unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, wrapped).key == SECRET

    def disabled(self):
        key = self.keys.rotate_key("rsa")
        wrapped = self.crypto(key).wrap_key(KeyWrapAlgorithm.rsa_oaep_256, SECRET).encrypted_key
        self.keys.update_key_properties("rsa", enabled=False)
        unwrap = lambda: self.crypto(key.id).unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, wrapped)
        assert refusal(unwrap) == (403, "Forbidden")
        self.keys.update_key_properties("rsa", enabled=True)
        assert unwrap().key == SECRET

    def deleted(self):
        self.keys.begin_delete_key("rsa").wait()
        assert refusal(lambda: self.keys.get_key("rsa")) == (404, "KeyNotFound")
        assert self.keys.get_deleted_key("rsa").name == "rsa"
        try:
            self.keys.create_rsa_key("rsa", hardware_protected=self.given["managed_hsm"])
            raise AssertionError("the name of a deleted key is free")
        except ResourceExistsError:
            pass
        self.keys.begin_recover_deleted_key("rsa").wait()
        assert self.keys.get_key("rsa").name == "rsa"

    def missing(self):
        try:
            self.keys.get_key("missing")
            raise AssertionError("a missing key is there")
        except ResourceNotFoundError:
            pass

    def no_aes(self):
        assert refusal(lambda: self.keys.create_oct_key("aes", hardware_protected=True)) == (400, "BadParameter")

    def aes(self):
        key = self.keys.create_oct_key("aes", size=256, hardware_protected=True)
        wrapped = self.operate("wrap_key", key, "A256KW", SECRET)
        assert self.operate("unwrap_key", key, "A256KW", wrapped) == SECRET
        crypto = self.crypto(key)
        sealed = crypto.encrypt(EncryptionAlgorithm.a256_gcm, SECRET, additional_authenticated_data=b"context")
        parts = {"iv": sealed.iv, "authentication_tag": sealed.tag}
        opened = crypto.decrypt(EncryptionAlgorithm.a256_gcm, sealed.ciphertext, additional_authenticated_data=b"context", **parts)
        assert opened.plaintext == SECRET
        other = lambda: crypto.decrypt(EncryptionAlgorithm.a256_gcm, sealed.ciphertext, additional_authenticated_data=b"other", **parts)
        assert refusal(other) == (400, "BadParameter")

    def imported(self):
        transfer = self.keys.create_rsa_key("transfer", hardware_protected=True, key_operations=[KeyOperation.import_key])
        numbers = rsa.RSAPublicNumbers(int.from_bytes(transfer.key.e, "big"), int.from_bytes(transfer.key.n, "big"))
        oaep = padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)
        ephemeral, key = os.urandom(32), os.urandom(32)
        ciphertext = numbers.public_key().encrypt(ephemeral, oaep) + aes_key_wrap_with_padding(ephemeral, key)
        blob = {
            "schema_version": "1.0.0",
            "header": {"kid": transfer.id, "alg": "dir", "enc": "CKM_RSA_AES_KEY_WRAP"},
            "ciphertext": urlsafe_b64encode(ciphertext).rstrip(b"=").decode(),
            "generator": "azure_keyvault_client.py",
        }
        operations = [KeyOperation.wrap_key, KeyOperation.unwrap_key]
        jwk = JsonWebKey(kty=KeyType.oct_hsm, key_ops=operations, t=json.dumps(blob).encode())
        imported = self.keys.import_key("imported", jwk)
        wrapped = self.operate("wrap_key", imported, "A256KW", SECRET)
        # The key outside opens what the key inside has wrapped.
        assert aes_key_unwrap(key, wrapped) == SECRET


def refusal(call):
    """Status and code of the refusal of a call that must fail."""
    try:
        call()
    except HttpResponseError as error:
        return error.status_code, error.error.code
    raise AssertionError("the call was not refused")


main()
