import itertools
import os
import uuid

import pytest

import clients
from kes_stores import Services
from strongroom import KeyServer, ObjectServer


@pytest.fixture(scope="session")
def key_server(tmp_path_factory):
    server = KeyServer(tmp_path_factory.mktemp("kes")).start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def object_server(tmp_path_factory, key_server):
    """An object server whose keys a KES holds, reached over mTLS. No auto-encryption: plain objects are plain."""
    server = ObjectServer(tmp_path_factory.mktemp("s3"), kms=key_server.server_env()).start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def services(tmp_path_factory):
    """Everything that can hold the keys of a key server."""
    services = Services(tmp_path_factory.mktemp("services"))
    yield services
    services.stop()


@pytest.fixture
def s3(object_server, tmp_path):
    """The boto3 client itself, for what the seven verbs do not reach."""
    return boto(object_server, tmp_path)


def boto(server, tmp_path):
    return clients.Boto3(server.url, server.access_key, server.secret_key, server.ca, tmp_path).s3


@pytest.fixture
def bucket(s3):
    name = f"b-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


def content(size, marker=None):
    """`size` bytes that no pattern repeats in, with a marker of 32 bytes at both ends and in between.

    Returns the bytes and the marker."""
    marker = marker or os.urandom(32)
    if size < 3 * len(marker):
        return (marker * 3)[:size], marker
    body = bytearray(os.urandom(size))
    for at in itertools.chain(range(0, size - len(marker), 1 << 20), [size - len(marker)]):
        body[at : at + len(marker)] = marker
    return bytes(body), marker
