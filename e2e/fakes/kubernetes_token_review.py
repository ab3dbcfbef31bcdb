"""A Kubernetes API server as far as Vault's and OpenBao's Kubernetes login needs one: it reviews service account tokens.

Written from Kubernetes' public API reference,
https://kubernetes.io/docs/reference/kubernetes-api/authentication-resources/token-review-v1/ :

    POST /apis/authentication.k8s.io/v1/tokenreviews

Tokens are JWTs that nobody signed: header.payload.signature, the payload in the shape of
https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/ . A token is accepted when its payload
names a service account and its signature part is not "revoked".

    python kubernetes_token_review.py --port 8443 [--cert FILE --key FILE]
    python kubernetes_token_review.py --token NAMESPACE/NAME      prints such a token
"""

import argparse
import base64
import http.server
import json
import ssl
import time

PATH = "/apis/authentication.k8s.io/v1/tokenreviews"
BODY_BYTES_MAX = 1 << 20


def encode(data):
    text = json.dumps(data).encode() if isinstance(data, dict) else data
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def token(account, signature=b"unsigned"):
    """A token of a service account, valid for an hour."""
    namespace, name = account.split("/")
    now = int(time.time())
    payload = {
        "aud": ["https://kubernetes.default.svc"],
        "exp": now + 3600,
        "iat": now,
        "nbf": now,
        "iss": "https://kubernetes.default.svc",
        "kubernetes.io": {
            "namespace": namespace,
            "serviceaccount": {"name": name, "uid": "00000000-0000-0000-0000-000000000001"},
        },
        "sub": f"system:serviceaccount:{namespace}:{name}",
    }
    return ".".join([encode({"alg": "RS256", "kid": "test", "typ": "JWT"}), encode(payload), encode(signature)])


def review(jwt):
    """The `status` of a review."""
    try:
        _, payload, signature = jwt.split(".")
        padded = [part + "=" * (-len(part) % 4) for part in (payload, signature)]
        claims = json.loads(base64.urlsafe_b64decode(padded[0]))
        account = claims["kubernetes.io"]
        if base64.urlsafe_b64decode(padded[1]) == b"revoked":
            return {"authenticated": False, "error": "token has been revoked"}
    except (ValueError, KeyError, TypeError) as error:
        return {"authenticated": False, "error": f"not a service account token: {error}"}
    namespace = account["namespace"]
    return {
        "authenticated": True,
        "audiences": claims.get("aud", []),
        "user": {
            "username": f"system:serviceaccount:{namespace}:{account['serviceaccount']['name']}",
            "uid": account["serviceaccount"]["uid"],
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
        },
    }


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_BYTES_MAX:
            self.answer(413, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 413})
            return
        body = json.loads(self.rfile.read(length) or b"{}")
        if self.path.split("?")[0] != PATH:
            self.answer(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404})
            return
        body["status"] = review(body.get("spec", {}).get("token", ""))
        self.answer(201, body)

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--token", metavar="NAMESPACE/NAME")
    parser.add_argument("--revoked", action="store_true", help="with --token: one that is refused")
    args = parser.parse_args()
    if args.token:
        print(token(args.token, b"revoked" if args.revoked else b"unsigned"))
        return
    server = http.server.ThreadingHTTPServer(("127.0.0.1", args.port), Handler)
    if args.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.cert, args.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
