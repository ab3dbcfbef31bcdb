"""The key server on AWS Secrets Manager, as its documentation sets it up: the configuration word for word but for where AWS is,
and an identity that may do what the policy says, spoken to over TLS without any client of ours."""

import base64
import http.client
import json
import re
import ssl
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import boto3
import pytest

from strongroom import BINARY, START_SECONDS, clean_env, free_port, run

REGION = "us-east-2"
DECLARED = ["minio-encryption-key-alpha", "minio-encryption-key-baker", "minio-encryption-key-charlie"]
ALPHA, BAKER, CHARLIE = DECLARED
ANSWER_SECONDS = 30
# Of the documentation, with the endpoint and the region of moto.
DOCUMENTED = """
address: 0.0.0.0:7373
root: ${ROOT_IDENTITY}
tls:
  key: kes-server.key
  cert: kes-server.cert
policy:
  minio-server:
    allow:
      - /v1/key/create/*
      - /v1/key/generate/*
      - /v1/key/decrypt/*
      - /v1/key/bulk/decrypt
      - /v1/key/list
      - /v1/status
      - /v1/metrics
      - /v1/log/audit
      - /v1/log/error
    identities:
      - ${MINIO_IDENTITY}
keys:
  - name: "minio-encryption-key-alpha"
  - name: "minio-encryption-key-baker"
  - name: "minio-encryption-key-charlie"
keystore:
  aws:
    secretsmanager:
      endpoint: secretsmanager.REGION.amazonaws.com
      region: REGION
      kmskey: ""
      credentials:
        accesskey: "${AWS_ACCESS_KEY}"
        secretkey: "${AWS_SECRET_KEY}"
"""


class Moto:
    """moto's server, a process of its own."""

    def __init__(self, folder):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        program = Path(sys.executable).parent / "moto_server"
        if not program.exists():
            pytest.skip("moto_server is not installed")
        with (folder / "moto.log").open("wb") as log:
            self.process = subprocess.Popen([program, "-p", str(self.port)], stdout=log, stderr=log)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{self.url}/moto-api/data.json", timeout=5).close()
                return
            except OSError:
                assert time.monotonic() < deadline and self.process.poll() is None, "moto does not start"
                time.sleep(0.1)

    def client(self, service):
        return boto3.client(service, endpoint_url=self.url, region_name=REGION, aws_access_key_id="looker",
                            aws_secret_access_key="on")

    def secrets(self):
        listed = self.client("secretsmanager").list_secrets(MaxResults=100)["SecretList"]
        return {secret["Name"]: secret for secret in listed}

    def check_signatures(self):
        """From now on, as AWS does."""
        count = urllib.request.Request(f"{self.url}/moto-api/reset-auth", b"0", {"Content-Type": "text/plain"})
        urllib.request.urlopen(count).close()

    def kill(self):
        self.process.kill()
        self.process.wait()


class Identity:
    def __init__(self, folder, name, cert=None):
        self.key, self.cert = folder / f"{name}.key", folder / (cert or f"{name}.cert")
        run("kes", "identity", "new", name, "--key", self.key, "--cert", self.cert, "--ip", "127.0.0.1")
        self.hash = run("kes", "identity", "of", self.cert).stdout.strip()


