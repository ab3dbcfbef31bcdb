"""Every client, every scheme, every size around the format's steps: what went in comes out, and lies encrypted."""

import pytest

from clients import CLIENTS, SCHEMES
from conftest import content

PACKAGE = 65_536
SIZES = {
    "0": 0, "1": 1, "64Ki-1": PACKAGE - 1, "64Ki": PACKAGE, "64Ki+1": PACKAGE + 1, "5Mi": 5 << 20, "64Mi": 64 << 20,
}
DEFAULT_ENCRYPTION = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
SHOWN = {
    "sse-s3": ("ServerSideEncryption", "AES256"), "sse-kms": ("ServerSideEncryption", "aws:kms"),
    "sse-c": ("SSECustomerAlgorithm", "AES256"), "bucket-default": ("ServerSideEncryption", "AES256"),
}


@pytest.fixture(params=CLIENTS, ids=lambda c: c.name)
def client(request, object_server, tmp_path):
    return request.param(object_server.url, object_server.access_key, object_server.secret_key, object_server.ca, tmp_path)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES.keys())
@pytest.mark.parametrize("scheme", SCHEMES)
def test_round_trip(client, scheme, size, object_server, s3, bucket):
    if scheme == "bucket-default":
        s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=DEFAULT_ENCRYPTION)
    data, marker = content(size)
    key = "a folder/ünïcode & 1.bin"

    client.put(bucket, key, data, scheme)

    assert client.get(bucket, key, scheme) == data
    assert client.size(bucket, key, scheme) == size
    assert client.list(bucket) == {key: size}
    for first, last in ranges(size):
        assert client.range(bucket, key, first, last, scheme) == data[first : last + 1]
    if size >= len(marker):
        # The plain case shows that this search finds what is there.
        assert object_server.stored_bytes_contain(marker) == (scheme == "plain")
    shown = s3.head_object(Bucket=bucket, Key=key, **sse_c_key(scheme))
    if scheme == "plain":
        assert "ServerSideEncryption" not in shown and "SSECustomerAlgorithm" not in shown
    else:
        name, value = SHOWN[scheme]
        assert shown[name] == value

    client.copy(bucket, key, "copy", scheme)
    assert client.get(bucket, "copy", scheme) == data
    if size >= len(marker):
        assert object_server.stored_bytes_contain(marker) == (scheme == "plain")

    client.delete(bucket, key, scheme)
    client.delete(bucket, "copy", scheme)
    assert client.list(bucket) == {}


def sse_c_key(scheme):
    from clients import CUSTOMER_KEY

    return {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": CUSTOMER_KEY} if scheme == "sse-c" else {}


def ranges(size):
    """First byte, last byte, across a package boundary, and the middle."""
    wanted = [(0, 0), (size - 1, size - 1), (PACKAGE - 3, PACKAGE + 2), (size // 2, size // 2 + 100)]
    return [(first, last) for first, last in wanted if 0 <= first <= last < size]
