#!/usr/bin/env python3
"""Writes the seed corpora of the key server's fuzz targets from the recordings in fixtures/kes. Run from anywhere; the result is checked in.

Names of seeds must not look like hashes: those are what libFuzzer adds, and git ignores them.
"""

import base64
import hashlib
import json
import re
import struct
from pathlib import Path

HERE = Path(__file__).resolve().parent
KES = HERE.parent / "fixtures/kes"
VERSIONS = ["newest", "v0.23", "v0.22", "v0.17", "v0.10"]


def write(target, name, data):
    folder = HERE / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")[:60]
    (folder / f"seed_{name}").write_bytes(data if isinstance(data, bytes) else data.encode())


def exchanges():
    for version in VERSIONS:
        for line in (KES / version / "exchanges.jsonl").read_text().splitlines():
            exchange = json.loads(line)
            if "request" in exchange and "response" in exchange:
                yield version, exchange


def stored_keys():
    for folder in sorted(KES.glob("*/keystore")):
        for file in sorted(f for f in folder.rglob("*") if f.is_file())[:6]:
            write("stored_key", f"{folder.parent.name}_{file.name}", file.read_bytes())
    write("stored_key", "bare", base64.b64encode(bytes(range(32))))
    write("stored_key", "json", '{"bytes":"' + base64.b64encode(bytes(32)).decode() + '","algorithm":"AES256-GCM_SHA256"}')


# What kind of body fuzz/src/body.rs takes the first byte for.
REQUESTS = ["import", "generate", "encrypt", "decrypt", "bulk", "hmac", "policy"]
ANSWERS = [
    ("/v1/key/generate/", 0), ("/v1/key/encrypt/", 1), ("/v1/key/decrypt/", 2), ("/v1/key/bulk/decrypt/", 3), ("/v1/key/hmac/", 4),
    ("/v1/key/describe/", 5), ("/v1/key/list/", 6), ("/v1/identity/list/", 7), ("/v1/policy/describe/", 8), ("/v1/policy/read/", 9),
    ("/v1/identity/describe/", 10), ("/v1/identity/self/describe", 11), ("/version", 12), ("/v1/status", 13), ("/v1/api", 14),
]


def bodies():
    count = {}
    for version, exchange in exchanges():
        request, response = exchange["request"], exchange["response"]
        path, name = request["path"], f"{version}_{exchange['name']}"
        body = request.get("body")
        if body:
            body = body if isinstance(body, str) else json.dumps(body)
            for kind, word in enumerate(REQUESTS):
                if word in path and count.setdefault((word, version), 0) < 2:
                    count[word, version] += 1
                    write("api_request", name, bytes([kind]) + body.encode())
                    break
        answer = response.get("body")
        if not isinstance(answer, str) or not answer or len(answer) > 2000:
            continue
        status = response.get("status", 0)
        kind = 18 if status >= 400 else next((k for p, k in ANSWERS if path.startswith(p)), None)
        if "ndjson" in response.get("headers", {}).get("content-type", ""):
            kind = 17
        if kind is not None and count.setdefault((kind, version), 0) < 2:
            count[kind, version] += 1
            write("api_answer", name, bytes([kind]) + answer.encode())
    audit = (KES / "v0.22/log-audit.ndjson").read_bytes().splitlines()
    write("api_answer", "audit_line", b"\x0f" + audit[0])
    write("api_answer", "error_line", b'\x10{"message":"http: TLS handshake error"}')
    for kind, text in [
        (0, {"bytes": base64.b64encode(bytes(32)).decode(), "cipher": "AES256"}),
        (5, {"message": "aGVsbG8="}),
        (6, {"allow": {"/v1/key/create/app-*": {}}, "deny": ["/v1/key/delete/*"], "created_at": "2024-02-01T00:00:00Z"}),
    ]:
        write("api_request", f"made_{kind}", bytes([kind]) + json.dumps(text).encode())


RFC1423 = """-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF

AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
-----END EC PRIVATE KEY-----
"""


