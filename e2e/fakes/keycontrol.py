"""A fake of Entrust KeyControl: secrets of a box in a vault of the kind PASM.

Vaults, boxes, secrets, their names with folders, and their checkout:
https://docs.hytrust.com/DataControl/5.4/Online/Content/Books/Secrets-Vault-Programmers-Reference/Secrets-Vault-Overview.html
Secrets of the kind text, and of others:
https://docs.hytrust.com/KeyControlVault/10.2/Online/Content/Books/Admin-Guide/PASM-Vault/Secrets/Creating-a-Secret.html
The calls are `POST /vault/1.0/CALL/` with JSON and the header `X-Vault-Auth`; a page of a listing ends with `next_token`, base64 of an
object with `box_id` and `next_ctx`. No public page names the form of errors, or what a listing calls its array: the forms here are
this fake's own, and a client should not depend on them.

    python keycontrol.py --port 8443 --cert cert.pem --key key.pem     the password of user `kes` is `keycontrol-secret`

Its vault is `vault-1`, its box `box-1`.

Settings: `page` (entries of a page, at most), `token_seconds`, `renew` ("refused": only a login helps), `foreign` (a listing starts with
entries that have no name), `stuck` (a listing never gets past its first page).
"""

import base64
import json
import secrets
from datetime import datetime, timedelta, timezone

from appliance import Fake, serve

USER, PASSWORD = "kes", "keycontrol-secret"
VAULT, BOX = "vault-1", "box-1"
API = "/vault/1.0/"
FOREIGN = [{"name": ""}, {"name": ""}, {"secret_id": "5b1f"}]


class KeyControl(Fake):
    def error(self, status, text):
        return status, {"error": text}

    def handle(self, request):
        if request.method != "POST" or not request.path.startswith(API):
            return self.error(404, "Not found")
        call, body = request.path.removeprefix(API), request.json()
        if call.startswith("Login/"):
            return self.login(call, body)
        token = request.headers.get("X-Vault-Auth", "")
        if not self.knows(token):
            return self.error(401, "Authentication required")
        if call == "Renew/":
            if self.settings.get("renew") == "refused":
                return self.error(403, "Token cannot be renewed")
            return 200, self.grant()
        if body.get("box_id") != BOX:
            return self.error(404, "Box not found")
        calls = {
            "GetBox/": self.get_box,
            "CreateSecret/": self.create_secret,
            "CheckoutSecret/": self.checkout_secret,
            "DeleteSecret/": self.delete_secret,
            "ListSecretIds/": self.list_secret_ids,
        }
        return calls[call](body) if call in calls else self.error(404, "Not found")

    def login(self, call, body):
        if call != f"Login/{VAULT}/":
            return self.error(404, "Vault not found")
        if (body.get("username"), body.get("password")) != (USER, PASSWORD):
            return self.error(401, "Invalid username or password")
        return 200, self.grant()

    def grant(self):
        end = datetime.now(timezone.utc) + timedelta(seconds=self.settings["token_seconds"])
        return {"access_token": self.new_token(secrets.token_urlsafe(24)), "expires_at": end.isoformat()}

    def plant(self, name, data):
        self.objects[name] = data

    def get_box(self, body):
        return 200, {"box_id": BOX, "name": "keys"}

    def create_secret(self, body):
        if body["name"] in self.objects:
            return self.error(409, "Secret already exists")
        base64.b64decode(body["secret_data"], validate=True)
        self.plant(body["name"], body["secret_data"])
        return 200, {"name": body["name"]}

    def checkout_secret(self, body):
        if body["secret_id"] not in self.objects:
            return self.error(404, "Secret not found")
        return 200, {"secret_data": self.objects[body["secret_id"]]}

    def delete_secret(self, body):
        if self.objects.pop(body["secret_id"], None) is None:
            return self.error(404, "Secret not found")
        return 200, {}

    def list_secret_ids(self, body):
        behind = ""
        if body.get("next_token"):
            context = json.loads(base64.b64decode(body["next_token"]))
            if context["box_id"] != BOX:
                return self.error(400, "Token of another box")
            behind = "" if self.settings.get("stuck") else context["next_ctx"]
        names = sorted(name for name in self.objects if name > behind)
        size = min(body["max_items"], self.settings["page"] or body["max_items"])
        entries = [{"name": name} for name in names[:size]]
        if self.settings.get("foreign") and not behind:
            entries = FOREIGN + entries
        page = {"secrets": entries}
        if len(names) > size:
            context = json.dumps({"box_id": BOX, "next_ctx": names[size - 1]})
            page["next_token"] = base64.b64encode(context.encode()).decode()
        return 200, page


if __name__ == "__main__":
    serve(KeyControl())
