"""What can go wrong between the real key server and its keystore, or its clients. Whatever does: requests end in time, each
failure is one sentence in the log, keys that are remembered go on working, and no key is lost or written over."""

import concurrent.futures
import contextlib
import http.client
import http.server
import itertools
import json
import random
import signal
import ssl
import subprocess
import threading
import time

import pytest

from kes_stores import DECLARED, NETWORK_KINDS, KeyStoreServer, Wire, assert_tells_no, until
from strongroom import free_port, run

# The limit of a route, and a slow machine.
ROUTE_SECONDS = 15 + 5
NOT_REACHABLE = (504, {"message": "key store is not reachable"})
NO_READ = (502, {"message": "failed to read key"})
NO_CREATE = (502, {"message": "failed to create key"})
NO_LIST = (502, {"message": "failed to list keys"})


@contextlib.contextmanager
def wired(services, tmp_path, kind, cache="0s", store=None, **kwargs):
    """A server, and the way to its keystore."""
    store = store or services.store(kind)
    wire = Wire(store.peer.port)
    server = KeyStoreServer(tmp_path / kind.replace(" ", "-"), services, store, endpoint=wire.url(store), cache=cache, **kwargs)
    try:
        with server:
            yield server, wire
    finally:
        wire.end()
        assert_tells_no(server.said(), store.secrets)


@pytest.fixture(params=NETWORK_KINDS)
def kind(request):
    return request.param


def is_one_sentence(text):
    """For people: no names of types, no line that says things twice."""
    assert not any(word in text for word in ("Some(", "None", "Err(", "Error {", "::", "\\n", "panicked", "unwrap")), text
    words = text.split(": ")
    assert len(words) == len(set(words)), f"it repeats itself: {text}"
    assert 20 < len(text) < 700, text


def new_errors(server, since, least=1):
    """Records since then, of which there must be some: they are written by another thread than the one that answers."""
    until(lambda: len(server.errors()) >= since + least, what=f"a record in {server.errors()[since:]}")
    found = server.errors()[since:]
    for line in found:
        is_one_sentence(line.split("msg=", 1)[1])
    return found


def is_back(server):
    return server.client()("GET", "/v1/ready") == (200, "")


def test_without_its_keystore_a_server_does_not_start_and_says_why(services, kind, tmp_path):
    store = services.store(kind)
    gone = f"{store.endpoint.split('://')[0]}://127.0.0.1:{free_port()}"
    said = KeyStoreServer(tmp_path / "kes", services, store, endpoint=gone).refuses_to_start()
    assert store.name in said and gone in said and "reach" in said, said
    is_one_sentence(said)


def test_a_keystore_that_goes_and_comes_back_takes_no_key_with_it(services, kind, tmp_path):
    with wired(services, tmp_path, kind, cache="1h") as (server, wire):
        kes = server.client()
        assert kes.create("known") == (200, "")
        assert kes.create("other") == (200, "")
        known, declared = kes.generate("known"), kes.generate(DECLARED)
        assert not server.errors()

        wire.cut()
        started = time.monotonic()
        kes.decrypts("known", known)
        later = kes.generate("known")
        assert kes("POST", "/v1/key/generate/other", {}) == NO_READ, "it was never read"
        assert kes.create("new") == NO_CREATE
        assert kes.create("known")[0] in (400, 502), "but never 200"
        assert kes("GET", "/v1/key/list/") == NO_LIST
        assert kes("GET", "/v1/ready") == NOT_REACHABLE
        status, about = kes("GET", "/v1/status")
        assert status == 200 and about["keystore_unreachable"] is True
        assert kes("GET", "/v1/metrics")[0] == 200
        assert time.monotonic() - started < 6 * ROUTE_SECONDS
        errors = new_errors(server, 0, 3)
        for what in ("failed to read key 'other'", "failed to create key 'new'", "failed to list keys"):
            assert sum(what in line for line in errors) == 1, (what, errors)
        assert all("reach" in line for line in errors), errors

        wire.mend()
        until(lambda: is_back(server))
        assert kes.create("new") == (200, "")
        assert kes.create("known") == (400, {"message": "key already exists"})
        kes.generate("other")
        assert kes.names() == [DECLARED, "known", "new", "other"]
        assert server.stop() == 0
        # Nothing is remembered now.
        server.start()
        kes = server.client()
        for key, made in [("known", known), ("known", later), (DECLARED, declared)]:
            kes.decrypts(key, made)


