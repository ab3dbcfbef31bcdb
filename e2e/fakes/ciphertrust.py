"""A fake of Thales CipherTrust Manager: its secrets over REST.

Tokens, their life of 5 minutes and the grant by refresh token:
https://thalesdocs.com/ctp/cm/latest/admin/cm_admin/authentication/tokens/index.html
Base path, login by POST /api/v1/auth/tokens, `jwt` and `duration`:
https://thalesdocs.com/ctp/cm/latest/admin/cm_admin/rest-api/index.html
Secrets of the kinds blob, password and seed:
https://thalesdocs.com/ctp/cm/2.10/reference/xml/sec-mgmt-ops/index.html
Errors have `code` and `codeDesc`; lists have `skip`, `limit`, `total` and `resources`, as all lists of that API.

    python ciphertrust.py --port 8443 --cert cert.pem --key key.pem     the refresh token is `refresh-secret`
"""

import secrets

from appliance import Fake, serve

REFRESH_TOKEN = "refresh-secret"
SECRETS = "/api/v1/vault/secrets"


class CipherTrust(Fake):
    def error(self, status, text, code=1, description="NCERRBadRequest: Bad HTTP request"):
        return status, {"code": code, "codeDesc": description, "message": text}

    def not_found(self):
        return self.error(404, "", 404, "NCERRResourceNotFound: Resource not found")

    def handle(self, request):
        if request.path == "/":
            return 200, "<html>CipherTrust Manager</html>"
        if (request.method, request.path) == ("POST", "/api/v1/auth/tokens"):
            return self.login(request.json())
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not self.knows(token):
            return self.error(401, "Token is invalid or expired", 5, "NCERRUnauthorizedAccess: Unauthorized")
        if request.path == SECRETS:
            return self.create(request.json()) if request.method == "POST" else self.list(request.query)
        name, _, action = request.path.removeprefix(SECRETS + "/").partition("/")
        if request.query.get("type") != "name" or name not in self.objects:
            return self.not_found()
        if (request.method, action) == ("POST", "export"):
            return 200, self.objects[name]
        if (request.method, action) == ("DELETE", ""):
            del self.objects[name]
            return 204, None
        return self.not_found()

    def login(self, body):
        if body.get("grant_type") != "refresh_token" or body.get("refresh_token") != REFRESH_TOKEN:
            return self.error(401, "Invalid refresh token.", 5, "NCERRUnauthorizedAccess: Unauthorized")
        if body.get("domain") not in (None, "root", "tenant"):
            return self.error(401, "Unknown domain.", 5, "NCERRUnauthorizedAccess: Unauthorized")
        token = self.new_token("ey" + secrets.token_urlsafe(24))
        return 200, {"token_type": "Bearer", "jwt": token, "duration": self.settings["token_seconds"]}

    def plant(self, name, data):
        self.objects[name] = {"id": secrets.token_hex(32), "name": name, "material": data}

    def create(self, body):
        name = body["name"]
        if body.get("dataType") != "seed" or not body.get("material"):
            return self.error(400, "invalid secret")
        if name in self.objects:
            return self.error(409, "Resource already exists", 18, "NCERRConflict: Resource already exists")
        self.plant(name, body["material"])
        return 201, {"id": self.objects[name]["id"], "name": name, "dataType": "seed"}

    def list(self, query):
        # Newest first, so that pages move under a reader's feet.
        resources = [{"id": o["id"], "name": o["name"]} for o in reversed(self.objects.values())]
        skip, limit = int(query.get("skip", 0)), int(query.get("limit", 10))
        limit = min(limit, self.settings["page"] or limit)
        page = resources[skip : skip + limit]
        total = len(resources)
        # Somebody deletes what was just listed, while the listing goes on.
        if page and self.settings.get("delete_while_listing"):
            self.settings["delete_while_listing"] -= 1
            del self.objects[page[0]["name"]]
        return 200, {"skip": skip, "limit": limit, "total": total, "resources": page}


if __name__ == "__main__":
    serve(CipherTrust())
