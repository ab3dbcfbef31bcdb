"""Every keystore that the key server has, running, configured as `docs/operating/keystores.md` writes it, and servers on them.

Real services where there are any (OpenBao, moto, drongo), else the fakes of `fakes/`. A `Wire` lies between a server and its
keystore where a test wants the way to be bad."""

import base64
import contextlib
import datetime
import functools
import http.client
import ipaddress
import json
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

import pytest

from strongroom import START_SECONDS, Identity, Server, answers, clean_env, free_port, run

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parent / "docs/operating/keystores.md"
FAKES = HERE / "fakes"
# No answer of a server takes longer: the limit of a route, and a slow machine.
ANSWER_SECONDS = 40
# moto keeps the secrets of each region apart.
REGIONS = ["us-east-2", "us-east-1", "us-west-1", "us-west-2", "eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1",
           "eu-north-1", "ap-south-1", "ap-northeast-1", "ap-northeast-2", "ap-southeast-1", "ap-southeast-2", "sa-east-1"]
NETWORK_KINDS = ["vault v2", "aws", "gcp", "azure", "ciphertrust", "keycontrol", "sdkms"]
KINDS = ["fs", "vault v1", "vault transit", "vault kubernetes", *NETWORK_KINDS]
DECLARED = "declared-key"


def documented(section, language="yaml"):
    """The block of a section of the document."""
    part = DOCUMENT.read_text().split(f"\n## `{section}`", 1)[1].split("\n## ", 1)[0]
    return part.split(f"```{language}\n", 1)[1].split("```", 1)[0]


def edited(text, *changes):
    """What a reader changes in it. All of that has to be there."""
    for old, new in changes:
        assert text.count(old) == 1, (old, text)
        text = text.replace(old, new)
    return text


def b64(data):
    return base64.b64encode(data).decode()


def until(condition, seconds=START_SECONDS, what="it"):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in time"
        time.sleep(0.1)


class Peer:
    """A program that listens on a port of its own."""

    def __init__(self, folder, program, *args, env=None):
        self.port = free_port()
        args = [str(arg).replace("PORT", str(self.port)) for arg in args]
        self.log = folder / f"{Path(args[0] if args else program).stem}-{self.port}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [program, *args], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=clean_env(PYTHONDONTWRITEBYTECODE="1", **(env or {})))
        until(self.listens, what=f"the start of {program}")

    def listens(self):
        assert self.process.poll() is None, self.log.read_text(errors="replace")
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        return False

    def pause(self):
        """Connections stay open and nothing answers."""
        self.process.send_signal(signal.SIGSTOP)
        # proc(5): the state comes after the name. Until the last thread has stopped, requests are answered.
        tasks = Path(f"/proc/{self.process.pid}/task")
        until(lambda: all((t / "stat").read_text().rpartition(") ")[2][0] == "T" for t in tasks.iterdir()))

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def tool(name):
    program = Path(sys.executable).parent / name
    if not program.exists():
        pytest.skip(f"{name} is not installed")
    return program


