"""What the fakes of appliances share: HTTPS, JSON, and faults on demand.

A fake stands in for a product that cannot be had for tests. Its calls are those of the vendor's public documents, named in its
head; nothing else of the product is imitated. Faults are set on the control path, which no product has:

    POST /_fake/faults    [{"match": "POST /path", "kind": KIND, "times": 1, …}]    replaces all faults; a `*` ends a prefix
    POST /_fake/settings  {"page": 7, "token_seconds": 5, …}                        changes settings of the fake
    POST /_fake/plant     {"name": NAME, "data": TEXT}                              an object that was made by other means
    POST /_fake/revoke    every token that was given is dead
    POST /_fake/reset     nothing is stored, no fault is set
    GET  /_fake/counts    calls by method and path

Kinds: `status` (answers `status` with `body`, does nothing), `late_status` (does it, then answers so), `garbage` (200 with text that
is no JSON), `cut` (closes without an answer, does nothing), `cut_after` (does it, then closes), `slow` (waits `seconds` first),
`echo` (400 with everything that was sent in its message).
"""

import argparse
import json
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Cut(Exception):
    """The connection ends without an answer."""


class Fake:
    """State of a fake: what it holds, and what should go wrong. Subclasses answer `handle`."""

    def __init__(self):
        self.lock = threading.RLock()
        self.objects = {}  # name -> what the vendor's calls show of it
        self.settings = {"page": 0, "token_seconds": 300}
        self.faults = []
        self.counts = {}
        self.tokens = {}  # token -> time of its end

    def handle(self, request):
        """Returns status and body: an object for JSON, text as it is, None for nothing."""
        raise NotImplementedError

    def plant(self, name, data):
        """Stores text as it is, under any name."""
        raise NotImplementedError

    def error(self, status, text):
        """An error as the vendor words it."""
        return status, text

    def new_token(self, text):
        self.tokens[text] = time.time() + self.settings["token_seconds"]
        return text

    def knows(self, token):
        return self.tokens.get(token, 0) > time.time()

    def control(self, request):
        with self.lock:
            if request.path == "/_fake/faults":
                self.faults = request.json()
            elif request.path == "/_fake/settings":
                self.settings.update(request.json())
            elif request.path == "/_fake/plant":
                self.plant(**request.json())
            elif request.path == "/_fake/revoke":
                self.tokens.clear()
            elif request.path == "/_fake/reset":
                self.objects.clear()
                self.faults = []
            elif request.path == "/_fake/counts":
                return 200, self.counts
            else:
                return 404, None
        return 200, {}

    def fault_for(self, line):
        with self.lock:
            self.counts[line] = self.counts.get(line, 0) + 1
            for fault in self.faults:
                wanted = fault["match"]
                is_meant = line.startswith(wanted[:-1]) if wanted.endswith("*") else line == wanted
                if is_meant and fault.get("times", 1) > 0:
                    fault["times"] = fault.get("times", 1) - 1
                    return fault
        return {"kind": "none"}

    def answer(self, request):
        if request.path.startswith("/_fake/"):
            return self.control(request)
        fault = self.fault_for(f"{request.method} {request.path}")
        kind = fault["kind"]
        if kind == "slow":
            time.sleep(fault["seconds"])
        elif kind == "status":
            return fault["status"], fault.get("body", "<html>gateway</html>")
        elif kind == "garbage":
            return 200, "<html>log in to the hotel's network</html>"
        elif kind == "cut":
            raise Cut
        elif kind == "echo":
            sent = request.body.decode() + json.dumps(dict(request.headers))
            return self.error(400, sent)
        with self.lock:
            result = self.handle(request)
        if kind == "cut_after":
            raise Cut
        if kind == "late_status":
            return fault["status"], fault.get("body", "<html>gateway</html>")
        return result


class Request:
    def __init__(self, handler):
        parts = urlsplit(handler.path)
        self.method, self.path, self.headers = handler.command, parts.path, handler.headers
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))

    def json(self):
        return json.loads(self.body or b"null")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    timeout = 60

    def serve(self):
        try:
            status, body = self.server.fake.answer(Request(self))
        except Cut:
            self.close_connection = True
            return
        data = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
        if status != 204:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if status != 204:
            self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_DELETE = serve

    def log_message(self, format, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients that hang up are what some tests are about


def serve(fake):
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--cert")
    arguments.add_argument("--key")
    arguments = arguments.parse_args()
    server = Server(("127.0.0.1", arguments.port), Handler)
    server.fake = fake
    if arguments.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments.cert, arguments.key)
        # The handshake is made by the thread of the connection: a silent client holds up nobody else.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    server.serve_forever()
