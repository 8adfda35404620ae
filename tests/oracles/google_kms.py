"""Google's own client against the counterpart of Google Cloud KMS: what it says must be what the client expects.

Arguments: host:port, a bearer token for everything, the file of a service account that may only look at keys.
"""

import sys
import time

import google_crc32c
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from google.api_core import exceptions
from google.auth.exceptions import RefreshError
from google.cloud import kms
from google.cloud.kms_v1.services.key_management_service.transports import KeyManagementServiceRestTransport
from google.oauth2 import credentials, service_account

OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
LOCATION = "projects/oracle/locations/europe-west1"
State = kms.CryptoKeyVersion.CryptoKeyVersionState
Algorithm = kms.CryptoKeyVersion.CryptoKeyVersionAlgorithm
Purpose = kms.CryptoKey.CryptoKeyPurpose


def connect(host, credentials):
    transport = KeyManagementServiceRestTransport(host=host, url_scheme="http", credentials=credentials)
    return kms.KeyManagementServiceClient(transport=transport)


def crc(data):
    return google_crc32c.value(data)


def refused(status, words, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except exceptions.GoogleAPICallError as refusal:
        # Over REST the client goes by the HTTP status alone, which several codes share.
        assert refusal.response.json()["error"]["status"] == status and words in str(refusal), refusal
        return refusal
    raise AssertionError(f"{status} was expected")


def encrypt(client, key, plaintext, aad=b""):
    request = {"name": key, "plaintext": plaintext, "plaintext_crc32c": crc(plaintext)}
    request |= {"additional_authenticated_data": aad, "additional_authenticated_data_crc32c": crc(aad)}
    answer = client.encrypt(request=request)
    assert answer.verified_plaintext_crc32c and answer.verified_additional_authenticated_data_crc32c
    assert answer.ciphertext_crc32c == crc(answer.ciphertext)
    return answer


def decrypt(client, key, ciphertext, aad=b""):
    request = {"name": key, "ciphertext": ciphertext, "ciphertext_crc32c": crc(ciphertext)}
    request |= {"additional_authenticated_data": aad, "additional_authenticated_data_crc32c": crc(aad)}
    answer = client.decrypt(request=request)
    assert answer.plaintext_crc32c == crc(answer.plaintext)
    return answer


def create(client, ring, name, **key):
    return client.create_crypto_key(request={"parent": ring, "crypto_key_id": name, "crypto_key": key})


def symmetric(client, ring):
    key = create(client, ring, "aes", purpose=Purpose.ENCRYPT_DECRYPT)
    assert key.primary.name == f"{key.name}/cryptoKeyVersions/1" and key.primary.state == State.ENABLED
    assert client.get_crypto_key(name=key.name) == key
    first = encrypt(client, key.name, b"secret", b"context")
    assert first.name == key.primary.name
    assert decrypt(client, key.name, first.ciphertext, b"context").plaintext == b"secret"

    second = client.create_crypto_key_version(parent=key.name, crypto_key_version={})
    client.update_crypto_key_primary_version(name=key.name, crypto_key_version_id="2")
    assert encrypt(client, key.name, b"x").name == second.name
    assert not decrypt(client, key.name, first.ciphertext, b"context").used_primary
    assert encrypt(client, key.primary.name, b"x").name == key.primary.name
    assert [v.name for v in client.list_crypto_key_versions(parent=key.name)] == [key.primary.name, second.name]

    words = "Decryption failed: verify that 'name' refers to the correct CryptoKey."
    refused("INVALID_ARGUMENT", words, decrypt, client, key.name, first.ciphertext, b"another")
    refused("INVALID_ARGUMENT", words, decrypt, client, key.name, first.ciphertext[:-1], b"context")
    refused("INVALID_ARGUMENT", words, decrypt, client, key.name, b"no ciphertext")
    wrong = {"name": key.name, "plaintext": b"x", "plaintext_crc32c": 1}
    refused("INVALID_ARGUMENT", "plaintext_crc32c", client.encrypt, request=wrong)
    refused("NOT_FOUND", "not found", decrypt, client, key.name + "x", first.ciphertext)
    refused("ALREADY_EXISTS", "exists", create, client, ring, "aes", purpose=Purpose.ENCRYPT_DECRYPT)
    unchecked = client.encrypt(name=key.name, plaintext=b"x")
    assert not unchecked.verified_plaintext_crc32c


def states(client, ring):
    key = create(client, ring, "states", purpose=Purpose.ENCRYPT_DECRYPT, destroy_scheduled_duration="86400s")
    sealed = encrypt(client, key.name, b"secret").ciphertext
    version = key.primary.name

    def switch(state):
        request = {"crypto_key_version": {"name": version, "state": state}, "update_mask": "state"}
        assert client.update_crypto_key_version(request=request).state == state

    def unusable(state):
        assert client.get_crypto_key_version(name=version).state == state
        assert client.get_crypto_key(name=key.name).primary.state == state
        for call in (lambda: encrypt(client, key.name, b"x"), lambda: decrypt(client, key.name, sealed)):
            refusal = refused("FAILED_PRECONDITION", state.name, call)
            assert refusal.details[0]["violations"][0]["subject"] == version

    switch(State.DISABLED)
    unusable(State.DISABLED)
    switch(State.ENABLED)
    assert decrypt(client, key.name, sealed).plaintext == b"secret"
    client.destroy_crypto_key_version(name=version)
    unusable(State.DESTROY_SCHEDULED)
    assert client.restore_crypto_key_version(name=version).state == State.DISABLED
    unusable(State.DISABLED)


def limits(client, ring):
    software = create(client, ring, "software", purpose=Purpose.ENCRYPT_DECRYPT).name
    template = {"protection_level": kms.ProtectionLevel.HSM, "algorithm": Algorithm.GOOGLE_SYMMETRIC_ENCRYPTION}
    hsm = create(client, ring, "hsm", purpose=Purpose.ENCRYPT_DECRYPT, version_template=template).name
    largest = bytes(64 * 1024)
    assert decrypt(client, software, encrypt(client, software, largest).ciphertext).plaintext == largest
    refused("INVALID_ARGUMENT", "too large", encrypt, client, software, largest + b"x")
    assert encrypt(client, hsm, bytes(8 * 1024 - 3), b"aad").protection_level == kms.ProtectionLevel.HSM
    refused("INVALID_ARGUMENT", "too large", encrypt, client, hsm, bytes(8 * 1024 - 2), b"aad")


def asymmetric(client, ring):
    template = {"algorithm": Algorithm.RSA_DECRYPT_OAEP_2048_SHA256}
    key = create(client, ring, "rsa", purpose=Purpose.ASYMMETRIC_DECRYPT, version_template=template)
    assert not key.primary.name
    version = f"{key.name}/cryptoKeyVersions/1"
    public = client.get_public_key(name=version)
    assert public.name == version and public.pem_crc32c == crc(public.pem.encode())
    assert public.algorithm == Algorithm.RSA_DECRYPT_OAEP_2048_SHA256
    sealed = serialization.load_pem_public_key(public.pem.encode()).encrypt(b"secret", OAEP)
    request = {"name": version, "ciphertext": sealed, "ciphertext_crc32c": crc(sealed)}
    answer = client.asymmetric_decrypt(request=request)
    assert answer.plaintext == b"secret" and answer.verified_ciphertext_crc32c
    assert answer.plaintext_crc32c == crc(b"secret")
    refused("INVALID_ARGUMENT", "invalid", client.asymmetric_decrypt, name=version, ciphertext=sealed[:-1])
    refused("NOT_FOUND", "not found", client.get_public_key, name=f"{key.name}/cryptoKeyVersions/2")
    refused("FAILED_PRECONDITION", "purpose", encrypt, client, key.name, b"x")


def importing(client, ring):
    request = {"parent": ring, "crypto_key_id": "imported", "skip_initial_version_creation": True}
    request |= {"crypto_key": {"purpose": Purpose.ENCRYPT_DECRYPT, "import_only": True}}
    key = client.create_crypto_key(request=request)
    assert not key.primary.name
    refused("FAILED_PRECONDITION", "no primary", encrypt, client, key.name, b"x")
    method = kms.ImportJob.ImportMethod.RSA_OAEP_4096_SHA256_AES_256
    wanted = {"import_method": method, "protection_level": kms.ProtectionLevel.SOFTWARE}
    job = client.create_import_job(parent=ring, import_job_id="job", import_job=wanted)
    while job.state == kms.ImportJob.ImportJobState.PENDING_GENERATION:
        time.sleep(0.1)
        job = client.get_import_job(name=job.name)
    assert job.state == kms.ImportJob.ImportJobState.ACTIVE
    assert [j.name for j in client.list_import_jobs(parent=ring)] == [job.name]

    ephemeral, material = bytes(range(32)), bytes(range(32, 64))
    wrapping_key = serialization.load_pem_public_key(job.public_key.pem.encode())
    wrapped = wrapping_key.encrypt(ephemeral, OAEP) + keywrap.aes_key_wrap_with_padding(ephemeral, material)
    request = {"parent": key.name, "algorithm": Algorithm.GOOGLE_SYMMETRIC_ENCRYPTION, "import_job": job.name}
    version = client.import_crypto_key_version(request=request | {"wrapped_key": wrapped})
    assert version.state == State.ENABLED and version.import_job == job.name
    client.update_crypto_key_primary_version(name=key.name, crypto_key_version_id="1")
    assert decrypt(client, key.name, encrypt(client, key.name, b"secret").ciphertext).plaintext == b"secret"
    bad = client.import_crypto_key_version(request=request | {"wrapped_key": wrapped[:-1] + b"x"})
    assert bad.state == State.IMPORT_FAILED


def rights(host, viewer, ring):
    looking = connect(host, viewer)
    assert looking.get_crypto_key(name=f"{ring}/cryptoKeys/aes").purpose == Purpose.ENCRYPT_DECRYPT
    permission = "cloudkms.cryptoKeyVersions.useToEncrypt"
    refused("PERMISSION_DENIED", permission, encrypt, looking, f"{ring}/cryptoKeys/aes", b"x")
    try:
        connect(host, credentials.Credentials("nobody")).get_crypto_key(name=f"{ring}/cryptoKeys/aes")
    except RefreshError:
        return  # What the client does about 401 UNAUTHENTICATED: it asks for another token, and this one has no other.
    raise AssertionError("UNAUTHENTICATED was expected")


def main(host, token, account_file):
    owner = connect(host, credentials.Credentials(token))
    ring = owner.create_key_ring(parent=LOCATION, key_ring_id="ring", key_ring={}).name
    for check in (symmetric, states, limits, asymmetric, importing):
        check(owner, ring)
    viewer = service_account.Credentials.from_service_account_file(account_file, always_use_jwt_access=True)
    viewer = viewer.with_scopes(["https://www.googleapis.com/auth/cloud-platform"])
    rights(host, viewer, ring)


main(*sys.argv[1:])