def test_connections_that_break_at_any_moment_cost_no_key(services, kind, tmp_path):
    with wired(services, tmp_path, kind, cache="1h") as (server, wire):
        began = time.monotonic()

        def is_over(made):
            """Not before one was made: some services take many requests for that."""
            seconds = time.monotonic() - began
            return seconds > 30 or (seconds > 2 and made)

        def work(worker):
            """Names of keys that were made, and data keys that were had."""
            kes, made, data, counter = server.client(), set(), [], itertools.count()
            while not is_over(made):
                key = f"key-{worker}-{next(counter)}"
                status, body = kes.create(key)
                assert status in (200, 400, 502), (status, body)
                if status == 200:
                    made.add(key)
                status, dek = kes("POST", f"/v1/key/generate/{key}", {})
                assert status in (200, 404, 502), (status, dek)
                assert status != 404 or key not in made, f"{key} was made and is not there"
                if status == 200:
                    data.append((key, dek))
            return made, data

        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            working = [pool.submit(work, worker) for worker in range(3)]
            while not all(future.done() for future in working):
                time.sleep(random.uniform(0.01, 0.4))
                wire.drop()
        outcomes = [future.result() for future in working]
        made = set().union(*(names for names, _ in outcomes))
        assert made, server.errors()
        server.restart()
        kes = server.client()
        names = kes.names()
        assert made <= set(names) and names == sorted(set(names))
        for _, data in outcomes:
            for key, dek in data:
                kes.decrypts(key, dek)


@pytest.mark.parametrize("kind", ["fs", "vault v2", "sdkms"])
def test_a_server_that_is_killed_while_it_makes_keys_has_all_that_it_promised(services, kind, tmp_path):
    store = services.store(kind)
    with KeyStoreServer(tmp_path / "kes", services, store) as server:
        promised = []

        def work():
            kes = server.client()
            for i in range(10_000):
                key = f"key-{i}"
                assert kes.create(key) == (200, "")
                promised.append((key, kes.generate(key)))

        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            working = pool.submit(work)
            until(lambda: len(promised) > 20 or working.done())
            server.kill()
            with pytest.raises((OSError, http.client.HTTPException)):
                working.result()
        server.start()
        kes = server.client()
        for key, made in promised:
            kes.decrypts(key, made)
        # One more may be there, of which the client was not told; it is whole too.
        names = kes.names()
        assert len(names) - len(promised) in (1, 2), "those and the declared one"
        for key in names:
            kes.generate(key)


def timed(client, *request):
    started = time.monotonic()
    answer = client(*request)
    return answer, time.monotonic() - started


REQUESTS = [("POST", "/v1/key/create/new"), ("POST", "/v1/key/generate/other", {}), ("GET", "/v1/key/describe/other"),
            ("GET", "/v1/key/list/"), ("DELETE", "/v1/key/delete/other"), ("GET", "/v1/ready"), ("GET", "/v1/status")]


def ask_all_at_once(server):
    """Each answer, and how long it took."""
    with concurrent.futures.ThreadPoolExecutor(len(REQUESTS)) as pool:
        asked = [pool.submit(timed, server.client(), *request) for request in REQUESTS]
        return {request[1]: future.result() for request, future in zip(REQUESTS, asked)}


def check_answers_of_a_silent_store(server, answers):
    for path, ((status, body), seconds) in answers.items():
        assert seconds < ROUTE_SECONDS, (path, seconds)
        if path == "/v1/status":
            assert status == 200 and body["keystore_unreachable"] is True
        else:
            assert status == (504 if path == "/v1/ready" else 502), (path, status, body)
    errors = new_errors(server, 0, 5)
    for what in ("failed to create key 'new'", "failed to list keys", "failed to delete key 'other'"):
        assert sum(what in line for line in errors) == 1, (what, errors)


def test_a_vault_that_stands_still_holds_nobody_up(services, tmp_path):
    store = services.store("vault v2")
    with KeyStoreServer(tmp_path / "kes", services, store, cache="1h") as server:
        kes = server.client()
        assert kes.create("other") == (200, "")
        made = kes.generate(DECLARED)
        store.peer.pause()
        try:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                asked = pool.submit(ask_all_at_once, server)
                while not asked.done():
                    (answer, seconds) = timed(kes, "POST", f"/v1/key/decrypt/{DECLARED}", {"ciphertext": made["ciphertext"]})
                    assert answer[0] == 200 and seconds < 5, "a key that is remembered waits for nobody"
                    time.sleep(0.2)
            check_answers_of_a_silent_store(server, asked.result())
        finally:
            store.peer.resume()
        until(lambda: is_back(server))
        # What was cut short may have happened, or not; what was there is there.
        assert kes.create("new")[0] in (200, 400)
        assert kes.create("after") == (200, "")
        kes.generate("new")
        assert server.stop() == 0
        server.start()
        server.client().decrypts(DECLARED, made)