class DocumentedServer:
    """`strongroom kes server --config` in the folder of its certificate, on the documented configuration."""

    def __init__(self, folder, endpoint, edit=lambda text: text, **env):
        self.folder, self.port, self.log = folder, free_port(), folder / "kes.log"
        self.server, self.root, self.minio, self.stranger = (
            Identity(folder, name) for name in ("kes-server", "root", "minio", "stranger"))
        text = DOCUMENTED.replace("secretsmanager.REGION.amazonaws.com", endpoint).replace("REGION", REGION)
        (folder / "config.yaml").write_text(edit(text))
        values = {"ROOT_IDENTITY": self.root.hash, "MINIO_IDENTITY": self.minio.hash, "AWS_ACCESS_KEY": "AKIADOCUMENTED",
                  "AWS_SECRET_KEY": "documented-secret"} | env
        # AWS credentials of whoever runs the tests are not for this server.
        self.env = clean_env(**{"AWS_EC2_METADATA_DISABLED": "true", "HOME": folder} | values)
        self.process = None

    def launch(self):
        args = [BINARY, "kes", "server", "--config", "config.yaml", "--addr", f"127.0.0.1:{self.port}"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(args, cwd=self.folder, env=self.env, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL)
        return self

    def start(self):
        self.launch()
        deadline = time.monotonic() + START_SECONDS
        while not self.is_up():
            assert self.process.poll() is None and time.monotonic() < deadline, self.printed()
            time.sleep(0.1)
        return self

    def is_up(self):
        try:
            return self.call(self.root, "GET", "/v1/ready")[0] == 200
        except OSError:
            return False

    def printed(self):
        return self.log.read_text(errors="replace")

    def connect(self, identity):
        context = ssl.create_default_context(cafile=str(self.server.cert))
        context.load_cert_chain(identity.cert, identity.key)
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=ANSWER_SECONDS)

    def call(self, identity, method, path, body=None):
        """Status, and what the body says: parsed if it is JSON."""
        connection = self.connect(identity)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            text = answer.read()
            is_json = answer.headers.get("Content-Type", "").startswith("application/json")
            return answer.status, json.loads(text) if is_json and text else text.decode()
        finally:
            connection.close()

    def follow(self, identity, path):
        """A log stream: the answer, once its head is there."""
        connection = self.connect(identity)
        connection.request("GET", path)
        return connection, connection.getresponse()

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def moto(tmp_path):
    server = Moto(tmp_path)
    yield server
    server.kill()


@pytest.fixture
def kes(tmp_path, moto):
    folder = tmp_path / "kes"
    folder.mkdir()
    server = DocumentedServer(folder, moto.url).start()
    yield server
    server.kill()


@pytest.fixture
def unstarted(tmp_path):
    """Makes servers that the test starts itself."""
    made = []

    def make(endpoint, **kwargs):
        folder = tmp_path / f"kes-{len(made)}"
        folder.mkdir()
        made.append(DocumentedServer(folder, endpoint, **kwargs))
        return made[-1]

    yield make
    for server in made:
        server.kill()


def end_of(server):
    """Exit code and the only sentence but for warnings, of a server that cannot start."""
    code = server.launch().process.wait(START_SECONDS)
    said = [line for line in server.printed().splitlines() if not line.startswith("WARNING: config.yaml: ")]
    assert len(said) == 1, said
    return code, said[0]


def b64(data):
    return base64.b64encode(data).decode()


def generated(kes, key, identity=None):
    status, dek = kes.call(identity or kes.minio, "POST", f"/v1/key/generate/{key}", {})
    assert status == 200, dek
    return dek


def test_declared_keys_exist_after_the_start(moto, kes):
    assert sorted(moto.secrets()) == DECLARED
    reader = moto.client("secretsmanager")
    values = {reader.get_secret_value(SecretId=name)["SecretString"] for name in DECLARED}
    assert len(values) == len(DECLARED), "each key is its own"
    for value in values:
        assert kes.root.hash.encode() in base64.b64decode(value, validate=True), "made by the root identity"
    assert all("KmsKeyId" not in secret or not secret["KmsKeyId"] for secret in moto.secrets().values())
    printed = kes.printed()
    assert f"AWS SecretsManager: {moto.url}" in re.sub("\x1b\\[[0-9;]*m", "", printed), printed
    assert "documented-secret" not in printed


def test_a_second_start_keeps_the_keys(moto, kes):
    dek = generated(kes, ALPHA)
    kes.kill()
    kes.start()
    status, plain = kes.call(kes.minio, "POST", f"/v1/key/decrypt/{ALPHA}", {"ciphertext": dek["ciphertext"]})
    assert (status, plain) == (200, {"plaintext": dek["plaintext"]})


