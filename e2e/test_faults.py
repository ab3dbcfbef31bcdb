"""What must never give data: wrong keys, tampered files, exchanged files, a key server that is down."""

import base64
import shutil

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from clients import CUSTOMER_KEY
from conftest import boto, content
from strongroom import KEY, KeyServer, ObjectServer

SSE_C = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": CUSTOMER_KEY}
SEALED = {
    "sse-s3": ({"ServerSideEncryption": "AES256"}, {}),
    "sse-kms": ({"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY}, {}),
    "sse-c": (SSE_C, SSE_C),
}
BIG = 300_000  # a file of its own, several packages
SMALL = 1_000  # beside its metadata in one file


def fails(code, status, call, **kwargs):
    with pytest.raises(ClientError) as caught:
        call(**kwargs)
    error = caught.value.response
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), error
    return error["Error"].get("Message", "")


def never_gives(marker, call, **kwargs):
    """The answer is an error, or the connection is cut before the marker has come."""
    try:
        body = call(**kwargs)["Body"]
        received = b""
        for chunk in body.iter_chunks(1024):
            received += chunk
    except (ClientError, BotoCoreError):
        return
    pytest.fail(f"{len(received)} bytes came back whole")


@pytest.fixture
def own_server(tmp_path, key_server):
    """A server of this test's own: its files are going to be damaged."""
    server = ObjectServer(tmp_path / "s3", kms=key_server.server_env()).start()
    server.s3 = boto(server, tmp_path)
    server.s3.create_bucket(Bucket="vault")
    yield server
    server.kill()


def test_wrong_customer_key_is_denied(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"secret", **SSE_C)
    other = SSE_C | {"SSECustomerKey": b"x" * 32}
    fails("AccessDenied", 403, s3.get_object, Bucket=bucket, Key="k", **other)
    fails("403", 403, s3.head_object, Bucket=bucket, Key="k", **other)


def test_wrong_customer_key_is_denied_for_an_empty_object(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"", **SSE_C)
    fails("AccessDenied", 403, s3.get_object, Bucket=bucket, Key="k", **(SSE_C | {"SSECustomerKey": b"x" * 32}))


def test_missing_customer_key_is_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"secret", **SSE_C)
    fails("InvalidRequest", 400, s3.get_object, Bucket=bucket, Key="k")
    fails("400", 400, s3.head_object, Bucket=bucket, Key="k")


def test_customer_key_on_a_plain_object_is_refused(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"open")
    fails("InvalidRequest", 400, s3.get_object, Bucket=bucket, Key="k", **SSE_C)


def test_encryption_headers_on_get_are_refused(s3, bucket, object_server):
    s3.put_object(Bucket=bucket, Key="k", Body=b"secret", ServerSideEncryption="AES256")
    s3.meta.events.register(
        "before-call.s3.GetObject",
        lambda params, **_: params["headers"].update({"x-amz-server-side-encryption": "AES256"}),
    )
    fails("InvalidArgument", 400, s3.get_object, Bucket=bucket, Key="k")


@pytest.mark.parametrize(
    "headers",
    [
        {"ServerSideEncryption": "AES256", **SSE_C},
        {"ServerSideEncryption": "aws:kms", **SSE_C},
        {"ServerSideEncryption": "AES256", "SSEKMSKeyId": KEY},
        {"ServerSideEncryption": "aes:kms"},
        {"SSEKMSKeyId": KEY},
        {"SSECustomerAlgorithm": "AES192", "SSECustomerKey": CUSTOMER_KEY},
    ],
    ids=["C+S3", "C+KMS", "S3+key-id", "unknown", "key-id-alone", "AES192"],
)
def test_conflicting_headers_are_refused_and_store_nothing(s3, bucket, headers):
    fails("InvalidArgument", 400, s3.put_object, Bucket=bucket, Key="k", Body=b"secret", **headers)
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_dsse_is_refused_never_stored_in_clear(s3, bucket, object_server):
    data, marker = content(1_000)
    fails("NotImplemented", 501, s3.put_object, Bucket=bucket, Key="k", Body=data, ServerSideEncryption="aws:kms:dsse")
    assert not object_server.stored_bytes_contain(marker)


def test_unknown_kms_key_is_named(s3, bucket):
    message = fails("KMS.NotFoundException", 400, s3.put_object, Bucket=bucket, Key="k", Body=b"secret",
                    ServerSideEncryption="aws:kms", SSEKMSKeyId="no-such-key")
    assert "no-such-key" in message


def test_a_body_that_is_not_what_its_checksum_says_is_not_stored(s3, bucket):
    fails("BadDigest", 400, s3.put_object, Bucket=bucket, Key="k", Body=b"secret", ServerSideEncryption="AES256",
          ContentMD5=base64.b64encode(b"0" * 16).decode())
    fails("404", 404, s3.head_object, Bucket=bucket, Key="k")


def files_over(folder, size):
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.stat().st_size >= size)