def test_no_keystore_that_falls_silent_holds_anybody_up(services, tmp_path):
    with contextlib.ExitStack() as stack:
        all_of_them = []
        for kind in NETWORK_KINDS:
            server, wire = stack.enter_context(wired(services, tmp_path, kind, cache="1h"))
            kes = server.client()
            assert kes.create("other") == (200, "")
            all_of_them.append((server, wire, kes.generate(DECLARED)))
        for _, wire, _ in all_of_them:
            wire.hold()
        with concurrent.futures.ThreadPoolExecutor(len(all_of_them)) as pool:
            asked = [pool.submit(ask_all_at_once, server) for server, _, _ in all_of_them]
            for server, _, made in all_of_them:
                server.client().decrypts(DECLARED, made)
            for future, (server, _, _) in zip(asked, all_of_them):
                check_answers_of_a_silent_store(server, future.result())
        for _, wire, _ in all_of_them:
            wire.drop()
            wire.release()
        for server, _, made in all_of_them:
            until(lambda: is_back(server))
            assert server.client().create("after") == (200, ""), server.errors()
            server.client().decrypts(DECLARED, made)


class Garbage(http.server.BaseHTTPRequestHandler):
    """Whatever is asked, the same nonsense."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, kind, body = self.server.nonsense
        if kind == "raw":
            self.wfile.write(body)
            self.close_connection = True
            return
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if body is None:  # as much as is taken
            self.end_headers()
            with contextlib.suppress(OSError):
                for _ in range(1 << 12):
                    self.wfile.write(b" " * (1 << 16))
            self.close_connection = True
            return
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_LIST = answer

    def log_message(self, *_):
        pass


class Crowd(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # clients that hang up


NONSENSE = {
    "a web page": (200, "text/html", b"<html>log in to the hotel's network</html>"),
    "nothing": (200, "application/json", b""),
    "other JSON": (200, "application/json", b'[{"data": 7}]'),
    "JSON of another shape": (200, "application/json", b'{"data": {"data": {"declared-key": 7}, "metadata": {"version": "one"}}}'),
    "no key": (200, "application/json", b'{"data": {"data": {"declared-key": "no key", "other": "no key", "known": "no key"}, '
                                        b'"metadata": {"version": 1}}}'),
    "broken JSON": (200, "application/json", b'{"data": {"data": {"other": "' + b"A" * 1000),
    "bytes": (200, "application/octet-stream", bytes(range(256)) * 16),
    "no end": (200, "application/json", None),
    "another protocol": (0, "raw", b"SSH-2.0-OpenSSH_9.2p1\r\n"),
    "a proxy's failure": (502, "text/html", b"<html>bad gateway</html>"),
    "a proxy's refusal": (403, "text/html", b"<html>blocked by your administrator</html>"),
    "a page that moved": (404, "text/html", b"<html>not found</html>"),
}


@pytest.fixture
def garbage():
    server = Crowd(("127.0.0.1", 0), Garbage)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_garbage_from_vault_is_no_key_and_harms_none(services, garbage, tmp_path):
    with wired(services, tmp_path, "vault v2", cache="1h") as (server, wire):
        kes = server.client()
        assert kes.create("other") == (200, "")
        assert kes.create("known") == (200, "")
        made, vault = kes.generate("known"), wire.target
        for what, nonsense in NONSENSE.items():
            garbage.nonsense = nonsense
            wire.lead_to(garbage.server_address[1])
            before = len(server.errors())
            kes.decrypts("known", made)
            statuses = []
            for request in (("POST", "/v1/key/generate/other", {}), ("POST", "/v1/key/create/new"), ("GET", "/v1/key/list/")):
                (status, body), seconds = timed(kes, *request)
                assert seconds < ROUTE_SECONDS, (what, request, seconds)
                statuses.append(status)
            read, created, listed = statuses
            # Whoever answers 404 says that there is no key, and one that shows another value that the name is taken.
            assert read == 502 or (read == 404 and nonsense[0] == 404), (what, statuses)
            assert created in (400, 502), (what, statuses)
            assert listed == 502 or (listed == 200 and nonsense[0] == 404), (what, statuses)
            assert server.process.poll() is None
            failed = statuses.count(502)
            assert len(new_errors(server, before, failed)) == failed, what
            assert server.resident_mib() < 400, what
            wire.lead_to(vault)
            until(lambda: is_back(server))
            kes.decrypts("known", made)
        assert kes.names() == [DECLARED, "known", "other"], "nothing was made"
        kes.generate("other")


def test_a_server_that_finds_garbage_at_its_start_says_so(services, garbage, tmp_path):
    store = services.store("vault v2")
    garbage.nonsense = NONSENSE["a web page"]
    endpoint = f"http://127.0.0.1:{garbage.server_address[1]}"
    said = KeyStoreServer(tmp_path / "kes", services, store, endpoint=endpoint).refuses_to_start()
    assert store.name in said and endpoint in said, said
    is_one_sentence(said)


def test_tokens_that_expire_or_are_revoked_are_replaced_unnoticed(services, tmp_path):
    brief = services.vault("vault v2", token_ttl="2s", token_max_ttl="2s")
    long = services.vault("vault v2", token_ttl="1h")
    with KeyStoreServer(tmp_path / "brief", services, brief) as first, \
            KeyStoreServer(tmp_path / "long", services, long) as second:
        kes, other = first.client(), second.client()
        made, others = kes.generate(DECLARED), other.generate(DECLARED)
        ends = time.monotonic() + 5
        while time.monotonic() < ends:
            kes.decrypts(DECLARED, made)
            time.sleep(0.05)
        for i in range(3):
            services.bao.revoke_tokens()
            other.decrypts(DECLARED, others)
            assert other.create(f"after-{i}") == (200, "")
        assert not first.errors() and not second.errors()


def test_a_revoked_secret_id_is_told_and_a_new_one_is_taken_without_a_restart(services, tmp_path):
    store = services.vault("vault v2")
    server = KeyStoreServer(tmp_path / "kes", services, store, cache="1h")
    with server:
        kes = server.client()
        assert kes.create("other") == (200, "")
        made = kes.generate(DECLARED)
        path = f"auth/approle/role/{store.engine}/secret-id/destroy"
        services.bao.root(path, secret_id=store.env["SECRET_ID"])
        services.bao.revoke_tokens()
        kes.decrypts(DECLARED, made)
        assert kes("POST", "/v1/key/generate/other", {}) == NO_READ
        assert kes.create("new") == NO_CREATE
        errors = new_errors(server, 0, 2)
        assert len(errors) == 2, errors
        assert all("approle" in line.lower() and "refused" in line for line in errors), errors
        fresh = services.bao.secret_id(store.engine)
        server.config.write_text(server.config.read_text().replace("${SECRET_ID}", fresh))
        server.process.send_signal(signal.SIGHUP)
        until(lambda: kes.create("new") == (200, ""))
        kes.generate("other")
        kes.decrypts(DECLARED, made)
    assert_tells_no(server.said(), [fresh, *store.secrets])


def test_a_keystore_whose_certificate_has_expired_is_not_spoken_to(services, tmp_path):
    for kind in ("ciphertrust", "keycontrol", "sdkms"):
        store = services.store(kind, days=-1)
        said = KeyStoreServer(tmp_path / kind, services, store).refuses_to_start()
        assert "expired" in said and "certificate" in said and store.endpoint in said, said
        is_one_sentence(said)


def test_a_client_whose_certificate_has_expired_is_refused_in_words(services, tmp_path):
    authority = services.authority
    server = KeyStoreServer(tmp_path / "kes", services, services.store("fs"), tls=f", auth: on, ca: {authority.ca}")

    class Signed:
        def __init__(self, name, **kwargs):
            self.cert, self.key = authority.issue(name, client=True, **kwargs)
            self.hash = run("kes", "identity", "of", self.cert).stdout.strip()

    good, expired = Signed("good-client"), Signed("expired-client", days=-1)
    # Whoever has no certificate of the authority is not even asked for readiness.
    server.ready = lambda: "up and running" in server.said()
    text = server.config.read_text()
    server.config.write_text(text.replace(server.app.hash, f"{good.hash}, {expired.hash}"))
    with server:
        made = server.client(good).generate(DECLARED)
        for identity in (expired, server.admin):
            # A request of ours could meet the end of the connection before the reason is read.
            with pytest.raises(ssl.SSLError) as refused:
                told = server.client(identity).connection
                told.connect()
                told.sock.recv(1)
            if identity is expired:
                assert "expired" in str(refused.value), refused.value
        server.client(good).decrypts(DECLARED, made)
        server.admin = expired
        done = server.cli("key", "dek", DECLARED)
        assert done.returncode == 1 and "expired" in done.stderr and "certificate" in done.stderr, done.stderr
        is_one_sentence(done.stderr)


def test_a_server_whose_certificate_has_expired_is_refused_in_words(services, tmp_path):
    server = KeyStoreServer(tmp_path / "kes", services, services.store("fs"))
    cert, key = services.authority.issue("expired-server", days=-1)
    text = server.config.read_text()
    server.config.write_text(text.replace(str(server.tls.key), str(key)).replace(str(server.tls.cert), str(cert)))
    server.ready = lambda: "up and running" in server.said()
    with server:
        server.tls = type("Tls", (), {"cert": services.authority.ca})
        done = server.cli("key", "dek", DECLARED)
        assert done.returncode == 1 and "expired" in done.stderr, done.stderr
        is_one_sentence(done.stderr)
    checks = json.loads(server.doctor().stdout)["checks"]
    assert any(check["result"] == "failed" and "expired" in check["message"] for check in checks), checks


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_on_a_disk_that_fills_up_every_key_is_whole_or_not_there(services, small_disk, tmp_path):
    store = services.store("fs")
    store.text = store.text.replace(str(store.path), str(small_disk / "keys"))
    with KeyStoreServer(tmp_path / "kes", services, store) as server:
        clients = [server.client() for _ in range(4)]

        def fill(worker):
            """Names of keys that were made, up to the first that was not."""
            made = {}
            for i in range(100):
                status, body = clients[worker].create(f"key-{worker}-{i}")
                if status != 200:
                    assert (status, body) == NO_CREATE
                    return made
                made[f"key-{worker}-{i}"] = None
            raise AssertionError("the disk never filled up")

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            made = set().union(*pool.map(fill, range(4)))
        errors = new_errors(server, 0, 4)
        assert len(errors) == 4 and all("No space left" in line for line in errors), errors
        kes = clients[0]
        assert set(kes.names()) == made | {DECLARED}
        on_disk = {path.name for path in (small_disk / "keys").iterdir()}
        assert on_disk == made | {DECLARED}, "nothing half done is left"
        data = {key: kes.generate(key) for key in made}
        assert kes.create("one-more") == NO_CREATE
        victim = made.pop()
        data.pop(victim)
        assert kes("DELETE", f"/v1/key/delete/{victim}") == (200, ""), "a full disk can be emptied"
        until(lambda: kes.create("one-more") == (200, ""), seconds=10)
        server.restart()
        kes = server.client()
        for key, dek in data.items():
            kes.decrypts(key, dek)
        assert set(kes.names()) == made | {DECLARED, "one-more"}


RACED = 100


@pytest.mark.parametrize("kind", ["fs", *(kind for kind in NETWORK_KINDS if kind != "azure")])
def test_of_two_servers_that_make_the_same_keys_one_wins_each(services, kind, tmp_path):
    store = services.store(kind)
    with KeyStoreServer(tmp_path / "a", services, store, cache="1h") as a, \
            KeyStoreServer(tmp_path / "b", services, store, cache="1h") as b:
        workers = 4
        barrier = threading.Barrier(2 * workers)

        def make(server, worker):
            """For each key: whether this one made it, and a data key that was had at once."""
            kes, made = server.client(), {}
            barrier.wait(30)
            for i in range(worker, RACED, workers):
                status, body = kes.create(f"raced-{i}")
                assert status == 200 or (status, body) == (400, {"message": "key already exists"}), (status, body, server.errors())
                made[f"raced-{i}"] = status == 200, kes.generate(f"raced-{i}")
            return made

        with concurrent.futures.ThreadPoolExecutor(2 * workers) as pool:
            running = [[pool.submit(make, server, worker) for worker in range(workers)] for server in (a, b)]
            by_a, by_b = ({k: v for future in futures for k, v in future.result().items()} for futures in running)
        assert len(by_a) == len(by_b) == RACED
        for key in by_a:
            assert by_a[key][0] + by_b[key][0] == 1, f"{key} was made {by_a[key][0] + by_b[key][0]} times"
        assert not a.errors() and not b.errors()
        a.kill()
        b.kill()
        a.start()
        b.start()
        one, other = a.client(), b.client()
        for key in by_a:
            for made in (by_a[key][1], by_b[key][1]):
                one.decrypts(key, made)
                other.decrypts(key, made)


def test_servers_that_declare_the_same_keys_and_start_at_once_share_them(services, tmp_path):
    keys = [f"shared-{i}" for i in range(20)]
    for kind in ("vault v2", "fs"):
        store = services.store(kind)
        servers = [KeyStoreServer(tmp_path / f"{kind}-{i}".replace(" ", "-"), services, store, keys=keys) for i in range(3)]
        with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(3) as pool:
            for server in servers:
                stack.callback(server.kill)
            list(pool.map(lambda server: server.start(), servers))
            for key in keys:
                made = servers[0].client().generate(key)
                for server in servers[1:]:
                    server.client().decrypts(key, made)
