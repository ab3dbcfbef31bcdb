"""The real key server on every keystore it has, each configured as the documentation writes it."""

import base64
import json
import os

import pytest

from kes_stores import DECLARED, DOCUMENT, KINDS, KeyStoreServer, assert_tells_no, b64, documented
from strongroom import clean_env, run

MISSING = (404, {"message": "key does not exist"})
EXISTS = (400, {"message": "key already exists"})
# Of each: what the server says of it at the start.
CAVEATS = {"vault v1": "K/V version 1", "azure": "Azure Key Vault has no atomic create"}


@pytest.fixture(params=KINDS)
def store(request, services):
    return services.store(request.param)


def happy(doctor, store):
    checks = json.loads(doctor.stdout)["checks"]
    assert doctor.returncode == 0, [check for check in checks if check["result"] == "failed"]
    assert_tells_no(doctor.stdout + doctor.stderr, store.secrets)
    return checks


def test_a_key_lives_from_its_making_to_its_end(services, store, tmp_path):
    server = KeyStoreServer(tmp_path / "kes", services, store)
    material = os.urandom(32)
    with server:
        happy(server.doctor(), store)
        kes = server.client()
        assert kes.names() == [DECLARED], "declared keys exist"
        assert kes.create("my-key") == (200, "")
        assert kes.create("my-key") == EXISTS
        made = kes.generate("my-key")
        kes.decrypts("my-key", made)
        sealed = {"ciphertext": made["ciphertext"]}
        assert kes("POST", "/v1/key/bulk/decrypt/my-key", [sealed, sealed]) == (200, [{"plaintext": made["plaintext"]}] * 2)
        status, mac = kes("PUT", "/v1/key/hmac/my-key", {"message": b64(b"of me")})
        assert status == 200 and len(base64.b64decode(mac["hmac"])) == 32
        status, about = kes("GET", "/v1/key/describe/my-key")
        assert status == 200 and about["name"] == "my-key" and about["created_by"] == server.admin.hash
        imported = {"key": b64(material), "cipher": "AES256"}
        assert kes("POST", "/v1/key/import/imported", imported) == (200, "")
        assert kes("POST", "/v1/key/import/my-key", imported) == EXISTS
        assert kes.names() == [DECLARED, "imported", "my-key"]
        assert kes("GET", "/v1/key/list/my") == (200, {"names": ["my-key"]})
        declared, kept = kes.generate(DECLARED), kes.generate("imported")
        status, about = kes("GET", "/v1/status")
        assert status == 200 and about["keystore_latency"] >= 0 and "keystore_unreachable" not in about
        assert server.stop() == 0

    with server:
        kes = server.client()
        kes.decrypts(DECLARED, declared)
        kes.decrypts("my-key", made)
        kes.decrypts("imported", kept)
        assert kes("PUT", "/v1/key/hmac/my-key", {"message": b64(b"of me")}) == (200, mac)
        assert kes("DELETE", "/v1/key/delete/my-key") == (200, "")
        for method, path, body in [("POST", "/v1/key/generate/my-key", {}), ("POST", "/v1/key/decrypt/my-key", sealed),
                                   ("GET", "/v1/key/describe/my-key", None)]:
            assert kes(method, path, body) == MISSING, path
        # Some services do not say whether there was anything to delete.
        again = (200, "") if store.kind.startswith(("aws", "vault")) else MISSING
        assert kes("DELETE", "/v1/key/delete/my-key") == again
        assert kes.names() == [DECLARED, "imported"]
        # A new key under an old name opens nothing of the old one.
        assert kes.create("my-key") == (200, "")
        assert kes("POST", "/v1/key/decrypt/my-key", sealed)[0] == 400
        happy(server.doctor(), store)

    said = server.said()
    assert f"{store.name}: " in said, said
    warnings = [line for line in said.splitlines() if line.startswith("WARNING")]
    if caveat := CAVEATS.get(store.kind):
        assert len(warnings) == 2, "one at each start"
        assert all(caveat in line and "both may" in line.replace("may both", "both may") for line in warnings), warnings
    else:
        assert not warnings
    assert not server.errors()
    assert_tells_no(said, [*store.secrets, material, *(base64.b64decode(d["plaintext"]) for d in (made, declared, kept))])