def certificates():
    chain = {}
    for file in sorted((KES / "tls").glob("*.*")):
        if file.suffix not in (".crt", ".key"):
            continue
        pem = file.read_bytes()
        write("pem_text", file.name, pem)
        if file.suffix == ".crt":
            body = b"".join(line for line in pem.splitlines() if not line.startswith(b"-"))
            chain[file.stem] = base64.b64decode(body)
            escaped = "".join(chr(b) if chr(b).isalnum() else f"%{b:02X}" for b in pem)
            if file.stem in ("app", "ca"):
                write("certificate_header", file.name, escaped)
    for name, der in chain.items():
        write("certificate_chain", name, struct.pack(">H", len(der)) + der)
    both = b"".join(struct.pack(">H", len(chain[n])) + chain[n] for n in ("app", "ca"))
    write("certificate_chain", "app_and_ca", both)
    write("pem_text", "rfc1423", RFC1423)
    write("pem_text", "crlf_and_comments", b"a comment\r\n" + (KES / "tls/app.crt").read_bytes().replace(b"\n", b"\r\n") + b"\x00\xff")
    write("certificate_header", "plus", "-----BEGIN+CERTIFICATE-----%0AMAA%3D%0A-----END+CERTIFICATE-----%0A")


CONFIG = """version: v1
address: 0.0.0.0:7373
admin: { identity: ${HASH} }
tls:
  key: private.key
  cert: public.crt
  password: ""
  ca: ""
  auth: "off"
  proxy: { identities: [], header: { cert: X-Tls-Client-Cert } }
policy:
  my-app: { allow: [ /v1/key/create/app-* ], deny: [ "/v1/key/[a-b]?/x\\\\*" ], identities: [ ${HASH} ] }
cache: { expiry: { any: 5m0s, unused: 30s, offline: 0s } }
api: { /v1/ready: { skip_auth: true, timeout: 15s } }
log: { error: on, audit: INFO+2 }
keys: [ { name: my-key } ]
keystore: %s
"""
STORES = {
    "fs": "{ fs: { path: ./keys } }",
    "vault": "{ vault: { endpoint: 'https://v:8200', engine: kv, version: v2, namespace: ns, prefix: p, transit: { engine: transit, key: k },"
    " approle: { engine: approle, id: a, secret: b }, tls: { ca: x }, status: { ping: 10s } } }",
    "kubernetes": "{ vault: { endpoint: 'https://v:8200', kubernetes: { role: r, jwt: /var/run/token } } }",
    "sdkms": "{ fortanix: { sdkms: { endpoint: 'https://f', group_id: g, credentials: { key: k }, tls: { ca: x } } } }",
    "keysecure": "{ gemalto: { keysecure: { endpoint: 'https://g', credentials: { token: t, domain: d, retry: 15s } } } }",
    "gcp": "{ gcp: { secretmanager: { project_id: p, endpoint: e, scopes: [s],"
    " credentials: { client_email: a, client_id: b, private_key_id: c, private_key: 'x\\ny' } } } }",
    "aws": "{ aws: { secretsmanager: { endpoint: e, region: r, kmskey: k, credentials: { accesskey: a, secretkey: b, token: c } } } }",
    "azure": "{ azure: { keyvault: { endpoint: e, credentials: { tenant_id: a, client_id: b, client_secret: c } } } }",
    "keycontrol": "{ entrust: { keycontrol: { endpoint: e, vault_id: v, box_id: b, credentials: { username: u, password: p } } } }",
}


def configurations():
    for file in sorted(KES.glob("*/config.yml")):
        write("config_text", file.parent.name, file.read_bytes())
    for name, store in STORES.items():
        write("config_text", f"store_{name}", CONFIG.replace("%s", store))
    write("config_text", "anchors", "a: &a [x]\nb: *a\nc: { <<: {d: 1} }\n--- \n")
    for text in ["5m0s", "1h30m", "300ms", "1.5h", "0", "-0.5us", "+1ns", "2540400h10m10s", "9223372036854775807ns", ".5s", "1µs"]:
        write("duration_text", "is_" + text.replace(".", "dot").replace("-", "minus").replace("+", "plus"), text)


