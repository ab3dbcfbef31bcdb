"""The whole command line of `kes`, by the real binary under that name, in a pipe and on a terminal."""

import hashlib
import json
import os
import pty
import random
import re
import select
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from strongroom import BINARY, START_SECONDS, KeyServer, clean_env

DOCS_SECONDS = 60


@pytest.fixture(scope="session")
def kes(tmp_path_factory):
    """The program, called `kes`."""
    link = tmp_path_factory.mktemp("bin") / "kes"
    link.symlink_to(Path(BINARY).resolve())
    return link


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = KeyServer(tmp_path_factory.mktemp("cli-kes")).start()
    yield server
    server.kill()


def pipe(kes, *args, env=None, **kwargs):
    return subprocess.run([kes, *map(str, args)], env=env or clean_env(), capture_output=True, text=True,
                          timeout=DOCS_SECONDS, **kwargs)


def terminal(kes, *args, env=None):
    """Runs on a pseudo-terminal of its own; gives what a person sees, and the exit code."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(kes, [str(kes), *map(str, args)], {**(env or clean_env()), "TERM": "xterm"})
    seen, deadline = b"", time.monotonic() + DOCS_SECONDS
    while time.monotonic() < deadline:
        ready, _, _ = select.select([fd], [], [], 1)
        if ready:
            try:
                chunk = os.read(fd, 65536)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            seen += chunk
    _, status = os.waitpid(pid, 0)
    os.close(fd)
    return seen.decode().replace("\r\n", "\n"), os.waitstatus_to_exitcode(status)


def test_help_is_two_on_stderr_and_mistakes_are_one(kes):
    for args in [[], ["--help"], ["-h"], ["key"], ["key", "create", "--help"], ["migrate", "--help"]]:
        done = pipe(kes, *args)
        assert (done.returncode, done.stdout) == (2, ""), args
        assert "Usage: kes" in done.stderr
    unknown = pipe(kes, "nonsense")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr == "Error: \"nonsense\" is not a kes command. See 'kes --help'\n"
    for flag in ["-v", "--version"]:
        done = pipe(kes, flag)
        assert done.returncode == 0
        assert [line.split()[0] for line in done.stdout.splitlines()] == ["Version", "Runtime", "License", "Copyright"]
        assert all(line[11] == " " and line[12] != " " for line in done.stdout.splitlines())


def test_lines_of_the_documentation_work_in_a_pipe(kes, server, tmp_path):
    key, cert = tmp_path / "client.key", tmp_path / "client.cert"
    made = pipe(kes, "identity", "new", "MyApp", f"--key={key}", f"--cert={cert}", "--ip=127.0.0.1", "--dns=localhost")
    assert made.returncode == 0, made.stderr
    of = pipe(kes, "identity", "of", cert)
    assert re.fullmatch(r"[0-9a-f]{64}", of.stdout), "bare, without newline"
    assert of.stdout in made.stdout
    env = server.client_env()

    def ok(*args):
        done = pipe(kes, *args, env=env)
        assert (done.returncode, done.stderr) == (0, ""), (args, done)
        return done.stdout

    assert ok("key", "create", "my-key-1") == ""
    assert ok("key", "create", "my-key-2", "-k") == ""
    assert ok("key", "ls", "my-*") == "Key\nmy-key-1\nmy-key-2\n"
    assert ok("ls", "my-") == "Key\nmy-key-1\nmy-key-2\n"
    dek = json.loads(ok("key", "dek", "my-key-1"))
    assert json.loads(ok("key", "decrypt", "my-key-1", dek["ciphertext"])) == {"plaintext": dek["plaintext"]}
    sealed = json.loads(ok("key", "encrypt", "my-key-1", "Hello World"))["ciphertext"]
    assert ok("key", "decrypt", "my-key-1", sealed) == '{"plaintext":"SGVsbG8gV29ybGQ="}'
    assert ok("policy", "ls") == "Policy\napp\n"
    assert json.loads(ok("policy", "show", "app"))["allow"]["/v1/status"] == {}
    assert server.app.hash in ok("identity", "ls")
    assert "Role        Admin\n" in ok("identity", "info")
    assert ok("status", "--short").startswith("● 127.0.0.1:")
    assert json.loads(ok("status", "--json"))["os"] == "linux"
    assert ok("key", "rm", "my-key-1", "my-key-2") == ""
    gone = pipe(kes, "key", "rm", "my-key-1", env=env)
    assert (gone.returncode, gone.stderr) == (1, 'Error: failed to remove key "my-key-1": key does not exist\n')


def test_a_terminal_shows_decorated_text_and_a_substitution_bare_text(kes, server):
    env = server.client_env()
    seen, code = terminal(kes, "key", "ls", "e2e", env=env)
    assert (seen, code) == ("\x1b[4mKey\x1b[0m\ne2e-key\n", 0)
    seen, code = terminal(kes, "key", "dek", "e2e-key", env=env)
    assert code == 0 and re.fullmatch(r"\nplaintext:  \S+\nciphertext: \S+\n", seen), seen
    seen, _ = terminal(kes, "identity", "of", server.app.cert)
    assert seen == f"Identity:\n\n   {server.app.hash}\n"
    # stderr is a terminal here, stdout is not.
    shell = shutil.which("sh")
    seen, _ = terminal(shell, "-c", f'ID=$({kes} identity of {server.app.cert}); printf "<%s>" "$ID"')
    assert seen == f"<{server.app.hash}>"


def test_logs_and_metrics_come_as_they_happen(kes, server):
    env = server.client_env()
    metric = subprocess.Popen([kes, "metric", "--rate", "200ms"], env=env, stdout=subprocess.PIPE, text=True)
    try:
        lines = [json.loads(metric.stdout.readline()) for _ in range(3)]
    finally:
        metric.kill()
        metric.wait()
    assert all("kes_http_response_time" in line for line in lines)
    assert lines[-1]["kes_system_up_time"] >= lines[0]["kes_system_up_time"]

    log = subprocess.Popen([kes, "log", "--audit", "--json"], env=env, stdout=subprocess.PIPE, text=True)
    try:
        for _ in range(START_SECONDS):
            pipe(kes, "key", "ls", env=env)
            ready, _, _ = select.select([log.stdout], [], [], 1)
            if ready:
                break
        assert "path" in json.loads(log.stdout.readline())["request"]
    finally:
        log.kill()
        log.wait()


def test_shells_complete_commands(kes, tmp_path):
    def candidates(line):
        done = pipe(kes, "kes", "x", "y", env=clean_env(COMP_LINE=line, COMP_POINT=len(line)))
        assert done.returncode == 0
        return done.stdout.split()

    assert candidates("kes key cr") == ["create"]
    assert candidates("kes m") == ["man", "metric", "migrate"]
    assert "--merge" in candidates("kes migrate --")
    assert "tool" not in candidates("kes ")

    env = clean_env(HOME=tmp_path, SHELL="/bin/bash")
    assert pipe(kes, "--auto-completion", env=env).returncode == 0
    line = f"complete -o default -C {kes} kes\n"
    assert (tmp_path / ".bashrc").read_text() == line
    assert "already" in pipe(kes, "--auto-completion", env=env).stdout
    assert (tmp_path / ".bashrc").read_text() == line
    # What the shell itself makes of it.
    bash = shutil.which("bash")
    if bash:
        assert subprocess.run([bash, "-n", tmp_path / ".bashrc"]).returncode == 0
        script = pipe(kes, "completion", "bash").stdout
        assert subprocess.run([bash, "-n"], input=script, text=True).returncode == 0
    assert pipe(kes, "man").stdout.count(".SH") > 3
    assert "kes\\-key\\-create" in pipe(kes, "man", "key", "create").stdout


def test_an_audit_log_is_proved_whole(kes, tmp_path):
    lines, prev = [], "0" * 64
    bodies = ['{"time":"2026-11-21T04:31:54Z","chain":{"version":1,"id":"%s","event":"start"}' % ("ab" * 16)]
    bodies += ['{"time":"2026-11-21T04:31:55Z","request":{"path":"/v1/key/create/%d"},"response":{"code":200}' % i for i in range(3)]
    for seq, body in enumerate(bodies):
        open_line = f'{body},"seq":{seq},"prev":"{prev}"'
        prev = hashlib.sha256(open_line.encode()).hexdigest()
        lines.append(f'{open_line},"hash":"{prev}"}}\n')
    log = tmp_path / "audit.log"
    log.write_text("".join(lines))
    whole = pipe(kes, "audit", "verify", log)
    assert whole.returncode == 0 and prev in whole.stdout, whole
    lines[2] = lines[2].replace("create/1", "create/7")
    log.write_text("".join(lines))
    broken = pipe(kes, "audit", "verify", log)
    assert (broken.returncode, broken.stdout) == (1, "")
    assert "line 3 is broken: its content was changed" in broken.stderr
    assert json.loads(pipe(kes, "audit", "verify", log, "--json").stdout)["line"] == 3


# ---- migrate

class Stores:
    """Two complete configurations, with a directory of keys each."""

    def __init__(self, folder, server):
        self.folder = folder
        self.source, self.target = folder / "source", folder / "target"
        self.configs = {}
        for name, keys in [("source", self.source), ("target", self.target)]:
            keys.mkdir()
            self.configs[name] = folder / f"{name}.yml"
            self.configs[name].write_text(
                f"version: v1\naddress: 127.0.0.1:0\nadmin: {{ identity: {server.admin.hash} }}\n"
                f"tls: {{ key: {server.tls.key}, cert: {server.tls.cert} }}\nkeystore: {{ fs: {{ path: {keys} }} }}\n")

    def fill(self, keys, count, text):
        for i in range(count):
            (keys / f"key-{i}").write_text(f"{text} {i} {os.urandom(30).hex()}\n")

    def args(self, *more):
        return ["migrate", "--from", self.configs["source"], "--to", self.configs["target"], *more]

    def values(self, keys):
        return {p.name: p.read_bytes() for p in keys.iterdir() if not p.name.startswith(".")}

    @property
    def journal(self):
        return Path(f"{self.configs['target']}.migrate-journal")


@pytest.fixture
def stores(tmp_path, server):
    return Stores(tmp_path, server)


def test_keys_migrate_and_a_second_run_has_nothing_to_do(kes, stores):
    stores.fill(stores.source, 3, "v")
    (stores.target / "other").write_text("mine")
    done = pipe(kes, *stores.args())
    assert (done.returncode, done.stderr) == (0, ""), done
    lines = done.stdout.splitlines()
    assert lines[:2] == ["Starting key migration:", "Migrated      3 keys successfully!"]
    assert lines[2].startswith("Verified      3 keys: read again from both stores, all equal (sha256 ")
    assert stores.values(stores.target) == {**stores.values(stores.source), "other": b"mine"}
    again = pipe(kes, *stores.args())
    assert again.stdout.splitlines()[1] == "Migration succeeded! No keys migrated."
    result = json.loads(pipe(kes, *stores.args("--json", "key-[01]")).stdout)
    assert (result["migrated"], result["equal"], result["verified"]) == (0, 2, 2)
    seen, code = terminal(kes, *stores.args())
    assert code == 0 and "Migration succeeded! No keys migrated." in seen


def test_keys_that_differ_stop_stay_or_are_replaced_as_told(kes, stores):
    stores.fill(stores.source, 3, "new")
    stores.fill(stores.target, 2, "old")
    before = stores.values(stores.target)
    stopped = pipe(kes, *stores.args())
    assert stopped.returncode == 1 and stores.values(stores.target) == before
    assert "the target has 2 keys with another value: key-0, key-1; '--merge'" in stopped.stderr
    dry = pipe(kes, *stores.args("-f", "--dry-run"))
    assert dry.returncode == 0 and stores.values(stores.target) == before
    assert "would create 1 key, replace 2" in dry.stdout
    merged = pipe(kes, *stores.args("--merge"))
    assert merged.returncode == 0, merged
    after = stores.values(stores.target)
    assert {k: after[k] for k in before} == before and after["key-2"] == stores.values(stores.source)["key-2"]
    forced = pipe(kes, *stores.args("-f"))
    assert forced.returncode == 0, forced
    assert stores.values(stores.target) == stores.values(stores.source)
    assert not stores.journal.exists()
    assert pipe(kes, *stores.args("-f", "--merge")).returncode == 1


def test_a_minio_kms_target_is_refused_in_words(kes, stores):
    done = pipe(kes, "migrate", "--from", stores.configs["source"], "-s", "kms:7373", "-e", "tenant", "-a", "k1:secret")
    assert done.returncode == 1 and "a MinIO KMS cannot be the target" in done.stderr
    assert "k1:secret" not in done.stderr
    assert "no target specified" in pipe(kes, "migrate", "--from", stores.configs["source"]).stderr


def written_since(folder, began):
    count = 0
    for entry in os.scandir(folder):
        try:
            count += entry.stat().st_mtime_ns >= began
        except FileNotFoundError:  # just being replaced
            count += 1
    return count


@pytest.mark.parametrize("force", [False, True])
def test_a_migration_killed_at_random_loses_no_key_and_goes_on(kes, stores, force):
    count = 400
    stores.fill(stores.source, count, "new")
    if force:
        stores.fill(stores.target, count, "old")
    source, old = stores.values(stores.source), stores.values(stores.target)
    args = [kes, *map(str, stores.args(*(["-f"] if force else [])))]
    kills = 0
    for _ in range(200):
        process = subprocess.Popen(args, env=clean_env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        # Some keys further; a replaced key shows by its time of writing.
        began, goal = time.time_ns(), random.randint(1, count // 5)
        while process.poll() is None and written_since(stores.target, began) < goal:
            pass
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        out, err = process.communicate()
        there = stores.values(stores.target)
        for name, value in there.items():
            assert value in (source[name], old.get(name)), f"{name} is half written"
        missing = set(old) - set(there)
        if missing:
            kept = stores.journal.read_bytes().split(b"\n", 3)
            assert len(missing) == 1 and kept[2] == b"name " + missing.pop().encode()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, err
    else:
        done = pipe(kes, *stores.args(*(["-f"] if force else [])))
        assert done.returncode == 0, done
        out = done.stdout
    assert kills > 0, "it was never interrupted"
    assert f"Verified {count:6} keys" in out
    assert stores.values(stores.target) == source == stores.values(stores.source)
    assert not stores.journal.exists()


def test_an_interrupt_from_the_keyboard_ends_between_keys(kes, stores):
    stores.fill(stores.source, 1500, "v")
    process = subprocess.Popen([kes, *map(str, stores.args())], env=clean_env(), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + START_SECONDS
    while not stores.values(stores.target) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=DOCS_SECONDS)
    assert process.returncode == 1 and "run the same command again to go on" in err, err
    assert pipe(kes, *stores.args()).returncode == 0
    assert stores.values(stores.target) == stores.values(stores.source)


# ---- doctor

def doctor(kes, config, env=None):
    done = pipe(kes, "doctor", "--config", config, "--json", env=env)
    result = json.loads(done.stdout)
    assert done.returncode == (0 if result["ok"] else 1)
    return result


def test_doctor_finds_nothing_wrong_with_a_server_that_runs(kes, server):
    result = doctor(kes, server.config)
    assert result["ok"], result
    text = pipe(kes, "doctor", "--config", server.config)
    assert text.returncode == 0 and text.stdout.isascii() and "ok   configuration file: " in text.stdout
    assert "is in use: by a running key server" in text.stdout
    seen, code = terminal(kes, "doctor", "--config", server.config)
    assert code == 0 and "✓ configuration file: " in seen


@pytest.mark.parametrize("old, new, result, words", [
    ("version: v1", "version: v1\n  broken: [", "failed", "line"),
    ("version: v1", "version: v1\nadress: 127.0.0.1:1", "warning", "'adress' is no known setting"),
    ("admin: { identity: ", "admin: { identity: '${NOT_SET_ANYWHERE}' } #", "failed", "variable NOT_SET_ANYWHERE"),
    ("tls.crt", "no-such.crt", "failed", "cannot read"),
    ("tls.key", "admin.key", "failed", "perhaps one of them was renewed alone"),
    ("/v1/key/create/*", "/v1/key/creation/*", "warning", "matches no request"),
    ("    - /v1/key/list/*", "    - /v1/key/list", "warning", "/v1/key/list"),
    ("identities: [ ", "identities: [ nobody, ", "warning", "'nobody' is no identity"),
    ("/keystore", "/admin.key", "failed", "is no directory"),
    ("/keystore", "/nowhere", "warning", "is not there"),
    ("any: 0s", "any: 1s, offline: 1ms", "warning", "cache"),
], ids=str)
def test_doctor_names_each_fault(kes, server, tmp_path, old, new, result, words):
    text = server.config.read_text()
    assert old in text
    config = tmp_path / "broken.yml"
    config.write_text(text.replace(old, new))
    checks = doctor(kes, config)["checks"]
    found = [f"{c['step']}: {c['message']}" for c in checks if c["result"] == result]
    assert any(words in line for line in found), checks


def test_doctor_names_a_broken_key_and_no_secret(kes, server, tmp_path):
    keys = tmp_path / "keys"
    shutil.copytree(server.keystore, keys)
    (keys / "e2e-key").write_text("")
    config = tmp_path / "kes.yml"
    config.write_text(server.config.read_text().replace(str(server.keystore), str(keys)))
    checks = doctor(kes, config)["checks"]
    assert any(c["step"] == "declared key e2e-key" and c["result"] == "failed" for c in checks), checks
    config.write_text(re.sub(r"keystore: .*", "keystore: { vault: { endpoint: 'http://127.0.0.1:1', approle: "
                                              "{ id: role, secret: geheim-1234 } } }", config.read_text()))
    done = pipe(kes, "doctor", "--config", config)
    assert done.returncode == 1 and "geheim" not in done.stdout + done.stderr
    assert "every user can read it" in done.stdout
