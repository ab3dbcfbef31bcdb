"""Four clients that people use, behind the same seven verbs. Each is the unmodified program or library."""

import base64
import hashlib
import io
import json
import os
import subprocess

import boto3
import botocore.config
import minio
import minio.commonconfig
import minio.sse
import urllib3

from strongroom import KEY, clean_env

CUSTOMER_KEY = b"32byteslongsecretkeymustprovided"
CUSTOMER_KEY_B64 = base64.b64encode(CUSTOMER_KEY).decode()
CUSTOMER_KEY_MD5 = base64.b64encode(hashlib.md5(CUSTOMER_KEY).digest()).decode()

SCHEMES = ["plain", "sse-s3", "sse-kms", "sse-c", "bucket-default"]


class Boto3:
    name = "boto3"

    def __init__(self, url, access_key, secret_key, ca, tmp):
        self.s3 = boto3.client(
            "s3", endpoint_url=url, aws_access_key_id=access_key, aws_secret_access_key=secret_key,
            region_name="us-east-1", verify=str(ca),
            config=botocore.config.Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
        )

    def write_args(self, scheme):
        return {
            "sse-s3": {"ServerSideEncryption": "AES256"},
            "sse-kms": {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY},
            "sse-c": self.read_args("sse-c"),
        }.get(scheme, {})

    def read_args(self, scheme):
        if scheme != "sse-c":
            return {}
        return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": CUSTOMER_KEY}

    def copy_args(self, scheme):
        if scheme != "sse-c":
            return self.write_args(scheme)
        return self.write_args(scheme) | {"CopySourceSSECustomerAlgorithm": "AES256",
                                          "CopySourceSSECustomerKey": CUSTOMER_KEY}

    def put(self, bucket, key, data, scheme):
        self.s3.upload_fileobj(io.BytesIO(data), bucket, key, ExtraArgs=self.write_args(scheme))

    def get(self, bucket, key, scheme):
        return self.s3.get_object(Bucket=bucket, Key=key, **self.read_args(scheme))["Body"].read()

    def range(self, bucket, key, first, last, scheme):
        reply = self.s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={first}-{last}", **self.read_args(scheme))
        return reply["Body"].read()

    def size(self, bucket, key, scheme):
        return self.s3.head_object(Bucket=bucket, Key=key, **self.read_args(scheme))["ContentLength"]

    def copy(self, bucket, key, to, scheme):
        self.s3.copy_object(Bucket=bucket, Key=to, CopySource={"Bucket": bucket, "Key": key}, **self.copy_args(scheme))

    def list(self, bucket):
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {o["Key"]: o["Size"] for page in pages for o in page.get("Contents", [])}

    def delete(self, bucket, key, scheme):
        self.s3.delete_object(Bucket=bucket, Key=key)


class AwsCli:
    name = "aws-cli"

    def __init__(self, url, access_key, secret_key, ca, tmp):
        self.tmp = tmp
        config = tmp / "aws-config"
        config.write_text("[default]\ns3 =\n  addressing_style = path\n")
        self.env = clean_env(AWS_ENDPOINT_URL=url, AWS_ACCESS_KEY_ID=access_key, AWS_SECRET_ACCESS_KEY=secret_key,
                             AWS_REGION="us-east-1", AWS_CA_BUNDLE=ca, AWS_CONFIG_FILE=config, AWS_PAGER="",
                             AWS_MAX_ATTEMPTS="1")

    def aws(self, *args):
        done = subprocess.run(["aws", *map(str, args)], env=self.env, capture_output=True, timeout=300)
        assert done.returncode == 0, f"aws {args}: {done.stderr.decode()}"
        return done.stdout

    def key_file(self):
        path = self.tmp / "customer.key"
        path.write_bytes(CUSTOMER_KEY)
        return path

    def write_args(self, scheme):
        return {
            "sse-s3": ["--sse", "AES256"],
            "sse-kms": ["--sse", "aws:kms", "--sse-kms-key-id", KEY],
            "sse-c": ["--sse-c", "AES256", "--sse-c-key", f"fileb://{self.key_file()}"],
        }.get(scheme, [])

    def read_args(self, scheme):
        return self.write_args(scheme) if scheme == "sse-c" else []

    def api_args(self, scheme):
        if scheme != "sse-c":
            return []
        return ["--sse-customer-algorithm", "AES256", "--sse-customer-key", f"fileb://{self.key_file()}"]

    def put(self, bucket, key, data, scheme):
        source = self.tmp / "upload"
        source.write_bytes(data)
        self.aws("s3", "cp", "--only-show-errors", source, f"s3://{bucket}/{key}", *self.write_args(scheme))

    def get(self, bucket, key, scheme):
        target = self.tmp / "download"
        self.aws("s3", "cp", "--only-show-errors", f"s3://{bucket}/{key}", target, *self.read_args(scheme))
        return target.read_bytes()

    def range(self, bucket, key, first, last, scheme):
        target = self.tmp / "range"
        self.aws("s3api", "get-object", "--bucket", bucket, "--key", key, "--range", f"bytes={first}-{last}",
                 *self.api_args(scheme), target)
        return target.read_bytes()

    def size(self, bucket, key, scheme):
        out = self.aws("s3api", "head-object", "--bucket", bucket, "--key", key, *self.api_args(scheme))
        return json.loads(out)["ContentLength"]

    def copy(self, bucket, key, to, scheme):
        args = self.write_args(scheme)
        if scheme == "sse-c":
            args = args + ["--sse-c-copy-source", "AES256", "--sse-c-copy-source-key", f"fileb://{self.key_file()}"]
        self.aws("s3", "cp", "--only-show-errors", f"s3://{bucket}/{key}", f"s3://{bucket}/{to}", *args)

    def list(self, bucket):
        out = self.aws("s3api", "list-objects-v2", "--bucket", bucket)
        listed = json.loads(out or b"{}")
        return {o["Key"]: o["Size"] for o in listed.get("Contents", [])}

    def delete(self, bucket, key, scheme):
        self.aws("s3", "rm", "--only-show-errors", f"s3://{bucket}/{key}")


