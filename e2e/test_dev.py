"""`strongroom dev`: one command, two servers, credentials; as a person would use it, with the lines that it prints."""

import os
import re
import shlex
import subprocess
import time

import pytest

from conftest import content
from strongroom import Server, answers, clean_env, free_port, stored_bytes_contain


def sourced(folder):
    """The environment after `. DIR/env` in a shell."""
    out = subprocess.run(["sh", "-c", '. "$0/env" && env -0', str(folder)], env=clean_env(), check=True,
                         capture_output=True).stdout
    return dict(line.split("=", 1) for line in out.decode().split("\0") if "=" in line)


class Dev(Server):
    def __init__(self, folder):
        self.folder = folder
        args = ["dev", folder, "--address", f"127.0.0.1:{free_port()}", "--kes-address", f"127.0.0.1:{free_port()}"]
        super().__init__(args, clean_env(), folder.parent / "dev.log", self.is_ready)

    def is_ready(self):
        if not (self.folder / "env").is_file():
            return False
        env = sourced(self.folder)
        return answers(f"{env['AWS_ENDPOINT_URL']}/minio/health/ready", env["AWS_CA_BUNDLE"])

    def sh(self, line, check=True):
        done = subprocess.run(["sh", "-c", line], env=sourced(self.folder) | {"PATH": os.environ["PATH"]},
                              capture_output=True, text=True, cwd=self.folder.parent, timeout=60)
        assert not check or done.returncode == 0, f"{line}: {done.stderr}"
        return done


@pytest.fixture
def dev(tmp_path):
    server = Dev(tmp_path / "dev").start()
    yield server
    server.kill()


EXPORTS = ["AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_CA_BUNDLE",
           "KES_SERVER", "KES_API_KEY", "KES_CA_CERT"]


def test_env_file_has_everything_and_is_private(dev):
    env = sourced(dev.folder)
    assert [name for name in EXPORTS if not env.get(name)] == []
    assert (dev.folder / "env").stat().st_mode & 0o077 == 0
    assert env["AWS_ENDPOINT_URL"].startswith("https://")


def test_printed_commands_work_as_printed(dev, tmp_path):
    printed = dev.log.read_text()
    commands = [line.strip().removeprefix("$ ") for line in printed.splitlines() if "aws s3" in line]
    assert len(commands) >= 3, printed
    (tmp_path / "hello.txt").write_text("hello")
    for command in commands:
        assert shlex.split(command)
        dev.sh(command)


def test_objects_lie_encrypted_and_survive_a_kill(dev, tmp_path):
    data, marker = content(10_000)
    (tmp_path / "in").write_bytes(data)
    dev.sh("aws s3 mb s3://box && aws s3 cp in s3://box/file")
    assert not stored_bytes_contain(dev.folder, marker)
    before = sourced(dev.folder)

    dev.restart()

    assert sourced(dev.folder) == before, "the same credentials and ports"
    dev.sh("aws s3 cp s3://box/file out")
    assert (tmp_path / "out").read_bytes() == data


def test_removing_the_key_makes_objects_unreadable_in_words(dev, tmp_path):
    (tmp_path / "in").write_bytes(b"secret")
    dev.sh("aws s3 mb s3://box && aws s3 cp in s3://box/file")
    kes = os.environ.get("STRONGROOM_BINARY", "strongroom") + " kes"
    (key,) = dev.sh(f"{kes} key ls --json | python3 -c 'import json,sys; print(*json.load(sys.stdin))'").stdout.split()
    dev.sh(f"{kes} key rm {key}")
    time.sleep(int(re.search(r"still works for up to (\d+) seconds", dev.log.read_text()).group(1)) + 1)
    refused = dev.sh("aws s3 cp s3://box/file out", check=False)
    assert refused.returncode != 0 and key in refused.stderr
    assert not (tmp_path / "out").exists()
    # A key that is gone is not replaced by another of the same name: the start is refused, in words.
    dev.stop()
    with pytest.raises(AssertionError, match=f"{key}.*backup"):
        dev.start()


def test_a_key_made_by_hand_serves_sse_kms(dev, tmp_path):
    (tmp_path / "in").write_bytes(b"secret")
    kes = os.environ.get("STRONGROOM_BINARY", "strongroom") + " kes"
    put = "aws s3 cp in s3://box/file --sse aws:kms --sse-kms-key-id of-my-own"
    dev.sh("aws s3 mb s3://box")
    refused = dev.sh(put, check=False)
    assert "KMS.NotFoundException" in refused.stderr and "of-my-own" in refused.stderr
    dev.sh(f"{kes} key create of-my-own && {put} && aws s3 cp s3://box/file out")
    assert (tmp_path / "out").read_bytes() == b"secret"


def test_names_as_links_work(dev, tmp_path):
    link = tmp_path / "kes"
    link.symlink_to(os.path.realpath(os.environ["STRONGROOM_BINARY"]))
    assert "strongroom" in dev.sh(f"{link} key ls").stdout or dev.sh(f"{link} key ls").stdout
