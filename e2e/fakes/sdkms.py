"""A fake of Fortanix SDKMS (Data Security Manager): opaque security objects over REST.

Opaque objects and their export: https://support.fortanix.com/docs/using-opaque-and-secret-objects
Import (PUT /crypto/v1/keys), export (POST /crypto/v1/keys/export), list, delete: https://support.fortanix.com/apidocs
Paging, "Returned security objects will begin just above … this value", at most 100 without another limit: `getSecurityObjects` in the
documents of the vendor's client libraries. API key as Basic credential, sessions and their end:
https://support.fortanix.com/docs/log-out and
https://support.fortanix.com/hc/en-us/articles/360015941472-Configure-API-Client-and-Client-Authentication

    python sdkms.py --port 8443 --cert cert.pem --key key.pem     the API key is `sdkms-secret`, the group `11111111-2222-3333-4444-555555555555`
"""

import secrets
import uuid

from appliance import Fake, serve

API_KEY = "sdkms-secret"
GROUP = "11111111-2222-3333-4444-555555555555"


class Sdkms(Fake):
    def handle(self, request):
        line = (request.method, request.path)
        if line == ("GET", "/sys/v1/health"):
            return 204, None
        scheme, _, credential = request.headers.get("Authorization", "").partition(" ")
        if line == ("POST", "/sys/v1/session/terminate"):
            if scheme != "Bearer" or self.tokens.pop(credential, None) is None:
                return self.error(401, "Invalid access token")
            return 204, None
        if scheme != "Basic" or credential != API_KEY:
            return self.error(401, "Invalid credentials")
        if line == ("POST", "/sys/v1/session/auth"):
            token = self.new_token(secrets.token_urlsafe(24))
            return 200, {"token_type": "Bearer", "expires_in": 600, "access_token": token, "entity_id": str(uuid.uuid4())}
        if line == ("PUT", "/crypto/v1/keys"):
            return self.store(request.json())
        if line == ("GET", "/crypto/v1/keys"):
            return self.list(request.query)
        if line == ("POST", "/crypto/v1/keys/export"):
            return self.export(request.json())
        if request.method == "DELETE":
            kid = request.path.removeprefix("/crypto/v1/keys/")
            for name, found in self.objects.items():
                if found["kid"] == kid:
                    del self.objects[name]
                    return 204, None
            return self.error(404, "sobject does not exist")
        return self.error(404, "Not Found")

    def plant(self, name, data):
        self.objects[name] = {"name": name, "kid": str(uuid.uuid4()), "value": data, "group_id": GROUP, "obj_type": "OPAQUE"}

    def store(self, body):
        if body["obj_type"] != "OPAQUE" or set(body["key_ops"]) != {"EXPORT", "APPMANAGEABLE"}:
            return self.error(400, "Bad request")
        if body.get("group_id", GROUP) != GROUP:
            return self.error(403, "The requester is not a member of the group")
        if self.settings.get("conflict"):
            return self.error(409, "The group's policy conflicts with the request")
        name = body["name"]
        if name in self.objects:
            return self.error(409, "sobject already exists")
        self.plant(name, body["value"])
        return 201, {k: v for k, v in self.objects[name].items() if k != "value"}

    def export(self, body):
        found = self.objects.get(body["name"])
        if found is None:
            return self.error(404, "sobject does not exist")
        return 200, {**found, "enabled": body["name"] not in self.settings.get("disabled", [])}

    def list(self, query):
        if query.get("sort") != "name:asc":
            return self.error(400, "Bad request")
        start = "" if self.settings.get("stuck") else query.get("start", "")
        names = sorted(name for name in self.objects if name > start)
        page = [{"name": name, "kid": self.objects[name]["kid"], "obj_type": "OPAQUE"} for name in names]
        # Objects need no name. Where they are sorted to is not documented.
        nameless = [{"kid": f"nameless-{i}", "obj_type": "AES"} for i in range(self.settings.get("nameless", 0))]
        if not self.settings.get("nameless_first"):
            page += nameless
        elif not start:
            page = nameless + page
        skip = 0 if self.settings.get("stuck") else int(query.get("offset", 0))
        return 200, page[skip : skip + int(query.get("limit", 100))]


if __name__ == "__main__":
    serve(Sdkms())