class MinioPy:
    name = "minio-py"

    def __init__(self, url, access_key, secret_key, ca, tmp):
        http = urllib3.PoolManager(cert_reqs="CERT_REQUIRED", ca_certs=str(ca), retries=False)
        self.client = minio.Minio(url.removeprefix("https://"), access_key=access_key, secret_key=secret_key,
                                  region="us-east-1", http_client=http)

    def write_sse(self, scheme):
        return {
            "sse-s3": minio.sse.SseS3(),
            "sse-kms": minio.sse.SseKMS(KEY, {"purpose": "e2e"}),
            "sse-c": minio.sse.SseCustomerKey(CUSTOMER_KEY),
        }.get(scheme)

    def read_sse(self, scheme):
        return self.write_sse(scheme) if scheme == "sse-c" else None

    def put(self, bucket, key, data, scheme):
        self.client.put_object(bucket, key, io.BytesIO(data), len(data), sse=self.write_sse(scheme))

    def get(self, bucket, key, scheme):
        reply = self.client.get_object(bucket, key, ssec=self.read_sse(scheme))
        try:
            return reply.read()
        finally:
            reply.close()

    def range(self, bucket, key, first, last, scheme):
        reply = self.client.get_object(bucket, key, offset=first, length=last - first + 1, ssec=self.read_sse(scheme))
        try:
            return reply.read()
        finally:
            reply.close()

    def size(self, bucket, key, scheme):
        return self.client.stat_object(bucket, key, ssec=self.read_sse(scheme)).size

    def copy(self, bucket, key, to, scheme):
        source = minio.commonconfig.CopySource(bucket, key, ssec=self.read_sse(scheme))
        self.client.copy_object(bucket, to, source, sse=self.write_sse(scheme))

    def list(self, bucket):
        return {o.object_name: o.size for o in self.client.list_objects(bucket, recursive=True)}

    def delete(self, bucket, key, scheme):
        self.client.remove_object(bucket, key)


class Rclone:
    name = "rclone"

    def __init__(self, url, access_key, secret_key, ca, tmp):
        self.tmp = tmp
        empty = tmp / "rclone.conf"
        empty.write_text("")
        self.env = clean_env(
            RCLONE_CONFIG=empty, RCLONE_CONFIG_R_TYPE="s3", RCLONE_CONFIG_R_PROVIDER="Other",
            RCLONE_CONFIG_R_ENDPOINT=url, RCLONE_CONFIG_R_ACCESS_KEY_ID=access_key,
            RCLONE_CONFIG_R_SECRET_ACCESS_KEY=secret_key, RCLONE_CONFIG_R_REGION="us-east-1",
            RCLONE_CONFIG_R_FORCE_PATH_STYLE="true", RCLONE_CA_CERT=ca, RCLONE_RETRIES="1",
            RCLONE_LOW_LEVEL_RETRIES="1",
        )

    def rclone(self, *args, scheme="plain", stdin=None):
        env = dict(self.env)
        if scheme == "sse-s3":
            env["RCLONE_CONFIG_R_SERVER_SIDE_ENCRYPTION"] = "AES256"
        elif scheme == "sse-kms":
            env |= {"RCLONE_CONFIG_R_SERVER_SIDE_ENCRYPTION": "aws:kms", "RCLONE_CONFIG_R_SSE_KMS_KEY_ID": KEY}
        elif scheme == "sse-c":
            env |= {"RCLONE_CONFIG_R_SSE_CUSTOMER_ALGORITHM": "AES256",
                    "RCLONE_CONFIG_R_SSE_CUSTOMER_KEY_BASE64": CUSTOMER_KEY_B64}
        done = subprocess.run(["rclone", *map(str, args)], env=env, input=stdin, capture_output=True, timeout=300)
        assert done.returncode == 0, f"rclone {args}: {done.stderr.decode()}"
        return done.stdout

    def put(self, bucket, key, data, scheme):
        source = self.tmp / "rclone-upload"
        source.write_bytes(data)
        self.rclone("copyto", source, f"r:{bucket}/{key}", "--s3-upload-cutoff", "32Mi", scheme=scheme)

    def get(self, bucket, key, scheme):
        target = self.tmp / "rclone-download"
        if target.exists():
            os.remove(target)
        self.rclone("copyto", f"r:{bucket}/{key}", target, scheme=scheme)
        return target.read_bytes()

    def range(self, bucket, key, first, last, scheme):
        return self.rclone("cat", f"r:{bucket}/{key}", "--offset", first, "--count", last - first + 1, scheme=scheme)

    def size(self, bucket, key, scheme):
        return json.loads(self.rclone("lsjson", "--stat", f"r:{bucket}/{key}", scheme=scheme))["Size"]

    def copy(self, bucket, key, to, scheme):
        self.rclone("copyto", f"r:{bucket}/{key}", f"r:{bucket}/{to}", scheme=scheme)

    def list(self, bucket):
        return {o["Path"]: o["Size"] for o in json.loads(self.rclone("lsjson", "-R", "--files-only", f"r:{bucket}"))}

    def delete(self, bucket, key, scheme):
        self.rclone("deletefile", f"r:{bucket}/{key}", scheme=scheme)  # rclone looks before it deletes


CLIENTS = [Boto3, AwsCli, MinioPy, Rclone]