def test_the_policy_lets_minio_do_what_it_grants(moto, kes):
    minio = kes.minio
    assert kes.call(minio, "POST", "/v1/key/create/made-by-minio") == (200, "")
    assert "made-by-minio" in moto.secrets()
    assert kes.call(minio, "POST", "/v1/key/create/made-by-minio") == (400, {"message": "key already exists"})

    context = b64(b"bucket/object")
    status, dek = kes.call(minio, "POST", f"/v1/key/generate/{BAKER}", {"context": context})
    assert status == 200 and len(base64.b64decode(dek["plaintext"])) == 32
    sealed = {"ciphertext": dek["ciphertext"], "context": context}
    assert kes.call(minio, "POST", f"/v1/key/decrypt/{BAKER}", sealed) == (200, {"plaintext": dek["plaintext"]})

    # Through the grant of decrypt: "/v1/key/bulk/decrypt" alone matches no path.
    status, plain = kes.call(minio, "POST", f"/v1/key/bulk/decrypt/{BAKER}", [sealed, sealed])
    assert (status, plain) == (200, [{"plaintext": dek["plaintext"]}] * 2)

    for everything in ("/v1/key/list/", "/v1/key/list/*"):
        status, page = kes.call(minio, "GET", everything)
        assert status == 200, page
        assert page["names"] == ["made-by-minio", *DECLARED]

    status, about = kes.call(minio, "GET", "/v1/status")
    assert status == 200 and about["keystore_latency"] > 0
    assert "keystore_unreachable" not in about and "keystore_unavailable" not in about
    status, metrics = kes.call(minio, "GET", "/v1/metrics")
    assert status == 200 and "kes_" in metrics


@pytest.mark.parametrize("stream", ["audit", "error"])
def test_the_policy_lets_minio_follow_the_logs(kes, stream):
    connection, answer = kes.follow(kes.minio, f"/v1/log/{stream}")
    try:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        if stream == "audit":
            generated(kes, ALPHA)
            deadline = time.monotonic() + ANSWER_SECONDS
            while (event := json.loads(answer.readline()))["request"]["path"] != f"/v1/key/generate/{ALPHA}":
                assert time.monotonic() < deadline
            assert event["request"]["identity"] == kes.minio.hash and event["response"]["code"] == 200
    finally:
        connection.close()


@pytest.mark.parametrize("method, path, body", [
    ("DELETE", f"/v1/key/delete/{ALPHA}", None),
    ("GET", f"/v1/key/describe/{ALPHA}", None),
    ("POST", "/v1/key/import/mine", {"key": b64(bytes(32)), "cipher": "AES256"}),
    ("POST", f"/v1/key/encrypt/{ALPHA}", {"plaintext": b64(b"x")}),
    ("PUT", f"/v1/key/hmac/{ALPHA}", {"message": b64(b"x")}),
    ("GET", "/v1/key/list/minio", None),
    ("GET", "/v1/key/list/minio*", None),
    ("GET", "/v1/policy/read/minio-server", None),
    ("GET", "/v1/policy/describe/minio-server", None),
    ("GET", "/v1/policy/list/", None),
    ("GET", "/v1/identity/list/", None),
    ("GET", "/v1/ready", None),
    ("GET", "/v1/api", None),
])
def test_the_policy_grants_nothing_else(moto, kes, method, path, body):
    refused = (403, {"message": "not authorized: insufficient permissions"})
    assert kes.call(kes.minio, method, path, body) == refused
    assert sorted(moto.secrets()) == DECLARED


def test_an_identity_without_a_policy_may_do_nothing(kes):
    for method, path in [("POST", f"/v1/key/generate/{ALPHA}"), ("POST", f"/v1/key/bulk/decrypt/{ALPHA}"),
                         ("GET", "/v1/key/list/"), ("GET", "/v1/status")]:
        assert kes.call(kes.stranger, method, path)[0] == 403, path


def test_a_deleted_key_is_gone_from_aws(moto, kes):
    assert kes.call(kes.root, "DELETE", f"/v1/key/delete/{CHARLIE}")[0] == 200
    assert sorted(moto.secrets()) == [ALPHA, BAKER]
    missing = (404, {"message": "key does not exist"})
    assert kes.call(kes.minio, "POST", f"/v1/key/generate/{CHARLIE}", {}) == missing
    assert kes.call(kes.minio, "POST", f"/v1/key/create/{CHARLIE}")[0] == 200


def test_the_kms_key_of_the_configuration_encrypts_new_secrets(moto, unstarted):
    server = unstarted(moto.url, edit=lambda text: text.replace('kmskey: ""', "kmskey: alias/kes")).start()
    assert {secret["KmsKeyId"] for secret in moto.secrets().values()} == {"alias/kes"}
    generated(server, ALPHA)


def test_a_store_that_is_away_at_the_start_is_one_sentence(unstarted):
    endpoint = f"http://127.0.0.1:{free_port()}"
    code, said = end_of(unstarted(endpoint))
    assert code == 1
    assert f"key store is not reachable: AWS Secrets Manager at {endpoint} gives no answer" in said
    assert "documented-secret" not in said


