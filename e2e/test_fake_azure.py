"""The fake Azure Key Vault, driven by Microsoft's own client: what our store is tested against behaves as that expects."""

import datetime
import ipaddress
import json
import sys
import threading
import urllib.request
import ssl
from pathlib import Path

import pytest

pytest.importorskip("azure.keyvault.secrets", reason="the official client is not installed")
x509 = pytest.importorskip("cryptography.x509", reason="certificates are made with cryptography")

from azure.core.exceptions import (  # noqa: E402
    ClientAuthenticationError, HttpResponseError, ResourceExistsError, ResourceNotFoundError,
)
from azure.identity import ClientSecretCredential  # noqa: E402
from azure.keyvault.secrets import SecretClient  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402

sys.path.insert(0, str(Path(__file__).parent / "fakes"))
import azure_key_vault as fake  # noqa: E402


def certificate(folder):
    """A certificate for 127.0.0.1 that is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "fake key vault")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return str(cert_file), str(key_file)


class Running:
    def __init__(self, folder):
        self.cert, key = certificate(folder)
        self.server = fake.serve(0, self.cert, key)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def control(self, what, **body):
        request = urllib.request.Request(f"{self.url}/fake/{what}", json.dumps(body).encode(), method="POST")
        context = ssl.create_default_context(cafile=self.cert)
        return urllib.request.urlopen(request, context=context, timeout=10).read()

    def client(self, secret=fake.CLIENT_SECRET):
        credential = ClientSecretCredential(
            fake.TENANT, fake.CLIENT_ID, secret, authority=self.url, disable_instance_discovery=True,
            connection_verify=self.cert)
        return SecretClient(self.url, credential, connection_verify=self.cert, verify_challenge_resource=False,
                            retry_total=0)


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    running = Running(tmp_path_factory.mktemp("azure"))
    yield running
    running.server.shutdown()


@pytest.fixture
def vault(running):
    running.control("reset")
    return running.client()


def test_a_secret_is_set_and_got_with_its_attributes(vault):
    made = vault.set_secret("a-key", "the value", tags={"a": "b"}, content_type="text/plain")
    got = vault.get_secret("a-key")
    assert (got.value, got.properties.version) == ("the value", made.properties.version)
    assert got.properties.enabled and got.properties.tags == {"a": "b"}
    assert got.properties.created_on is not None
    assert vault.get_secret("A-KEY").name == "a-key"


def test_a_missing_secret_is_404_with_its_code(vault):
    with pytest.raises(ResourceNotFoundError) as missing:
        vault.get_secret("nothing")
    assert missing.value.error.code == "SecretNotFound"


def test_setting_again_adds_a_version_and_the_first_can_still_be_got(vault):
    first = vault.set_secret("k", "one")
    vault.set_secret("k", "two")
    assert vault.get_secret("k").value == "two"
    assert vault.get_secret("k", first.properties.version).value == "one"
    assert len(list(vault.list_properties_of_secret_versions("k"))) == 2


def test_listings_are_paged_and_whole(vault):
    for i in range(10):
        vault.set_secret(f"key-{i}", "v")
    assert [s.name for s in vault.list_properties_of_secrets()] == [f"key-{i}" for i in range(10)]
    pages = list(vault.list_properties_of_secrets().by_page())
    assert len(pages) == 4
    for _ in range(7):
        vault.set_secret("key-0", "v")
    assert len(list(vault.list_properties_of_secret_versions("key-0"))) == 8


def test_a_deleted_secret_blocks_its_name_until_it_is_purged(vault):
    vault.set_secret("k", "one")
    deleted = vault.begin_delete_secret("k").result()
    assert deleted.recovery_id and deleted.deleted_date and deleted.scheduled_purge_date
    with pytest.raises(ResourceNotFoundError):
        vault.get_secret("k")
    with pytest.raises(ResourceExistsError) as conflict:
        vault.set_secret("k", "two")
    assert conflict.value.status_code == 409
    assert conflict.value.error.code == "Conflict"
    assert conflict.value.error.innererror["code"] == "ObjectIsDeletedButRecoverable"
    assert [d.name for d in vault.list_deleted_secrets()] == ["k"]
    vault.purge_deleted_secret("k")
    vault.set_secret("k", "two")
    assert vault.get_secret("k").value == "two"


def test_a_deleted_secret_can_be_recovered(vault):
    vault.set_secret("k", "one")
    vault.begin_delete_secret("k").result()
    vault.begin_recover_deleted_secret("k").result()
    assert vault.get_secret("k").value == "one"


def test_a_purge_under_way_is_a_conflict_with_its_own_code(running, vault):
    running.control("settings", purge_seconds=60)
    vault.set_secret("k", "one")
    vault.begin_delete_secret("k").result()
    vault.purge_deleted_secret("k")
    with pytest.raises(ResourceExistsError) as conflict:
        vault.set_secret("k", "two")
    assert conflict.value.error.innererror["code"] == "ObjectIsBeingDeleted"


def test_a_disabled_secret_is_403(vault):
    made = vault.set_secret("k", "one")
    vault.update_secret_properties("k", made.properties.version, enabled=False)
    with pytest.raises(HttpResponseError) as disabled:
        vault.get_secret("k")
    assert disabled.value.status_code == 403
    assert disabled.value.error.innererror["code"] == "SecretDisabled"


def test_a_name_with_an_underscore_is_refused(vault):
    with pytest.raises(HttpResponseError) as refused:
        vault._client.set_secret("a_b", {"value": "v"})
    assert refused.value.status_code == 400


def test_a_wrong_client_secret_gets_no_token(running, vault):
    with pytest.raises(ClientAuthenticationError) as refused:
        running.client("wrong").get_secret("k")
    assert "AADSTS7000215" in str(refused.value)


def test_a_revoked_token_is_refused(running, vault):
    vault.set_secret("k", "one")
    running.control("revoke")
    with pytest.raises(ClientAuthenticationError) as refused:
        vault.get_secret("k")
    assert refused.value.status_code == 401
