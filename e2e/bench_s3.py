"""Plain against sealed, in one run: PUT and GET of 64 MiB and of 4 KiB, and the memory that 4 GiB take.

One server with a KES behind it, no MD5 (`--no-compat`), requests signed beforehand (presigned), so that the client costs little; over TLS, as
clients come, and over HTTP, where what sealing costs shows most. Plain and sealed alternate, so that a noisy neighbour hits both; medians are told.
The limit in the same run is a plain copy of the same bytes with an fsync. Writes the table to docs/operating/benchmark-s3.md with --write.
"""

import argparse
import http.client
import os
import platform
import socket
import ssl
import statistics
import sys
import tempfile
import time
from pathlib import Path

import boto3
import botocore.config

from strongroom import KeyServer, ObjectServer

MIB = 1 << 20


class TlsServer(ObjectServer):
    """The object server as it is used."""

    def __init__(self, folder, kms):
        super().__init__(folder, kms=kms, options=["--no-compat"])


class PlainHttpServer(ObjectServer):
    """The object server without TLS."""

    def __init__(self, folder, kms):
        super().__init__(folder, kms=kms, options=["--no-compat"])
        cut = self.args.index("--tls-cert")
        del self.args[cut : cut + 4]
        self.url = f"http://127.0.0.1:{self.port}"
        self.ready = self.listens

    def listens(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as s:
                s.sendall(b"GET /minio/health/ready HTTP/1.0\r\n\r\n")
                return b" 200 " in s.recv(64)
        except OSError:
            return False


class Client:
    def __init__(self, server):
        self.s3 = boto3.client(
            "s3", endpoint_url=server.url, verify=str(server.ca), aws_access_key_id=server.access_key,
            aws_secret_access_key=server.secret_key, region_name="us-east-1",
            config=botocore.config.Config(signature_version="s3v4", s3={"addressing_style": "path"}))
        if server.url.startswith("https"):
            trust = ssl.create_default_context(cafile=str(server.ca))
            self.connection = http.client.HTTPSConnection("127.0.0.1", server.port, blocksize=MIB, context=trust)
        else:
            self.connection = http.client.HTTPConnection("127.0.0.1", server.port, blocksize=MIB)
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray(4 * MIB)

    def sign(self, method, bucket, key):
        url = self.s3.generate_presigned_url(method, Params={"Bucket": bucket, "Key": key}, ExpiresIn=86_400)
        return url[url.index("/", 8) :]

    def put(self, path, body, length):
        start = time.perf_counter()
        self.connection.request("PUT", path, body=body, headers={"Content-Length": str(length)})
        reply = self.connection.getresponse()
        text = reply.read()
        assert reply.status == 200, text
        return time.perf_counter() - start

    def get(self, path, length):
        start = time.perf_counter()
        self.connection.request("GET", path)
        reply = self.connection.getresponse()
        assert reply.status == 200, reply.read()
        got = 0
        while n := reply.readinto(self.buffer):
            got += n
        assert got == length, (got, length)
        return time.perf_counter() - start


def large(client, rounds):
    size = 64 * MIB
    body = os.urandom(size)
    times = {}
    for turn in range(rounds + 1):
        for bucket in ("plain", "sealed") if turn % 2 else ("sealed", "plain"):
            key = f"large-{turn % 2}"
            put = client.put(client.sign("put_object", bucket, key), body, size)
            get = client.get(client.sign("get_object", bucket, key), size)
            if turn:  # the first one warms
                times.setdefault(("PUT", bucket), []).append(put)
                times.setdefault(("GET", bucket), []).append(get)
    return {what: size / MIB / statistics.median(t) for what, t in times.items()}


def small(client, rounds, count=200):
    body = os.urandom(4096)
    times = {}
    for turn in range(rounds + 1):
        for bucket in ("plain", "sealed") if turn % 2 else ("sealed", "plain"):
            puts = [client.sign("put_object", bucket, f"small/{turn % 2}/{i}") for i in range(count)]
            gets = [client.sign("get_object", bucket, f"small/{turn % 2}/{i}") for i in range(count)]
            put = sum(client.put(path, body, 4096) for path in puts)
            get = sum(client.get(path, 4096) for path in gets)
            if turn:
                times.setdefault(("PUT", bucket), []).append(put)
                times.setdefault(("GET", bucket), []).append(get)
    return {what: count / statistics.median(t) for what, t in times.items()}


def copy_limit(folder, rounds):
    """A plain copy of 64 MiB with an fsync, MiB/s."""
    body = os.urandom(64 * MIB)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        with open(folder / "copy", "wb", buffering=0) as out:
            view = memoryview(body)
            for at in range(0, len(view), MIB):
                out.write(view[at : at + MIB])
            os.fsync(out.fileno())
        times.append(time.perf_counter() - start)
    os.remove(folder / "copy")
    return 64 / statistics.median(times)


def memory(client, server, gib):
    """Highest resident memory of the server after a PUT and a GET of so many GiB."""
    size = gib * 1024 * MIB
    chunk = os.urandom(MIB)

    def body():
        for _ in range(size // MIB):
            yield chunk

    client.put(client.sign("put_object", "sealed", "huge"), body(), size)
    client.get(client.sign("get_object", "sealed", "huge"), size)
    client.s3.delete_object(Bucket="sealed", Key="huge")
    return server.resident_mib()


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=31)
    options.add_argument("--gib", type=int, default=4)
    options.add_argument("--dir", help="where to store; default: a temporary folder")
    options.add_argument("--write", action="store_true", help="write docs/operating/benchmark-s3.md")
    chosen = options.parse_args()

    rows, worst, memories = [], [], []
    with tempfile.TemporaryDirectory(dir=chosen.dir) as name:
        folder = Path(name)
        keys = KeyServer(folder / "kes", cache="5m").start()
        try:
            limit = copy_limit(folder, chosen.rounds)
            for transport, kind in (("TLS", TlsServer), ("HTTP", PlainHttpServer)):
                server = kind(folder / transport, keys.server_env()).start()
                try:
                    big, little, idle, peak = measure(server, chosen)
                finally:
                    server.kill()
                memories.append((transport, idle, peak))
                worst += [(big[op, "sealed"] / big[op, "plain"], f"{op} over {transport}") for op in ("PUT", "GET")]
                rows += [
                    f"| {transport} | {op} {size} | {plain:,.0f} {unit} | {sealed:,.0f} {unit} | **{sealed / plain:.2f}** |"
                    for size, unit, result in (("64 MiB", "MiB/s", big), ("4 KiB", "/s", little))
                    for op in ("PUT", "GET")
                    for plain, sealed in [(result[op, "plain"], result[op, "sealed"])]
                ]
        finally:
            keys.kill()

    table = "\n".join(
        ["| transport | operation | plain | sealed (SSE-S3) | sealed / plain |", "|---|---|---|---|---|", *rows, "",
         f"Copy of 64 MiB with fsync, the limit of a PUT: {limit:,.0f} MiB/s. Highest resident memory of the server after a PUT and GET of "
         f"{chosen.gib} GiB: " + ", ".join(f"{peak:.0f} MiB over {t} ({idle:.0f} before)" for t, idle, peak in memories) + ".",
         f"Medians of {chosen.rounds} alternating rounds, {os.cpu_count()} cores ({platform.machine()}), client and server on the same "
         "machine, one connection, `--no-compat`."])
    print(table)
    if chosen.write:
        page = Path(__file__).resolve().parent.parent / "docs/operating/benchmark-s3.md"
        page.write_text(f"# Benchmark: plain and sealed\n\nMade by `cargo xtask bench s3 --write`.\n\n{table}\n")
    print(f"\nworst ratio at 64 MiB: {min(worst)[0]:.2f} ({min(worst)[1]})", file=sys.stderr)


def measure(server, chosen):
    client = Client(server)
    for bucket in ("plain", "sealed"):
        client.s3.create_bucket(Bucket=bucket)
    client.s3.put_bucket_encryption(Bucket="sealed", ServerSideEncryptionConfiguration={
        "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]})
    idle = server.resident_mib()
    return large(client, chosen.rounds), small(client, chosen.rounds), idle, memory(client, server, chosen.gib)


if __name__ == "__main__":
    main()
