"""The key server as operators meet it: files that change under it, full disks, clients that misbehave, systemd."""

import base64
import contextlib
import datetime
import http.client
import json
import os
import resource
import signal
import socket
import ssl
import subprocess
import time

import pytest

from strongroom import BINARY, Identity, KeyServer, clean_env, free_port, run

# Two looks at the files, three seconds apart, and a slow machine.
NOTICED_SECONDS = 60


def context(server, identity=None, verify=True):
    made = ssl.create_default_context(cafile=str(server.tls.cert))
    if not verify:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    if identity:
        made.load_cert_chain(identity.cert, identity.key)
    return made


def connect(server, identity, source=None, **kwargs):
    return http.client.HTTPSConnection("127.0.0.1", server.port, context=context(server, identity, **kwargs),
                                       timeout=30, source_address=source and (source, 0))


def call(connection, method, path, body=None):
    """Status and JSON of one request on a connection that stays open."""
    connection.request(method, path, body=json.dumps(body) if body is not None else None)
    response = connection.getresponse()
    text = response.read()
    return response.status, json.loads(text) if text else None


def until(condition, seconds=NOTICED_SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def logged(server):
    return server.log.read_text(errors="replace")


def shown_certificate(server):
    return ssl.get_server_certificate(("127.0.0.1", server.port))


@pytest.fixture
def kes(tmp_path):
    server = KeyServer(tmp_path / "kes").start()
    yield server
    server.kill()


DESCRIBE = "/v1/key/describe/e2e-key"
GRANT = "    - /v1/status\n"


def grant(server, *patterns):
    text = server.config.read_text()
    server.config.write_text(text.replace(GRANT, GRANT + "".join(f"    - {p}\n" for p in patterns)))


def test_a_changed_policy_is_taken_without_a_signal_and_without_dropping_connections(kes):
    connection = connect(kes, kes.app)
    assert call(connection, "GET", DESCRIBE)[0] == 403
    live = connection.sock
    grant(kes, "/v1/key/describe/*")
    until(lambda: call(connection, "GET", DESCRIBE)[0] == 200)
    assert connection.sock is live, "the connection was made anew"
    assert "after a change of its files" in logged(kes)


def test_an_identity_that_loses_its_policy_is_refused_on_its_live_connection(kes):
    connection = connect(kes, kes.app)
    assert call(connection, "POST", "/v1/key/generate/e2e-key", {})[0] == 200
    live = connection.sock
    kes.config.write_text(kes.config.read_text().replace(kes.app.hash, "0" * 64))
    kes.process.send_signal(signal.SIGHUP)
    until(lambda: call(connection, "POST", "/v1/key/generate/e2e-key", {})[0] == 403)
    assert connection.sock is live


def test_an_invalid_file_changes_nothing_and_is_told_once(kes):
    connection = connect(kes, kes.app)
    whole = kes.config.read_text()
    kes.config.write_text(whole.replace("version: v1", "version: v9"))
    until(lambda: "Failed to reload server config" in logged(kes))
    assert "invalid config version 'v9'" in logged(kes)
    assert call(connection, "POST", "/v1/key/generate/e2e-key", {})[0] == 200
    # Several looks later it has not been told again.
    time.sleep(10)
    assert logged(kes).count("Failed to reload server config") == 1
    # A signal is an order, so it is answered each time.
    kes.process.send_signal(signal.SIGHUP)
    until(lambda: logged(kes).count("Failed to reload server config") == 2)
    kes.config.write_text(whole)
    grant(kes, "/v1/key/describe/*")
    until(lambda: call(connection, "GET", DESCRIBE)[0] == 200)


def test_a_renewed_certificate_is_shown_and_live_connections_stay(kes):
    connection = connect(kes, kes.app)
    assert call(connection, "GET", "/v1/status")[0] == 200
    live, before = connection.sock, shown_certificate(kes)
    # The certificate alone does not fit the key: half a renewal is refused.
    other = Identity(kes.folder, "renewed")
    kes.tls.cert.write_bytes(other.cert.read_bytes())
    until(lambda: "Failed to reload server config" in logged(kes))
    assert shown_certificate(kes) == before
    kes.tls.key.write_bytes(other.key.read_bytes())
    until(lambda: shown_certificate(kes) != before)
    assert shown_certificate(kes).split() == other.cert.read_text().split()
    assert call(connection, "GET", "/v1/status")[0] == 200
    assert connection.sock is live
    assert "Certificates have changed" in logged(kes)


def test_a_configuration_that_kubernetes_swaps_is_taken(tmp_path):
    kes = KeyServer(tmp_path / "kes")
    mount = tmp_path / "mount"
    mount.mkdir()

    def publish(version):
        folder = mount / version
        folder.mkdir()
        for source, name in ((kes.config, "server-config.yaml"), (kes.tls.key, "server.key"), (kes.tls.cert, "server.crt")):
            (folder / name).write_bytes(source.read_bytes())
        (mount / "..data_tmp").symlink_to(version)
        (mount / "..data_tmp").rename(mount / "..data")

    text = kes.config.read_text()
    text = text.replace(str(kes.tls.key), str(mount / "server.key")).replace(str(kes.tls.cert), str(mount / "server.crt"))
    kes.config.write_text(text)
    publish("..2024_01_01")
    for name in ("server-config.yaml", "server.key", "server.crt"):
        (mount / name).symlink_to(f"..data/{name}")
    # As the operator starts it.
    kes.args = ["kes", "server", f"--config={mount}/server-config.yaml", "--auth=off"]
    kes.start()
    try:
        connection = connect(kes, kes.app)
        assert call(connection, "GET", DESCRIBE)[0] == 403
        grant(kes, "/v1/key/describe/*")
        publish("..2024_01_02")
        until(lambda: call(connection, "GET", DESCRIBE)[0] == 200)
    finally:
        kes.kill()


def test_keys_in_a_mounted_secret_are_served_and_cannot_be_changed(tmp_path):
    kes = KeyServer(tmp_path / "kes").start()
    kes.stop()
    value = (kes.keystore / "e2e-key").read_bytes()
    (kes.keystore / "e2e-key").unlink()
    (kes.keystore / "..2024").mkdir()
    (kes.keystore / "..2024/e2e-key").write_bytes(value)
    (kes.keystore / "..data").symlink_to("..2024")
    (kes.keystore / "e2e-key").symlink_to("..data/e2e-key")
    secret = tmp_path / "secret"
    secret.write_bytes(value)
    (kes.keystore / "escape").symlink_to(secret)
    kes.start()
    try:
        connection = connect(kes, kes.admin)
        assert call(connection, "POST", "/v1/key/generate/e2e-key", {})[0] == 200
        assert call(connection, "GET", "/v1/key/list/")[1]["names"] == ["e2e-key"]
        assert call(connection, "POST", "/v1/key/generate/escape", {})[0] == 502
        assert call(connection, "POST", "/v1/key/create/e2e-key")[0] == 400
    finally:
        kes.kill()


def test_a_server_certificate_that_has_expired_is_served_and_refused_by_clients_only(tmp_path):
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization

    kes = KeyServer(tmp_path / "kes")
    key = serialization.load_pem_private_key(kes.tls.key.read_bytes(), None)
    old = x509.load_pem_x509_certificate(kes.tls.cert.read_bytes())
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.timezone.utc)
    names = old.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    expired = (x509.CertificateBuilder().subject_name(old.subject).issuer_name(old.subject)
               .public_key(key.public_key()).serial_number(7).not_valid_before(now - 2 * day).not_valid_after(now - day)
               .add_extension(names, critical=False)
               .sign(key, None if "Ed" in type(key).__name__ else hashes.SHA256()))
    kes.tls.cert.write_bytes(expired.public_bytes(serialization.Encoding.PEM))
    kes.ready = lambda: "up and running" in logged(kes)
    kes.start()
    try:
        with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
            call(connect(kes, kes.app), "GET", "/v1/status")
        assert call(connect(kes, kes.app, verify=False), "GET", "/v1/status")[0] == 200
    finally:
        kes.kill()


