"""A fake of Entrust KeyControl: the boxes of a vault of the kind PASM.

The calls, their parameters and header, and errors as `{"error": …}` or an empty 404:
https://github.com/EntrustCorporation/pasmcli (the vendor's own client)
The answer to a login, with `access_token` and `expires_at`: the README of the vendor's PASM-Vault-Kubernetes-Agent.
Boxes and secrets: https://docs.hytrust.com/DataControl/5.4/Online/Content/Books/Secrets-Vault-Programmers-Reference/Secrets-Vault-Overview.html

    python keycontrol.py --port 8443 --cert cert.pem --key key.pem     vault `vault-1`, box `box-1`, user `kes`, password `keycontrol-secret`
"""

import base64
import json
import secrets
import time
from datetime import datetime, timezone

from appliance import Fake, serve

VAULT, BOX, USER, PASSWORD = "vault-1", "box-1", "kes", "keycontrol-secret"


class KeyControl(Fake):
    def __init__(self):
        super().__init__()
        self.settings["page"] = 256

    def error(self, status, text):
        return status, {"error": text}

    def handle(self, request):
        call = request.path.removeprefix("/vault/1.0/")
        if request.method != "POST" or call == request.path:
            return 404, None
        if call.startswith("Login/"):
            body = request.json()
            if call != f"Login/{VAULT}/" or (body["username"], body["password"]) != (USER, PASSWORD):
                return self.error(401, "Invalid credentials")
            return 200, self.grant()
        token = request.headers.get("X-Vault-Auth", "")
        if not self.knows(token):
            return self.error(401, "Authentication failed")
        if call == "Renew/":
            if self.settings.get("renew") == "refused":
                return self.error(401, "Session cannot be renewed")
            del self.tokens[token]
            return 200, self.grant()
        body = request.json()
        if body.get("box_id") != BOX:
            return self.error(404, "Box not found")
        handler = {
            "GetBox/": self.get_box,
            "CreateSecret/": self.create,
            "CheckoutSecret/": self.checkout,
            "DeleteSecret/": self.delete,
            "ListSecretIds/": self.list,
        }.get(call)
        return handler(body) if handler else (404, None)

    def grant(self):
        token = self.new_token(secrets.token_urlsafe(24))
        end = time.time() + self.settings["token_seconds"]
        text = datetime.fromtimestamp(end, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        return {"is_user": True, "access_token": token, "expires_at": text, "user": USER}

    def get_box(self, body):
        return 200, {"box_id": BOX, "name": BOX}

    def plant(self, name, data):
        self.objects[name] = data

    def create(self, body):
        name = body["name"]
        if name in self.objects:
            return self.error(409, "Secret already exists")
        self.plant(name, body["secret_data"])
        return 200, {"secret_id": name, "name": name}

    def checkout(self, body):
        if body["secret_id"] not in self.objects:
            return self.error(404, "Secret not found")
        return 200, {"secret_id": body["secret_id"], "secret_data": self.objects[body["secret_id"]]}

    def delete(self, body):
        if self.objects.pop(body["secret_id"], None) is None:
            return self.error(404, "Secret not found")
        return 200, {}

    def list(self, body):
        if not self.objects:
            return 404, None
        start = ""
        if "next_token" in body:
            start = json.loads(base64.b64decode(body["next_token"]))["next_ctx"]
        names = sorted(name for name in self.objects if name > start)
        limit = min(body["max_items"], self.settings["page"])
        # What the array is called is told by no public document.
        answer = {"items": [{"secret_id": name, "name": name} for name in names[:limit]]}
        if self.settings.get("foreign"):
            answer["items"] += [{"secret_id": "1", "name": ""}, {"secret_id": "2", "name": "folder/x"}]
        if len(names) > limit:
            context = {"box_id": BOX, "next_ctx": start if self.settings.get("stuck") else names[limit - 1]}
            answer["next_token"] = base64.b64encode(json.dumps(context).encode()).decode()
        return 200, answer


if __name__ == "__main__":
    serve(KeyControl())
