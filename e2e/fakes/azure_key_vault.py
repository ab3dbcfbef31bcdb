"""A fake of Azure Key Vault's secrets, and of the services that give tokens for it. Python's standard library only.

Written from Microsoft's public documentation:
- secrets: https://learn.microsoft.com/rest/api/keyvault/secrets (set, get, list, list versions, update, delete, deleted secrets, recover, purge)
- soft delete, and the inner codes of its conflicts: https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview
- errors and the challenge of a 401: https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses
- tokens: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
- tokens of a machine: https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token
- tokens of an App Service: https://learn.microsoft.com/azure/app-service/overview-managed-identity

Paths below /fake/ are for tests and exist nowhere else: settings, scripted answers, versions of any age, the log.
Run: python azure_key_vault.py --port N [--cert FILE --key FILE] [--resource URL]
"""

import argparse
import json
import secrets
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

TENANT, CLIENT_ID, CLIENT_SECRET = "a-tenant", "an-application", "its-secret"
DEFAULTS = {
    "page": 3,  # the service has 25: small pages are followed more often
    "delete_seconds": 0,  # how long a deletion is under way, before it can be purged
    "purge_seconds": 0,  # how long a purge is
    "denied": [],  # permissions that the application has not: get, list, set, delete, purge
    "token_seconds": 3600,
    "token_error": None,  # [status, body] instead of a token
}


class Vault:
    """All state of one vault. Names are kept as they came, and found without regard to case."""

    def __init__(self):
        self.lock = threading.RLock()
        self.reset()

    def reset(self):
        self.settings = dict(DEFAULTS)
        self.live, self.deleted, self.purging = {}, {}, {}
        self.tokens, self.scripted, self.log = {}, [], []


class Answer(Exception):
    def __init__(self, status, body=None, headers=None):
        super().__init__(status)
        self.status, self.body, self.headers = status, body, headers or {}


def error(status, code, message, inner=None):
    body = {"error": {"code": code, "message": message}}
    if inner:
        body["error"]["innererror"] = {"code": inner}
    return Answer(status, body)