def test_a_server_certificate_without_a_host_is_refused_at_the_start(tmp_path):
    kes = KeyServer(tmp_path / "kes")
    done = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=localhost", "-days", "2",
         "-keyout", kes.tls.key, "-out", kes.tls.cert], capture_output=True)
    if done.returncode != 0:
        pytest.skip("there is no openssl here")
    ended = run(*kes.args, check=False)
    assert ended.returncode == 1
    assert "subject alternative name" in ended.stderr and str(kes.tls.cert) in ended.stderr


def test_an_encrypted_private_key_opens_with_the_password_of_the_configuration(tmp_path):
    kes = KeyServer(tmp_path / "kes")
    done = subprocess.run(["openssl", "pkcs8", "-topk8", "-in", kes.tls.key, "-passout", "pass:geheim"],
                          capture_output=True)
    if done.returncode != 0:
        pytest.skip("there is no openssl here")
    kes.tls.key.write_bytes(done.stdout)
    assert b"ENCRYPTED PRIVATE KEY" in done.stdout
    ended = run(*kes.args, check=False)
    assert ended.returncode == 1 and "no password is configured" in ended.stderr
    text = kes.config.read_text()
    kes.config.write_text(text.replace("tls: {", "tls: { password: falsch,"))
    ended = run(*kes.args, check=False)
    assert ended.returncode == 1 and "password is wrong" in ended.stderr and "falsch" not in ended.stderr
    kes.config.write_text(text.replace("tls: {", "tls: { password: geheim,"))
    kes.start()
    kes.kill()


