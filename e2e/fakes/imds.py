"""The metadata service of an EC2 instance, version 2, and the credentials endpoint of a container: what gives a machine the
credentials of its role. From Amazon's public documentation:

- "Use the Instance Metadata Service to access instance metadata" (EC2 user guide): PUT /latest/api/token with a time to live in
  seconds, and GET with that token in X-aws-ec2-metadata-token; without it 401.
- "Retrieve security credentials from instance metadata" (EC2 user guide): GET /latest/meta-data/iam/security-credentials/ gives
  the name of the role, and with that name behind it the credentials.
- "Container credential provider" (AWS SDKs and tools reference): GET of AWS_CONTAINER_CREDENTIALS_FULL_URI gives them too.

    python imds.py --port N [--cert F --key F]
"""

import argparse
import json
import secrets
import ssl
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ROLE = "kes-role"
TTL_SECONDS_MAX = 21600
CREDENTIALS_SECONDS = 3600
tokens = set()


def credentials():
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + CREDENTIALS_SECONDS))
    return json.dumps({"Code": "Success", "Type": "AWS-HMAC", "AccessKeyId": "ASIAFAKEIMDS", "SecretAccessKey": "hidden",
                       "Token": "hidden", "Expiration": until})


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, text="", **headers):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        ttl = self.headers.get("X-aws-ec2-metadata-token-ttl-seconds", "")
        if self.path != "/latest/api/token":
            return self.answer(404)
        if not ttl.isdigit() or not 1 <= int(ttl) <= TTL_SECONDS_MAX:
            return self.answer(400)
        token = secrets.token_urlsafe(32)
        tokens.add(token)
        return self.answer(200, token, X_aws_ec2_metadata_token_ttl_seconds=ttl)

    def do_GET(self):
        roles = "/latest/meta-data/iam/security-credentials/"
        if self.path == "/container":
            return self.answer(200, credentials(), Content_Type="application/json")
        if self.headers.get("X-aws-ec2-metadata-token") not in tokens:
            return self.answer(401)
        if self.path == roles:
            return self.answer(200, ROLE)
        if self.path == roles + ROLE:
            return self.answer(200, credentials())
        return self.answer(404)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    args = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", args.port), Handler)
    if args.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(args.cert, args.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