def migrate(source, target, env, *more):
    done = run("kes", "migrate", "--from", source.config, "--to", target.config, *more, env=env, check=False)
    assert done.returncode == 0, done
    assert_tells_no(done.stdout + done.stderr, source.store.secrets + target.store.secrets)
    return done.stdout.splitlines()


def test_keys_move_out_to_files_and_back_in_again(services, store, tmp_path):
    env = store.environment()
    here = KeyStoreServer(tmp_path / "here", services, store, keys=[])
    files = services.store("fs")
    away = KeyStoreServer(tmp_path / "away", services, files, keys=[])
    with here:
        kes = here.client()
        assert [kes.create(f"key-{i}")[0] for i in range(3)] == [200] * 3
        before = [kes.generate(f"key-{i}") for i in range(3)]
    lines = migrate(here, away, env)
    assert lines[1] == "Migrated      3 keys successfully!"
    assert lines[2].startswith("Verified      3 keys: read again from both stores, all equal (sha256 "), lines
    values = {path.name: path.read_bytes() for path in files.path.iterdir()}
    assert sorted(values) == ["key-0", "key-1", "key-2"]
    with away:
        kes = away.client()
        for i, made in enumerate(before):
            kes.decrypts(f"key-{i}", made)
        assert kes.create("made-away") == (200, "")
        later = [kes.generate("key-0"), kes.generate("made-away")]

    lines = migrate(away, here, env)
    assert lines[1] == "Migrated      1 keys successfully!", lines
    assert "3 were in the target already, with the same value" in lines[2], lines
    assert lines[3].startswith("Verified      4 keys: "), lines
    assert migrate(away, here, env)[1] == "Migration succeeded! No keys migrated."
    with here:
        kes = here.client()
        assert kes.names() == ["key-0", "key-1", "key-2", "made-away"]
        for i, made in enumerate(before):
            kes.decrypts(f"key-{i}", made)
        kes.decrypts("key-0", later[0])
        kes.decrypts("made-away", later[1])
        # What was stored is what lies in the files: base64 of the keys.
        keys = [value.decode().strip() for value in values.values()]
        assert_tells_no(here.said() + away.said(), keys)
        # A key with another value is never replaced unasked.
        assert kes("DELETE", "/v1/key/delete/key-1") == (200, "")
        assert kes.create("key-1") == (200, "")
        own = kes.generate("key-1")
        done = run("kes", "migrate", "--from", away.config, "--to", here.config, env=env, check=False)
        assert done.returncode == 1 and "the target has 1 key with another value: key-1" in done.stderr, done
        kes.decrypts("key-1", own)


def test_every_block_of_the_document_is_a_keystore_that_loads(services, tmp_path):
    sections = DOCUMENT.read_text().count("\n## `")
    assert DOCUMENT.read_text().count("```yaml\n") == sections == 8
    names = [part.split("`")[0] for part in DOCUMENT.read_text().split("\n## `")[1:]]
    for name in names:
        text = documented(name)
        if name == "fs":
            text = text.replace("/var/lib/kes", str(tmp_path))
        store = type("Documented", (), {"section": lambda self, _: text, "environment": lambda self, _: clean_env(  # noqa: B023
            ROLE_ID="role", SECRET_ID="secret", AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="s",
            CIPHERTRUST_TOKEN="t", KEYCONTROL_PASSWORD="p", SDKMS_API_KEY="k",
            # Nobody is asked: what counts is the reading.
            HTTPS_PROXY="http://127.0.0.1:1", HTTP_PROXY="http://127.0.0.1:1")})()
        server = KeyStoreServer(tmp_path / name, services, store)
        checks = json.loads(server.doctor().stdout)["checks"]
        reading = [check for check in checks if check["step"] == "configuration file"]
        assert reading and all(check["result"] == "ok" for check in reading), reading
        settings = [check for check in checks if check["step"] == "settings"]
        assert all(check["result"] == "ok" for check in settings), settings