def new_version(value, tags=None, content_type=None, **attributes):
    now = int(time.time())
    return {
        "id": secrets.token_hex(16), "value": value, "tags": tags, "contentType": content_type,
        "attributes": {"enabled": True, "created": now, "updated": now, "recoveryLevel": "Recoverable+Purgeable",
                       "recoverableDays": 90, **{k: v for k, v in attributes.items() if v is not None}},
    }


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "fake-key-vault"

    def log_message(self, *_):
        pass

    def do(self):
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length)
        url = urlsplit(self.path)
        self.query = {k: v[0] for k, v in parse_qs(url.query).items()}
        self.parts = [unquote(p) for p in url.path.split("/") if p]
        self.raw, self.vault = raw, self.server.vault
        with self.vault.lock:
            try:
                answer = self.route()
            except Answer as given:
                answer = given
        if answer.status == 0:  # scripted: cut the connection
            self.close_connection = True
            return
        body = answer.body
        data = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do

    @property
    def base(self):
        scheme = "https" if self.server.is_tls else "http"
        return f"{scheme}://{self.headers.get('Host')}"

    def json(self):
        try:
            return json.loads(self.raw or b"{}")
        except ValueError:
            raise error(400, "BadParameter", "The request body is no JSON.") from None

    def route(self):
        head = self.parts[0] if self.parts else ""
        if head == "fake":
            return self.control()
        line = f"{self.command} {self.path}"
        self.vault.log.append(line)
        for script in self.vault.scripted:
            if script["match"] in line and script["times"] > 0:
                script["times"] -= 1
                return Answer(script["status"], script.get("body", ""), script.get("headers"))
        if self.parts[1:] == ["oauth2", "v2.0", "token"]:
            return self.entra_token()
        if self.parts[1:] == ["v2.0", ".well-known", "openid-configuration"]:
            tenant = f"{self.base}/{head}"
            return Answer(200, {"token_endpoint": f"{tenant}/oauth2/v2.0/token", "issuer": f"{tenant}/v2.0",
                                "authorization_endpoint": f"{tenant}/oauth2/v2.0/authorize"})
        if self.parts == ["metadata", "identity", "oauth2", "token"]:
            return self.machine_token("Metadata", "true")
        if self.parts == ["msi", "token"]:
            return self.machine_token("X-IDENTITY-HEADER", "an-identity-header")
        if head in ("secrets", "deletedsecrets"):
            self.authorize()
            if "api-version" not in self.query:
                raise error(400, "BadParameter", "api-version must be specified")
            return self.secrets() if head == "secrets" else self.deleted()
        raise error(404, "NotFound", "There is nothing here.")

    # tokens

    def issue(self, resource):
        if self.vault.settings["token_error"]:
            status, body = self.vault.settings["token_error"]
            raise Answer(status, body)
        token, seconds = secrets.token_urlsafe(24), self.vault.settings["token_seconds"]
        self.vault.tokens[token] = (resource, time.time() + seconds)
        return token, seconds

    def entra_token(self):
        form = {k: v[0] for k, v in parse_qs(self.raw.decode()).items()}
        is_secret = form.get("client_secret") == CLIENT_SECRET
        is_assertion = (
            form.get("client_assertion") == "a-federated-token"
            and form.get("client_assertion_type") == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        )
        if form.get("grant_type") != "client_credentials":
            raise Answer(400, {"error": "unsupported_grant_type", "error_description": "AADSTS70003: grant type"})
        if self.parts[0] != TENANT:
            raise Answer(400, {"error": "invalid_request", "error_description": "AADSTS90002: Tenant not found."})
        if form.get("client_id") != CLIENT_ID or not (is_secret or is_assertion):
            raise Answer(401, {"error": "invalid_client", "error_codes": [7000215],
                               "error_description": "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: x"})
        token, seconds = self.issue(form.get("scope", "").removesuffix("/.default"))
        return Answer(200, {"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token})

    def machine_token(self, header, value):
        if self.headers.get(header) != value:
            raise Answer(400, {"error": "invalid_request", "error_description": f"Required {header} header not specified"})
        if self.query.get("client_id", CLIENT_ID) != CLIENT_ID:
            raise Answer(400, {"error": "invalid_request", "error_description": "Identity not found"})
        token, seconds = self.issue(self.query.get("resource", ""))
        return Answer(200, {"access_token": token, "expires_in": str(seconds), "token_type": "Bearer",
                            "expires_on": str(int(time.time()) + seconds), "resource": self.query.get("resource")})

    def authorize(self):
        resource = self.server.resource or self.base
        challenge = f'Bearer authorization="{self.base}/{TENANT}", resource="{resource}"'
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        if kind != "Bearer":
            wrong, text = error(401, "Unauthorized", "AKV10000: Request is missing a Bearer or PoP token."), ""
        else:
            audience, expires = self.vault.tokens.get(token, (None, 0))
            if audience == resource and expires > time.time():
                return
            text = ', error="invalid_token", error_description="AKV10046"'
            wrong = error(401, "Unauthorized", "AKV10022: Invalid audience, signature or life time of the token.")
        wrong.headers["WWW-Authenticate"] = challenge + text
        raise wrong

    def permit(self, permission):
        if permission in self.vault.settings["denied"]:
            raise error(403, "Forbidden", f"The user, group or application 'appid={CLIENT_ID}' does not have secrets "
                        f"{permission} permission on key vault 'fake;location=here'.", "AccessDenied")

    # secrets

    def bundle(self, secret, version, with_value=False):
        out = {"id": f"{self.base}/secrets/{secret['name']}/{version['id']}", "attributes": version["attributes"]}
        out.update({k: version[k] for k in ("tags", "contentType") if version.get(k)})
        if with_value:
            out["value"] = version["value"]
        return out

    def page(self, items):
        """A page of what `$skiptoken` says, and a link to the next."""
        start = int(self.query.get("$skiptoken", 0))
        size = min(int(self.query.get("maxresults", 25)), self.vault.settings["page"])
        link = None
        if start + size < len(items):
            link = f"{self.base}/{'/'.join(map(quote, self.parts))}?api-version={self.query['api-version']}" \
                   f"&$skiptoken={start + size}&maxresults={size}"
        return Answer(200, {"value": items[start:start + size], "nextLink": link})

    def find(self, name):
        secret = self.vault.live.get(name.lower())
        if not secret:
            raise error(404, "SecretNotFound", f"A secret with (name/id) {name} was not found in this key vault.")
        return secret

    def secrets(self):
        rest, method = self.parts[1:], self.command
        if method == "GET" and not rest:
            self.permit("list")
            all_secrets = [self.vault.live[k] for k in sorted(self.vault.live)]
            items = []
            for secret in all_secrets:
                item = self.bundle(secret, secret["versions"][-1])
                item["id"] = item["id"].rsplit("/", 1)[0]
                items.append(item)
            return self.page(items)
        if method == "GET" and rest[1:] == ["versions"]:
            self.permit("list")
            secret = self.vault.live.get(rest[0].lower(), {"versions": []})
            ordered = sorted(secret["versions"], key=lambda v: v["id"])  # in no order that means anything
            return self.page([self.bundle(secret, v) for v in ordered])
        if method == "GET" and len(rest) in (1, 2):
            self.permit("get")
            secret = self.find(rest[0])
            matching = [v for v in secret["versions"] if len(rest) == 1 or v["id"] == rest[1]]
            if not matching:
                raise error(404, "SecretNotFound", f"A secret with (name/id) {'/'.join(rest)} was not found.")
            if not matching[-1]["attributes"]["enabled"]:
                raise error(403, "Forbidden", "Operation get is not allowed on a disabled secret.", "SecretDisabled")
            return Answer(200, self.bundle(secret, matching[-1], True))
        if method == "PUT" and len(rest) == 1:
            return self.set(rest[0])
        if method == "PATCH" and len(rest) == 2:
            self.permit("set")
            secret = self.find(rest[0])
            for version in secret["versions"]:
                if version["id"] == rest[1]:
                    version["attributes"].update(self.json().get("attributes", {}))
                    return Answer(200, self.bundle(secret, version))
            raise error(404, "SecretNotFound", "No such version.")
        if method == "DELETE" and len(rest) == 1:
            self.permit("delete")
            secret = self.find(rest[0])
            del self.vault.live[rest[0].lower()]
            self.vault.deleted[rest[0].lower()] = {**secret, "deleted": time.time()}
            return Answer(200, self.deleted_bundle(self.vault.deleted[rest[0].lower()]))
        raise error(405, "MethodNotAllowed", "No such operation.")

    def set(self, name):
        self.permit("set")
        if not name or not all(c.isascii() and (c.isalnum() or c == "-") for c in name) or len(name) > 127:
            raise error(400, "BadParameter", f"The request URI contains an invalid name: {name}")
        key, body = name.lower(), self.json()
        if not isinstance(body.get("value"), str) or len(body["value"].encode()) > 25_600:
            raise error(400, "BadParameter", "The value is missing or too long.")
        if self.vault.purging.get(key, 0) > time.time():
            raise error(409, "Conflict", f"Secret {name} is currently being deleted.", "ObjectIsBeingDeleted")
        if key in self.vault.deleted:
            if self.is_under_way(self.vault.deleted[key]):
                raise error(409, "Conflict", f"Secret {name} is currently being deleted.", "ObjectIsBeingDeleted")
            raise error(409, "Conflict", f"Secret {name} is currently in a deleted but recoverable state, and its name "
                        "cannot be reused; in this state, the secret can only be recovered or purged.",
                        "ObjectIsDeletedButRecoverable")
        secret = self.vault.live.setdefault(key, {"name": name, "versions": []})
        attributes = {k: v for k, v in body.get("attributes", {}).items() if k in ("enabled", "nbf", "exp")}
        version = new_version(body["value"], body.get("tags"), body.get("contentType"), **attributes)
        secret["versions"].append(version)
        return Answer(200, self.bundle(secret, version, True))

    # deleted secrets

    def is_under_way(self, secret):
        return secret["deleted"] + self.vault.settings["delete_seconds"] > time.time()

    def deleted_bundle(self, secret):
        out = self.bundle(secret, secret["versions"][-1])
        out.update(recoveryId=f"{self.base}/deletedsecrets/{secret['name']}", deletedDate=int(secret["deleted"]),
                   scheduledPurgeDate=int(secret["deleted"]) + 90 * 86400)
        return out

    def deleted(self):
        rest, method = self.parts[1:], self.command
        if method == "GET" and not rest:
            return self.page([self.deleted_bundle(self.vault.deleted[k]) for k in sorted(self.vault.deleted)])
        key = rest[0].lower() if rest else ""
        secret = self.vault.deleted.get(key)
        if not secret or (self.is_under_way(secret) and method == "GET"):
            raise error(404, "SecretNotFound", f"Deleted Secret not found: {rest[0] if rest else ''}")
        if self.is_under_way(secret):
            raise error(409, "Conflict", f"Secret {secret['name']} is currently being deleted.", "ObjectIsBeingDeleted")
        if method == "GET" and len(rest) == 1:
            return Answer(200, self.deleted_bundle(secret))
        if method == "POST" and rest[1:] == ["recover"]:
            del self.vault.deleted[key]
            self.vault.live[key] = {k: secret[k] for k in ("name", "versions")}
            return Answer(200, self.bundle(secret, secret["versions"][-1]))
        if method == "DELETE" and len(rest) == 1:
            self.permit("purge")
            del self.vault.deleted[key]
            self.vault.purging[key] = time.time() + self.vault.settings["purge_seconds"]
            return Answer(204)
        raise error(405, "MethodNotAllowed", "No such operation.")

    # for tests

    def control(self):
        what, body = self.parts[1] if len(self.parts) > 1 else "", self.json()
        if what == "log":
            return Answer(200, self.vault.log)
        if what == "reset":
            self.vault.reset()
        elif what == "settings":
            self.vault.settings.update(body)
        elif what == "answer":  # {"match": "GET /secrets", "times": 2, "status": 503, "body": "", "headers": {}}
            self.vault.scripted.append({"times": 1, **body})
        elif what == "revoke":
            self.vault.tokens.clear()
        elif what == "version":  # {"name": …, "value": …, "created": …, "enabled": …, "nbf": …, "exp": …}
            name = body.pop("name")
            secret = self.vault.live.setdefault(name.lower(), {"name": name, "versions": []})
            secret["versions"].append(new_version(**body))
        else:
            raise error(404, "NotFound", "No such control.")
        return Answer(200, {})


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_):
        pass  # clients that hang up, or only look whether somebody listens


def serve(port, cert=None, key=None, resource=None):
    """A server on 127.0.0.1, not yet running. Without `resource` the challenge names the server itself."""
    server = Server(("127.0.0.1", port), Handler)
    server.vault, server.resource, server.is_tls = Vault(), resource, bool(cert)
    if cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        # The handshake belongs to the connection's own thread: a silent client must not stop the others.
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    return server


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--resource")
    options = parser.parse_args()
    serve(options.port, options.cert, options.key, options.resource).serve_forever()


if __name__ == "__main__":
    main()