def test_while_the_store_is_away_known_keys_work(moto, kes):
    dek = generated(kes, ALPHA)
    # Nobody has used this one: a copy that the server cannot know.
    value = moto.client("secretsmanager").get_secret_value(SecretId=BAKER)["SecretString"]
    moto.client("secretsmanager").create_secret(Name="unused", SecretString=value)
    moto.kill()

    status, plain = kes.call(kes.minio, "POST", f"/v1/key/decrypt/{ALPHA}", {"ciphertext": dek["ciphertext"]})
    assert (status, plain) == (200, {"plaintext": dek["plaintext"]})
    generated(kes, ALPHA)
    assert kes.call(kes.minio, "POST", "/v1/key/generate/unused", {}) == (502, {"message": "failed to read key"})
    assert kes.call(kes.minio, "POST", "/v1/key/create/new") == (502, {"message": "failed to create key"})
    assert kes.call(kes.minio, "GET", "/v1/key/list/") == (502, {"message": "failed to list keys"})
    assert kes.call(kes.root, "GET", "/v1/ready") == (504, {"message": "key store is not reachable"})
    status, about = kes.call(kes.minio, "GET", "/v1/status")
    assert status == 200
    assert about["keystore_unreachable"] is True and about["keystore_unavailable"] is True


@pytest.fixture
def user(moto):
    """A user of AWS with the four rights that a key server needs, where signatures are checked."""
    iam = moto.client("iam")
    iam.create_user(UserName="kes")
    rights = [f"secretsmanager:{right}" for right in ("CreateSecret", "GetSecretValue", "DeleteSecret", "ListSecrets")]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": rights, "Resource": "*"}]}
    iam.put_user_policy(UserName="kes", PolicyName="kes", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="kes")["AccessKey"]
    moto.check_signatures()
    return key["AccessKeyId"], key["SecretAccessKey"]


def test_four_rights_are_enough(moto, user, unstarted):
    server = unstarted(moto.url, AWS_ACCESS_KEY=user[0], AWS_SECRET_KEY=user[1]).start()
    dek = generated(server, ALPHA)
    sealed = {"ciphertext": dek["ciphertext"]}
    assert server.call(server.minio, "POST", f"/v1/key/decrypt/{ALPHA}", sealed)[1]["plaintext"] == dek["plaintext"]
    assert server.call(server.minio, "POST", "/v1/key/create/more")[0] == 200
    assert server.call(server.root, "DELETE", "/v1/key/delete/more")[0] == 200
    assert server.call(server.minio, "GET", "/v1/key/list/") == (200, {"names": DECLARED})


def test_wrong_credentials_stop_the_start_in_one_sentence(moto, user, unstarted):
    code, said = end_of(unstarted(moto.url, AWS_ACCESS_KEY=user[0], AWS_SECRET_KEY="wrong-secret"))
    assert code == 1
    assert "ListSecrets" in said and "403" in said, said
    assert "wrong-secret" not in said


def without_credentials(text):
    return text[: text.index("      credentials:")]


def test_without_credentials_in_the_configuration_the_environment_has_them(moto, user, unstarted):
    server = unstarted(moto.url, edit=without_credentials, AWS_ACCESS_KEY_ID=user[0], AWS_SECRET_ACCESS_KEY=user[1])
    generated(server.start(), ALPHA)


def test_without_any_credentials_the_start_says_where_it_looked(moto, unstarted):
    code, said = end_of(unstarted(moto.url, edit=without_credentials))
    assert code == 1
    assert "no AWS credentials were found" in said and "documented-secret" not in said


def test_the_role_of_the_instance_gives_credentials(moto, unstarted, tmp_path):
    port = free_port()
    fake = Path(__file__).parent / "fakes/imds.py"
    instance = subprocess.Popen([sys.executable, fake, "--port", str(port)], stderr=subprocess.DEVNULL)
    try:
        server = unstarted(moto.url, edit=without_credentials, AWS_EC2_METADATA_DISABLED="false",
                           AWS_EC2_METADATA_SERVICE_ENDPOINT=f"http://127.0.0.1:{port}")
        generated(server.start(), ALPHA)
    finally:
        instance.kill()
        instance.wait()