@pytest.mark.parametrize("scheme", SEALED)
@pytest.mark.parametrize("where", ["first", "middle", "last"])
def test_a_tampered_byte_never_gives_data(own_server, scheme, where):
    write, read = SEALED[scheme]
    data, marker = content(BIG)
    own_server.s3.put_object(Bucket="vault", Key="k", Body=data, **write)
    (body,) = files_over(own_server.data, BIG)
    stored = bytearray(body.read_bytes())
    at = {"first": 20, "middle": len(stored) // 2, "last": len(stored) - 1}[where]
    stored[at] ^= 1
    body.chmod(0o600)
    body.write_bytes(stored)
    never_gives(marker, own_server.s3.get_object, Bucket="vault", Key="k", **read)


@pytest.mark.parametrize("scheme", SEALED)
def test_a_truncated_file_is_not_authentic(own_server, scheme):
    write, read = SEALED[scheme]
    data, marker = content(BIG)
    own_server.s3.put_object(Bucket="vault", Key="k", Body=data, **write)
    (body,) = files_over(own_server.data, BIG)
    stored = body.read_bytes()
    body.chmod(0o600)
    body.write_bytes(stored[: len(stored) - 65_568])
    never_gives(marker, own_server.s3.get_object, Bucket="vault", Key="k", **read)


@pytest.mark.parametrize("scheme", SEALED)
def test_swapped_body_files_never_give_the_other_objects_data(own_server, scheme):
    write, read = SEALED[scheme]
    for key in ("a", "b"):
        own_server.s3.put_object(Bucket="vault", Key=key, Body=content(BIG)[0], **write)
    one, two = files_over(own_server.data, BIG)
    swap(one, two)
    for key in ("a", "b"):
        never_gives(b"", own_server.s3.get_object, Bucket="vault", Key=key, **read)


@pytest.mark.parametrize("scheme", SEALED)
def test_swapped_object_files_never_give_the_other_objects_data(own_server, scheme):
    """The whole record of an object, envelope included, put in another object's place."""
    write, read = SEALED[scheme]
    for key in ("object-a", "object-b"):
        own_server.s3.put_object(Bucket="vault", Key=key, Body=content(SMALL)[0], **write)
    roots = [p for p in own_server.data.rglob("*") if p.is_file() and p.name.startswith(("object-a", "object-b"))]
    assert len(roots) == 2, roots
    own_server.kill()
    swap(*roots)
    own_server.start()
    for key in ("object-a", "object-b"):
        never_gives(b"", own_server.s3.get_object, Bucket="vault", Key=key, **read)


def swap(one, two):
    spare = one.with_name("spare")
    shutil.move(one, spare)
    shutil.move(two, one)
    shutil.move(spare, two)


@pytest.fixture
def own_keys(tmp_path):
    """A key server of this test's own, which keeps no key in memory, and an object server that caches none."""
    keys = KeyServer(tmp_path / "kes").start()
    server = ObjectServer(tmp_path / "s3", kms=keys.server_env(), STRONGROOM_BUCKET_KEY_WINDOW="0s",
                          STRONGROOM_DATA_KEY_CACHE="0s").start()
    server.s3 = boto(server, tmp_path)
    server.s3.create_bucket(Bucket="vault")
    yield keys, server
    server.kill()
    keys.kill()


def test_key_server_down_is_503_and_harms_nobody_else(own_keys):
    keys, server = own_keys
    data, marker = content(BIG)
    server.s3.put_object(Bucket="vault", Key="sealed", Body=data, ServerSideEncryption="AES256")
    server.s3.put_object(Bucket="vault", Key="plain", Body=b"open")
    server.s3.put_object(Bucket="vault", Key="customer", Body=b"mine", **SSE_C)
    keys.kill()

    message = fails("ServiceUnavailable", 503, server.s3.get_object, Bucket="vault", Key="sealed")
    assert "127.0.0.1" not in message, "clients do not learn where the key server is"
    fails("ServiceUnavailable", 503, server.s3.put_object, Bucket="vault", Key="new", Body=data,
          ServerSideEncryption="AES256")
    assert not server.stored_bytes_contain(marker)
    assert server.s3.get_object(Bucket="vault", Key="plain")["Body"].read() == b"open"
    assert server.s3.get_object(Bucket="vault", Key="customer", **SSE_C)["Body"].read() == b"mine"
    assert server.s3.head_object(Bucket="vault", Key="sealed")["ContentLength"] == BIG
    listed = server.s3.list_objects_v2(Bucket="vault")["Contents"]
    assert {o["Key"]: o["Size"] for o in listed} == {"sealed": BIG, "plain": 4, "customer": 4}

    keys.start()
    assert server.s3.get_object(Bucket="vault", Key="sealed")["Body"].read() == data


def test_a_deleted_key_makes_objects_unreadable_and_is_named(own_keys):
    keys, server = own_keys
    server.s3.put_object(Bucket="vault", Key="k", Body=b"secret", ServerSideEncryption="AES256")
    keys.cli("key", "rm", KEY)
    message = fails("KMS.NotFoundException", 400, server.s3.get_object, Bucket="vault", Key="k")
    assert KEY in message
    assert server.s3.list_objects_v2(Bucket="vault")["Contents"][0]["Size"] == 6


def test_a_key_of_the_same_name_with_other_material_does_not_open(own_keys):
    keys, server = own_keys
    server.s3.put_object(Bucket="vault", Key="k", Body=b"secret", ServerSideEncryption="AES256")
    keys.cli("key", "rm", KEY)
    keys.cli("key", "create", KEY)
    with pytest.raises(ClientError) as caught:
        server.s3.get_object(Bucket="vault", Key="k")
    error = caught.value.response
    assert 400 <= error["ResponseMetadata"]["HTTPStatusCode"] < 500
    assert KEY in error["Error"]["Message"]


def test_kill_and_restart_lose_nothing(own_server):
    data, _ = content(BIG)
    own_server.s3.put_object(Bucket="vault", Key="k", Body=data, ServerSideEncryption="AES256")
    own_server.restart()
    assert own_server.s3.get_object(Bucket="vault", Key="k")["Body"].read() == data
    assert own_server.stop() == 0