@contextlib.contextmanager
def small_disk(folder, size):
    folder.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_fails_the_new_key_alone_and_leaves_nothing_half_done(tmp_path):
    kes = KeyServer(tmp_path / "kes")
    with small_disk(kes.keystore, "64k"):
        kes.start()
        try:
            connection = connect(kes, kes.admin)
            filler = kes.keystore / ".filler"
            with pytest.raises(OSError):
                filler.write_bytes(b"x" * (1 << 20))
            status, body = call(connection, "POST", "/v1/key/create/unlucky")
            assert (status, body["message"]) == (502, "failed to create key")
            assert "unlucky" in logged(kes) and "No space left" in logged(kes)
            assert call(connection, "POST", "/v1/key/generate/e2e-key", {})[0] == 200
            assert sorted(p.name for p in kes.keystore.iterdir()) == [".filler", "e2e-key"]
            filler.unlink()
            assert call(connection, "POST", "/v1/key/create/unlucky")[0] == 200
        finally:
            kes.kill()


def closed(sock, seconds):
    """Whether the other side ends the connection within this time. What it sends before is dropped."""
    sock.settimeout(seconds)
    try:
        while sock.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def test_slow_clients_are_cut_and_others_are_served_meanwhile(kes):
    silent = socket.create_connection(("127.0.0.1", kes.port))
    wrap = context(kes, kes.app).wrap_socket
    head = wrap(socket.create_connection(("127.0.0.1", kes.port)), server_hostname="127.0.0.1")
    head.sendall(b"GET /v1/status HTTP/1.1\r\nhost: x\r\n")
    body = wrap(socket.create_connection(("127.0.0.1", kes.port)), server_hostname="127.0.0.1")
    body.sendall(b"POST /v1/key/generate/e2e-key HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")
    assert call(connect(kes, kes.app), "POST", "/v1/key/generate/e2e-key", {})[0] == 200
    # Five seconds for a handshake and for a head, fifteen for a request.
    for sock in (silent, head, body):
        assert closed(sock, 40)
    assert call(connect(kes, kes.app), "GET", "/v1/status")[0] == 200


def test_more_connections_than_descriptors_do_not_end_the_server(kes):
    kes.stop()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        out = kes.log.open("ab")
        kes.process = subprocess.Popen(
            [BINARY, *map(str, kes.args)], env=kes.env, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128)))
        out.close()
        until(kes.ready)
        kept = connect(kes, kes.app)
        assert call(kept, "GET", "/v1/status")[0] == 200
        crowd = [socket.create_connection(("127.0.0.1", kes.port)) for _ in range(150)]
        # One address never has all places: another client still gets one, and the first keeps its own.
        other = connect(kes, kes.app, source="127.0.0.2")
        assert call(other, "GET", "/v1/status")[0] == 200
        assert call(kept, "POST", "/v1/key/generate/e2e-key", {})[0] == 200
        crowd += [socket.create_connection(("127.0.0.1", kes.port), source_address=("127.0.0.3", 0))
                  for _ in range(150)]
        until(lambda: "all places for connections are taken" in logged(kes))
        assert call(kept, "POST", "/v1/key/generate/e2e-key", {})[0] == 200
        other.close()
        for sock in crowd:
            sock.close()
        until(kes.ready)
        assert kes.process.poll() is None
    finally:
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


def test_the_limit_of_open_files_is_raised_as_far_as_it_goes(kes):
    kes.stop()
    out = kes.log.open("ab")
    kes.process = subprocess.Popen(
        [BINARY, *map(str, kes.args)], env=kes.env, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, 4000)))
    out.close()
    until(kes.ready)
    limits = open(f"/proc/{kes.process.pid}/limits").read()
    line = next(x for x in limits.splitlines() if x.startswith("Max open files"))
    assert line.split()[3:5] == ["4000", "4000"]