class Bao(Peer):
    """An OpenBao in development mode, and its operator."""

    def __init__(self, folder, ca):
        self.reviewers_ca = ca  # which it asks for, though that listens without TLS
        super().__init__(folder, tool("bao"), "server", "-dev", "-dev-root-token-id=root", "-dev-no-store-token",
                         "-dev-listen-address=127.0.0.1:PORT", env={"HOME": folder})
        self.url = f"http://127.0.0.1:{self.port}"
        # It listens before it is ready: the engine of the development server is mounted last.
        until(lambda: self.ask("GET", "sys/mounts/secret")[0] == 200)
        self.root("sys/auth/approle", type="approle")
        self.root("sys/mounts/transit", type="transit")
        self.root("transit/keys/kes")

    def ask(self, method, path, **body):
        request = urllib.request.Request(f"{self.url}/v1/{path}", json.dumps(body).encode() if body else None,
                                         {"X-Vault-Token": "root"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else {}
        except urllib.error.HTTPError as error:
            return error.code, {}
        except OSError:
            return 0, {}

    def root(self, path, **body):
        status, answer = self.ask("POST", path, **body)
        assert 200 <= status < 300, (path, status, answer)
        return answer

    def mount(self, name, version):
        self.root(f"sys/mounts/{name}", type="kv", options={"version": version})
        # A new versioned engine refuses everything while it sets itself up.
        until(lambda: self.ask("GET", f"{name}/data/none")[0] == 404)

    def approle(self, role, **options):
        """Its two credentials."""
        path = f"auth/approle/role/{role}"
        self.root(path, token_policies=role, **options)
        return self.ask("GET", f"{path}/role-id")[1]["data"]["role_id"], self.secret_id(role)

    def secret_id(self, role):
        return self.root(f"auth/approle/role/{role}/secret-id")["data"]["secret_id"]

    def revoke_tokens(self):
        self.root("sys/leases/revoke-prefix/auth/approle/login")

    @functools.cached_property
    def reviewer(self):
        """A Kubernetes API server, and a login by its tokens."""
        fake = FAKES / "kubernetes_token_review.py"
        peer = Peer(self.log.parent, sys.executable, fake, "--port", "PORT")
        self.root("sys/auth/kubernetes", type="kubernetes")
        self.root("auth/kubernetes/config", kubernetes_host=f"http://127.0.0.1:{peer.port}", disable_local_ca_jwt=True,
                  kubernetes_ca_cert=self.reviewers_ca.read_text(),
                  token_reviewer_jwt=self.service_account("kube-system/reviewer"))
        return peer

    def service_account(self, account):
        fake = FAKES / "kubernetes_token_review.py"
        return subprocess.run([sys.executable, fake, "--token", account], check=True, capture_output=True,
                              text=True).stdout.strip()

    def kill(self):
        if "reviewer" in self.__dict__:
            self.reviewer.kill()
        super().kill()


class Authority:
    """Certificates for servers on this machine, and for clients."""

    def __init__(self, folder):
        pytest.importorskip("cryptography.x509", reason="certificates are made with cryptography")
        self.folder, self.ca = folder, folder / "ca.pem"
        self.key, self.root = self.sign("e2e authority", ca=True)
        self.ca.write_bytes(self.pem(self.root))

    @staticmethod
    def pem(certificate):
        from cryptography.hazmat.primitives import serialization
        return certificate.public_bytes(serialization.Encoding.PEM)

    def sign(self, name, ca=False, days=1, client=False):
        """Key and certificate; days below zero make one that has expired."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.timezone.utc)
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        usage = x509.ExtendedKeyUsageOID.CLIENT_AUTH if client else x509.ExtendedKeyUsageOID.SERVER_AUTH
        builder = (x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
                   .issuer_name(subject if ca else self.root.subject).serial_number(x509.random_serial_number())
                   .not_valid_before(now - datetime.timedelta(days=abs(days) + 1))
                   .not_valid_after(now + datetime.timedelta(days=days))
                   .add_extension(x509.BasicConstraints(ca=ca, path_length=None), True))
        if not ca:
            builder = builder.add_extension(address, False).add_extension(x509.ExtendedKeyUsage([usage]), False)
        return key, builder.sign(key if ca else self.key, hashes.SHA256())

    def issue(self, name, **kwargs):
        """Paths of a certificate and its key."""
        from cryptography.hazmat.primitives import serialization
        key, certificate = self.sign(name, **kwargs)
        cert_file, key_file = self.folder / f"{name}.cert.pem", self.folder / f"{name}.key.pem"
        cert_file.write_bytes(self.pem(certificate))
        key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                               serialization.NoEncryption()))
        return cert_file, key_file


class Store:
    """A keystore that nobody else uses. `section` is YAML, in which `endpoint` can be replaced."""

    def __init__(self, kind, section, endpoint="", name="", env=None, secrets=(), peer=None, **facts):
        self.kind, self.text, self.endpoint, self.name, self.peer = kind, section, endpoint, name, peer
        self.env, self.secrets = env or {}, list(secrets)
        self.__dict__.update(facts)

    def section(self, endpoint=None):
        return self.text.replace(self.endpoint, endpoint) if endpoint else self.text

    def environment(self, endpoint=None):
        """HOME and the rest keep credentials of whoever runs the tests away."""
        env = {name: value.replace(self.endpoint, endpoint) if endpoint else value for name, value in self.env.items()}
        return clean_env(AWS_EC2_METADATA_DISABLED="true", **env)


class Services:
    """What can hold keys, started when it is first asked for, until the end of the session."""

    def __init__(self, folder):
        self.folder, self.peers, self.count = folder, [], 0

    def started(self, peer):
        self.peers.append(peer)
        return peer

    def stop(self):
        for peer in self.peers:
            peer.kill()

    def unique(self):
        self.count += 1
        return self.count

    @functools.cached_property
    def authority(self):
        return Authority(self.folder)

    @functools.cached_property
    def identities(self):
        """Of the servers, their admin and an application: all servers can share them."""
        return {name: Identity(self.folder, name) for name in ("tls", "admin", "app")}

    @functools.cached_property
    def bao(self):
        return self.started(Bao(self.folder, self.authority.ca))

    @functools.cached_property
    def moto(self):
        return self.started(Peer(self.folder, tool("moto_server"), "-p", "PORT"))

    @functools.cached_property
    def drongo(self):
        return self.started(Peer(self.folder, tool("drongo"), "server", "--host", "127.0.0.1", "-p", "PORT"))

    def fake(self, name, days=1):
        cert, key = self.authority.issue(f"{name}-{self.unique()}", days=days)
        return self.started(Peer(self.folder, sys.executable, FAKES / f"{name}.py", "--port", "PORT", "--cert", cert,
                                 "--key", key))

    def store(self, kind, **kwargs):
        return getattr(self, kind.split()[0])(kind, **kwargs)

    def fs(self, kind):
        path = self.folder / f"keys-{self.unique()}"
        return Store(kind, edited(documented("fs"), ("/var/lib/kes/keys", str(path))), name="Filesystem", path=path)

    def vault(self, kind, **role):
        bao, engine = self.bao, f"kv-{self.unique()}"
        variant = kind.split()[1]
        version = "v1" if variant == "v1" else "v2"
        bao.mount(engine, version[1:])
        text = edited(documented("vault"), ("https://vault.example.net:8200", bao.url), ("engine: kv ", f"engine: {engine} "),
                      ("version: v2 ", f"version: {version} "), ("ping: 10s", "ping: 1s"))
        login, other = (re.search(rf"^ *{start}.*\n", text, re.M)[0] for start in ("approle:", "# or: kubernetes:"))
        transit = re.search(r"^ *transit:.*\n", text, re.M)[0]
        policy = documented("vault", "hcl")
        if version == "v1":
            prose = DOCUMENT.read_text()
            policy = re.search(r"for v1 `(path .*?\})`", prose)[1]
        if variant == "transit":
            policy += "".join(f'path "transit/{what}/kes" {{ capabilities = ["update"] }}\n' for what in ("encrypt", "decrypt"))
        else:
            text = text.replace(transit, "")
        bao.root(f"sys/policies/acl/{engine}", policy=policy.replace('"kv/', f'"{engine}/'))
        env, secrets = {}, []
        if variant == "kubernetes":
            assert bao.reviewer
            bao.root(f"auth/kubernetes/role/{engine}", bound_service_account_names="kes",
                     bound_service_account_namespaces="minio", token_policies=engine)
            jwt = self.folder / f"{engine}.jwt"
            jwt.write_text(bao.service_account("minio/kes"))
            other = edited(other, ("# or: ", ""), ("role: kes", f"role: {engine}"),
                           ("/var/run/secrets/kubernetes.io/serviceaccount/token", str(jwt)))
            text, secrets = text.replace(login, other), [jwt.read_text()]
        else:
            env["ROLE_ID"], env["SECRET_ID"] = bao.approle(engine, **role)
            secrets = [env["SECRET_ID"]]
        return Store(kind, text, bao.url, "Hashicorp Vault", env, secrets, bao, engine=engine)

    def aws(self, kind):
        region, url = REGIONS[self.unique() % len(REGIONS)], f"http://127.0.0.1:{self.moto.port}"
        text = edited(documented("aws.secretsmanager"), ("secretsmanager.us-east-2.amazonaws.com", url),
                      ("region: us-east-2", f"region: {region}"))
        env = {"AWS_ACCESS_KEY_ID": f"AKIA{self.unique()}", "AWS_SECRET_ACCESS_KEY": "aws-secret-of-e2e"}
        # Others may have used the region.
        request = urllib.request.Request(
            url, b'{"MaxResults": 1}', {"X-Amz-Target": "secretsmanager.ListSecrets", "Content-Type": "application/x-amz-json-1.1",
                                        "Authorization": f"AWS4-HMAC-SHA256 Credential=a/20200101/{region}/secretsmanager/aws4_request"})
        if json.load(urllib.request.urlopen(request))["SecretList"]:
            return self.aws(kind)
        return Store(kind, text, url, "AWS SecretsManager", env, ["aws-secret-of-e2e"], self.moto)

    def gcp(self, kind):
        url = f"http://127.0.0.1:{self.drongo.port}"
        text = edited(documented("gcp.secretmanager"), ("project_id: my-project", f"project_id: project-{self.unique()}"),
                      ('endpoint: "" ', f'endpoint: "{url}" '))
        return Store(kind, text, url, "GCP SecretManager", {}, [], self.drongo)

    def azure(self, kind):
        peer = self.fake("azure_key_vault")
        url = f"https://127.0.0.1:{peer.port}"
        text = edited(documented("azure.keyvault"), ("https://my-vault.vault.azure.net", url), ('ca: ""', f"ca: {self.authority.ca}"),
                      ('tenant_id: "", client_id: "", client_secret: ""',
                       'tenant_id: a-tenant, client_id: an-application, client_secret: its-secret'))
        return Store(kind, text, url, "Azure KeyVault", {"AZURE_AUTHORITY_HOST": url}, ["its-secret"], peer)

    def appliance(self, kind, section, host, name, secret, env, days=1, **changes):
        peer = self.fake(kind, days)
        url = f"https://127.0.0.1:{peer.port}"
        text = edited(documented(section), (host, url), ('tls: { ca: "" }', f"tls: {{ ca: {self.authority.ca} }}"),
                      *changes.items())
        return Store(kind, text, url, name, env, [secret], peer)

    def ciphertrust(self, kind, **kwargs):
        return self.appliance(kind, "gemalto.keysecure", "https://ciphertrust.example.net", "Thales CipherTrust",
                              "refresh-secret", {"CIPHERTRUST_TOKEN": "refresh-secret"}, **kwargs)

    def keycontrol(self, kind, **kwargs):
        return self.appliance(kind, "entrust.keycontrol", "https://keycontrol.example.net", "Entrust KeyControl",
                              "keycontrol-secret", {"KEYCONTROL_PASSWORD": "keycontrol-secret"}, **kwargs)

    def sdkms(self, kind, **kwargs):
        return self.appliance(kind, "fortanix.sdkms", "https://sdkms.fortanix.com", "Fortanix SDKMS", "sdkms-secret",
                              {"SDKMS_API_KEY": "sdkms-secret"}, **kwargs)


class Wire:
    """The way to a service: it can be cut, fall silent, or lead elsewhere."""

    def __init__(self, target):
        self.port, self.target, self.listener = free_port(), target, None
        self.open, self.flows = set(), threading.Event()
        self.flows.set()
        self.mend()

    def url(self, store):
        return f"{store.endpoint.split('://')[0]}://127.0.0.1:{self.port}"

    def mend(self):
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=512)
        threading.Thread(target=self.accept, args=[self.listener], daemon=True).start()

    def cut(self):
        """Connections end, and no new ones are taken."""
        # A blocked accept() would keep the port.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.drop()

    def drop(self):
        for sock in list(self.open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def lead_to(self, target):
        self.target = target
        self.drop()

    def hold(self):
        """Connections are taken, and nothing comes of them."""
        self.flows.clear()

    def release(self):
        self.flows.set()

    def accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # cut
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            self.open |= {client, server}
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self.carry, args=pair, daemon=True).start()

    def carry(self, source, sink):
        try:
            while data := source.recv(1 << 16):
                self.flows.wait()
                sink.sendall(data)
        except OSError:
            pass
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self.open -= {source, sink}

    def end(self):
        self.release()
        with contextlib.suppress(OSError):
            self.cut()


class KeyStoreServer(Server):
    """`strongroom kes server` on one of the stores. Several can run on the same."""

    def __init__(self, folder, services, store, endpoint=None, cache="0s", keys=(DECLARED,), tls=""):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port, self.store = folder, free_port(), store
        self.tls, self.admin, self.app = (services.identities[name] for name in ("tls", "admin", "app"))
        self.config = folder / "config.yml"
        self.config.write_text(f"""
version: v1
address: 127.0.0.1:{self.port}
admin: {{ identity: {self.admin.hash} }}
tls: {{ key: {self.tls.key}, cert: {self.tls.cert}{tls} }}
policy:
  app:
    allow: [ /v1/key/create/*, /v1/key/generate/*, /v1/key/decrypt/*, /v1/key/bulk/decrypt/*, /v1/key/list/*, /v1/status ]
    identities: [ {self.app.hash} ]
cache: {{ expiry: {{ any: {cache}, unused: {cache} }} }}
api: {{ /v1/ready: {{ skip_auth: true }} }}
log: {{ error: on, audit: on }}
keys: [ {", ".join(f"{{ name: {key} }}" for key in keys)} ]
{store.section(endpoint)}""")
        self.config.chmod(0o600)
        super().__init__(["kes", "server", "--config", self.config], store.environment(endpoint), folder / "kes.log",
                         lambda: answers(f"https://127.0.0.1:{self.port}/v1/ready", self.tls.cert))

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.kill()

    def client(self, identity=None):
        return Client(self, identity or self.admin)

    def said(self):
        """Without the colours of the banner."""
        return re.sub("\x1b\\[[0-9;]*m", "", self.log.read_text(errors="replace"))

    def errors(self):
        """Records of failures, without time."""
        return [line for line in self.said().splitlines() if " level=ERROR " in line]

    def cli(self, *args):
        """A command of the admin, to its end."""
        env = clean_env(KES_SERVER=f"127.0.0.1:{self.port}", KES_CA_CERT=self.tls.cert, KES_CLIENT_KEY=self.admin.key,
                        KES_CLIENT_CERT=self.admin.cert)
        return run("kes", *args, env=env, check=False)

    def doctor(self):
        return run("kes", "doctor", "--config", self.config, "--json", env=self.env, check=False)

    def refuses_to_start(self):
        """The one sentence of a server that cannot start."""
        done = run(*self.args, env=self.env, check=False)
        assert done.returncode == 1, done
        lines = [line for line in done.stderr.splitlines() if not line.startswith("WARNING")]
        assert len(lines) == 1 and lines[0].startswith("Error: "), done.stderr
        assert_tells_no(done.stdout + done.stderr, self.store.secrets)
        return lines[0]


class Client:
    """One connection of one identity; made anew when the server has ended it."""

    def __init__(self, server, identity):
        self.port, context = server.port, ssl.create_default_context(cafile=str(server.tls.cert))
        context.load_cert_chain(identity.cert, identity.key)
        self.connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=context, timeout=ANSWER_SECONDS)

    def __call__(self, method, path, body=None):
        """Status, and what the answer says: parsed if it is JSON."""
        self.connection.request(method, path, None if body is None else json.dumps(body))
        answer = self.connection.getresponse()
        text = answer.read()
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        return answer.status, json.loads(text) if is_json and text else text.decode()

    def create(self, key):
        return self("POST", f"/v1/key/create/{key}")

    def generate(self, key):
        """A data key, which must be had."""
        status, made = self("POST", f"/v1/key/generate/{key}", {})
        assert status == 200, made
        assert len(base64.b64decode(made["plaintext"])) == 32
        return made

    def decrypts(self, key, made):
        assert self("POST", f"/v1/key/decrypt/{key}", {"ciphertext": made["ciphertext"]}) == (
            200, {"plaintext": made["plaintext"]})

    def names(self):
        """All of them, page after page."""
        names, page = [], {"continue_at": ""}
        while "continue_at" in page:
            page = self("GET", f"/v1/key/list/{quote(page['continue_at'])}")[1]
            names += page["names"]
        return names


def assert_tells_no(text, secrets):
    for secret in secrets:
        forms = [secret] if isinstance(secret, str) else [b64(secret), secret.hex(), b64(secret).rstrip("=")]
        for form in forms:
            assert len(form) >= 8 and form not in text, f"a secret is told: {form}"
