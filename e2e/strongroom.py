"""The real binary, started, stopped and killed. Tests import this and nothing else of ours."""

import os
import re
import signal
import socket
import ssl
import subprocess
import time
import urllib.request
from pathlib import Path

BINARY = os.environ.get("STRONGROOM_BINARY") or str(
    Path(__file__).resolve().parent.parent / "target/debug/strongroom"
)
START_SECONDS = 60
STOP_SECONDS = 20
KEY = "e2e-key"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def clean_env(**extra):
    """An environment without anybody's S3 or KMS settings."""
    kept = {k: v for k, v in os.environ.items() if not re.match(r"(AWS|MINIO|KES|RCLONE|STRONGROOM)_", k)}
    kept.update({k: str(v) for k, v in extra.items()})
    return kept


def run(*args, env=None, check=True, **kwargs):
    """Runs the binary to its end."""
    return subprocess.run(
        [BINARY, *map(str, args)], env=env or clean_env(), check=check, capture_output=True, text=True,
        timeout=START_SECONDS, **kwargs,
    )


def answers(url, ca):
    context = ssl.create_default_context(cafile=str(ca))
    try:
        with urllib.request.urlopen(url, context=context, timeout=2) as response:
            return response.status == 200
    except OSError:
        return False


class Server:
    """One running process of ours, restartable on the same directory."""

    def __init__(self, args, env, log, ready):
        self.args, self.env, self.log, self.ready = args, env, Path(log), ready
        self.process = None

    def start(self):
        out = self.log.open("ab")
        self.process = subprocess.Popen(
            [BINARY, *map(str, self.args)], env=self.env, stdout=out, stderr=out, stdin=subprocess.DEVNULL
        )
        out.close()
        deadline = time.monotonic() + START_SECONDS
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                text = self.log.read_text(errors="replace")[-4000:]
                self.kill()
                raise AssertionError(f"{self.args} did not come up:\n{text}")
            time.sleep(0.05)
        return self

    def kill(self):
        """As a power switch would: no chance to tidy up."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self):
        """As an operator would. Returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(STOP_SECONDS)
        return self.process.returncode

    def restart(self):
        self.kill()
        return self.start()

    def resident_mib(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024


class Identity:
    """A key and certificate made by `kes identity new`."""

    def __init__(self, folder, name):
        self.key, self.cert = folder / f"{name}.key", folder / f"{name}.crt"
        run("kes", "identity", "new", name, "--key", self.key, "--cert", self.cert, "--ip", "127.0.0.1",
            "--dns", "localhost")
        self.hash = run("kes", "identity", "of", self.cert).stdout.strip()


class KeyServer(Server):
    """`strongroom kes server` on a configuration and a keystore folder, with an admin and an application."""

    def __init__(self, folder, cache="0s"):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.port = folder, free_port()
        self.tls, self.admin, self.app = (Identity(folder, n) for n in ("tls", "admin", "app"))
        self.keystore = folder / "keystore"
        self.config = folder / "config.yml"
        self.config.write_text(f"""
version: v1
address: 127.0.0.1:{self.port}
admin: {{ identity: {self.admin.hash} }}
tls: {{ key: {self.tls.key}, cert: {self.tls.cert} }}
policy:
  app:
    allow:
    - /v1/key/create/*
    - /v1/key/generate/*
    - /v1/key/decrypt/*
    - /v1/key/bulk/decrypt
    - /v1/key/list/*
    - /v1/status
    identities: [ {self.app.hash} ]
cache: {{ expiry: {{ any: {cache}, unused: {cache} }} }}
api: {{ /v1/ready: {{ skip_auth: true }} }}
keys: [ {{ name: {KEY} }} ]
keystore: {{ fs: {{ path: {self.keystore} }} }}
""")
        url = f"https://127.0.0.1:{self.port}/v1/ready"
        super().__init__(["kes", "server", "--config", self.config], clean_env(), folder / "kes.log",
                         lambda: answers(url, self.tls.cert))

    def client_env(self):
        """For `strongroom kes …` as the admin."""
        return clean_env(KES_SERVER=f"127.0.0.1:{self.port}", KES_CA_CERT=self.tls.cert,
                         MINIO_KES_KEY_FILE=self.admin.key, MINIO_KES_CERT_FILE=self.admin.cert)

    def cli(self, *args, check=True):
        return run("kes", *args, env=self.client_env(), check=check)

    def server_env(self):
        """For `strongroom server` as the application."""
        return {
            "MINIO_KMS_KES_ENDPOINT": f"https://127.0.0.1:{self.port}",
            "MINIO_KMS_KES_KEY_NAME": KEY,
            "MINIO_KMS_KES_KEY_FILE": self.app.key,
            "MINIO_KMS_KES_CERT_FILE": self.app.cert,
            "MINIO_KMS_KES_CAPATH": self.tls.cert,
        }


class ObjectServer(Server):
    """`strongroom server PATH` over TLS."""

    def __init__(self, folder, kms=None, options=(), **env):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.data, self.port = folder, folder / "data", free_port()
        self.tls = Identity(folder, "s3")
        self.access_key, self.secret_key = "e2e-root", "e2e-root-secret"
        self.url = f"https://127.0.0.1:{self.port}"
        settings = clean_env(MINIO_ROOT_USER=self.access_key, MINIO_ROOT_PASSWORD=self.secret_key,
                             **(kms or {}), **env)
        args = ["server", self.data, "--address", f"127.0.0.1:{self.port}",
                "--tls-cert", self.tls.cert, "--tls-key", self.tls.key, *options]
        super().__init__(args, settings, folder / "server.log",
                         lambda: answers(f"{self.url}/minio/health/ready", self.tls.cert))
        self.ca = self.tls.cert

    def stored_bytes_contain(self, marker):
        return stored_bytes_contain(self.data, marker)


def stored_bytes_contain(folder, marker):
    """Whether any file below holds these bytes, looked at as they lie on the disk."""
    assert len(marker) >= 16, "a shorter marker is found by chance"
    return any(marker in path.read_bytes() for path in folder.rglob("*") if path.is_file())