def test_systemd_is_told_of_start_reload_and_end(tmp_path):
    kes = KeyServer(tmp_path / "kes")
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(path))
        notify.settimeout(NOTICED_SECONDS)
        kes.env = clean_env(NOTIFY_SOCKET=path)
        kes.start()
        try:
            assert "READY=1" in notify.recv(4096).decode().splitlines()
            kes.process.send_signal(signal.SIGHUP)
            reloading = notify.recv(4096).decode().splitlines()
            assert "RELOADING=1" in reloading and any(x.startswith("MONOTONIC_USEC=") for x in reloading)
            assert "READY=1" in notify.recv(4096).decode().splitlines()
            assert kes.stop() == 0
            assert "STOPPING=1" in notify.recv(4096).decode().splitlines()
        finally:
            kes.kill()


def test_the_end_lets_running_requests_finish(kes):
    sock = context(kes, kes.app).wrap_socket(
        socket.create_connection(("127.0.0.1", kes.port)), server_hostname="127.0.0.1")
    body = b"{}"
    sock.sendall(b"POST /v1/key/generate/e2e-key HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n" + body[:1])
    follower = subprocess.Popen([BINARY, "kes", "log"], env=kes.client_env(), stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
    time.sleep(1)
    kes.process.send_signal(signal.SIGTERM)
    time.sleep(2)
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", kes.port), timeout=2).close()
    sock.sendall(body[1:])
    sock.settimeout(20)
    assert sock.recv(4096).startswith(b"HTTP/1.1 200")
    assert kes.process.wait(20) == 0
    follower.kill()
    follower.wait()


def test_no_core_file_is_written(kes):
    limits = open(f"/proc/{kes.process.pid}/limits").read()
    line = next(x for x in limits.splitlines() if x.startswith("Max core file size"))
    assert line.split()[4:6] == ["0", "0"]


def test_flags_of_older_servers_are_heard(tmp_path):
    kes = KeyServer(tmp_path / "kes")
    text = kes.config.read_text()
    line = next(x for x in text.splitlines() if x.startswith("tls:"))
    kes.config.write_text(text.replace(line, ""))
    kes.args += ["--key", kes.tls.key, "--cert", kes.tls.cert, "--auth=off", "--mlock", "--root", kes.app.hash]
    # The identity of the application is in a policy, so it cannot be the admin.
    ended = run(*kes.args, check=False)
    assert ended.returncode == 1 and "is already admin" in ended.stderr
    kes.args[-1] = "1" * 64
    kes.start()
    assert "deprecated" not in logged(kes)
    assert "1" * 64 in logged(kes)
    kes.kill()
    kes.config.write_text(text)
    kes.start()
    assert "'--key' flag is deprecated and no longer honored" in logged(kes)
    kes.kill()


def test_a_store_that_cannot_be_reached_ends_the_start_with_one_sentence(tmp_path):
    kes = KeyServer(tmp_path / "kes")
    text = kes.config.read_text()
    at = text.index("keystore:")
    kes.config.write_text(text[:at] + f"""
keystore:
  vault:
    endpoint: http://127.0.0.1:{free_port()}
    approle: {{ id: i, secret: geheim }}
""")
    ended = run(*kes.args, check=False)
    assert ended.returncode == 1
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("Error: ") and "Vault" in last and "geheim" not in ended.stderr
    # Keys on disk bridge the time until it is back.
    kes.config.write_text(kes.config.read_text().replace("unused: 0s }", f"unused: 0s }}, disk: {{ path: {tmp_path}/cache }}"))
    kes.ready = lambda: "up and running" in logged(kes)
    kes.start()
    assert "WARNING: Hashicorp Vault" in logged(kes)
    kes.kill()


def test_records_of_the_process_are_json_when_asked_for(tmp_path):
    kes = KeyServer(tmp_path / "kes")
    kes.args.append("--json")
    kes.start()
    kes.process.send_signal(signal.SIGHUP)
    until(lambda: "completed" in logged(kes))
    assert kes.stop() == 0
    lines = logged(kes).splitlines()
    assert len(lines) >= 3
    for line in lines:
        json.loads(line)


def test_one_client_s_bodies_do_not_fill_the_memory(kes):
    """Large bodies, all at once and none of them whole."""
    server = context(kes, kes.app)
    head = b"POST /v1/key/generate/e2e-key HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n\r\n"
    part = b'{"context":"' + base64.b64encode(os.urandom(400_000))
    crowd = []
    for _ in range(300):
        sock = server.wrap_socket(socket.create_connection(("127.0.0.1", kes.port)), server_hostname="127.0.0.1")
        sock.settimeout(0.2)
        with contextlib.suppress(OSError):
            sock.sendall(head + part)
        crowd.append(sock)
    assert kes.resident_mib() < 400
    for sock in crowd:
        sock.close()
    until(lambda: call(connect(kes, kes.app), "POST", "/v1/key/generate/e2e-key", {})[0] == 200)