def paths_and_names():
    paths = sorted({exchange["request"]["path"] for _, exchange in exchanges()})
    for i, path in enumerate(paths[:: max(1, len(paths) // 30)]):
        write("request_path", f"recorded_{i:02}", path)
    for i, path in enumerate(["/v1/key/list/my-%2A", "/a/../../b/./c//", "/%2e%2e/%2F", "/%zz", "/%C3%A9/%FF", "//", "", "/..", "x/y"]):
        write("request_path", f"odd_{i}", path)
    for name in ["my-key", "_", "-x", "x" * 80, "x" * 81, "a.b", "é", "2a7c5bad"]:
        write("name_text", "is_" + name[:20] + str(len(name)), name)
    write("name_list", "all", "*\nb\na\na\nc-1\n_")
    write("name_list", "prefix", "app-\napp-a\napp-b\nb\napp\nAPP-a")
    write("name_list", "token", "app*app-b\napp-a\napp-b\napp-c\nb")
    for i, key in enumerate(json.loads((KES / "api-keys.json").read_text())[:3]):
        write("identity_text", f"key_{i}", key["api_key"])
        write("identity_text", f"hash_{i}", key["identity"])
    seed = bytes.fromhex("302e020100300506032b657004220420") + hashlib.sha256(b"seed").digest()
    write("identity_text", "pkcs8", seed)
    write("identity_text", "disabled", "disabled")


POLICIES = {
    "app": "/v1/key/create/app-1\n/v1/key/create/app-*\n/v1/key/list/*\n-/v1/key/create/app-locked*",
    "glob": "/v1/key/create/a-b\n/v1/*/create/?-[a-c]\n-/v1/key/*/a\\*\n/v1/key/create/*\n-/v1/k?y/*/[^b]",
    "list": "/v1/key/list/foo*foo-next\n/v1/key/list/foo*\n-/v1/key/list/foo\n/v1/key/list\n/v1/identity/list",
    "bare": "/v1/key/list/*\n/v1/key/list\n/v1/policy/list",
    "bulk": "/v1/key/bulk/decrypt/my-key\n/v1/key/decrypt/my-*\n-/v1/key/bulk/decrypt/my-key-2",
    "star": "/v1/status\n*\n-/v1/key/*\n/v1/*\n-*",
    "subset": "/v1/key/generate/x\n/v1/key/generate/*\n/v1/key/*\n-/v1/key/generate/locked*\n-/v1/key/generate/lock*",
}


def rest():
    for name, text in POLICIES.items():
        write("policy_decide", name, text)
    write("disk_entry", "value", b"\x10\x00\x01" + base64.b64encode(bytes(40)))
    write("disk_entry", "salt", b"KESCACHE\x01" + bytes(32))
    write("disk_entry", "head", b"KESCACHE\x01\x06my-key" + bytes(8 + 12 + 32))
    audit = (KES / "v0.22/log-audit.ndjson").read_bytes().splitlines()
    first = b'{"time":"2026-11-21T04:39:38Z","chain":{"version":1,"id":"09090909090909090909090909090909","event":"start"},"seq":0,"prev":"' + b"0" * 64 + b'"'
    lines, previous = [], b"0" * 64
    for number, record in enumerate([first] + audit[:3]):
        if number:
            record = record.rstrip(b"}") + b"}}" if record.count(b"{") > record.rstrip(b"}").count(b"}") + 2 else record
            record = record[:-1] + b',"seq":%d,"prev":"%s"' % (number, previous)
        previous = hashlib.sha256(record).hexdigest().encode()
        lines.append(record + b',"hash":"' + previous + b'"}')
    write("audit_read", "chain", b"\n".join(lines) + b"\n")
    write("audit_read", "torn", b"banner\n" + b"\n".join(lines)[:-20])
    write("audit_mutate", "three", b"\x40\x01\x01one\ntwo\n\"three\"")
    write("audit_mutate", "whole", b"\x00\x00\x00a record")


stored_keys()
bodies()
certificates()
configurations()
paths_and_names()
rest()
