"""The canned server's responses are read as LocalStack's: headers, bodies and error documents."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.errors import TransferError
from airflow_s3_azure.engine.model import SourceObject
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.sync.listing import list_objects
from tests.fakes.canned_server import CannedServer, canned_server, error_document, source_at
from tests.rig import Rig

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket

pytestmark = pytest.mark.servers

DATA = b"0123456789" * 10
BLOCK = Block(1, 20, 30)


@pytest.fixture
def server() -> Iterator[CannedServer]:
    """A running server."""
    with canned_server() as running:
        yield running


@pytest.fixture
def rig(bucket: Bucket, container: ContainerClient) -> Iterator[Rig]:
    """A source in LocalStack."""
    with closing(Rig(bucket, container)) as made:
        yield made


def _ignore(*_: object) -> None:
    """Count nothing."""


def _range(source: S3Source, found: SourceObject) -> bytes:
    into = memoryview(bytearray(BLOCK.size))
    source.read(found, BLOCK, into, _ignore)
    return bytes(into)


def _whole(source: S3Source, found: SourceObject) -> bytes:
    into = memoryview(bytearray(found.size))
    source.read_whole(found.key, found.etag, found.version_id, into, _ignore)
    return bytes(into)


def test_an_object_is_described_and_read_alike(server: CannedServer, rig: Rig) -> None:
    """With the headers that the tests send: ETag, Content-Length, Content-Range and the version."""
    rig.bucket.client.put_bucket_versioning(Bucket=rig.bucket.name, VersioningConfiguration={"Status": "Enabled"})
    etag = rig.bucket.put("key", DATA)
    real = rig.source.head("key")
    pinned: dict[str, str | None] = {"ETag": f'"{etag}"', "x-amz-version-id": real.version_id}
    canned = source_at(server.url, rig.bucket.name)

    server.status, server.headers, server.body = 200, pinned, DATA
    described = canned.head("key", real.version_id)
    whole = _whole(canned, described)
    server.status, server.headers, server.body = 206, {**pinned, "Content-Range": "bytes 20-29/100"}, DATA[20:30]
    ranged = _range(canned, described)

    assert (described.etag, described.size, described.version_id) == (real.etag, real.size, real.version_id)
    assert (ranged, whole) == (_range(rig.source, real), _whole(rig.source, real)) == (DATA[20:30], DATA)


def test_tags_are_read_alike(server: CannedServer, rig: Rig) -> None:
    """From a document in S3's form."""
    rig.bucket.put("key", DATA, Tagging="a=1&team=data")
    server.status = 200
    server.body = b"<Tagging><TagSet>%s</TagSet></Tagging>" % b"".join(
        b"<Tag><Key>%s</Key><Value>%s</Value></Tag>" % pair for pair in ((b"a", b"1"), (b"team", b"data"))
    )

    assert source_at(server.url).tags("key") == rig.source.tags("key") == {"a": "1", "team": "data"}


def test_a_listing_is_read_alike(server: CannedServer, rig: Rig) -> None:
    """From a document in S3's form."""
    rig.bucket.put("a", DATA)
    (real,) = list_objects(rig.source)
    server.status = 200
    server.body = (
        f"<ListBucketResult><Name>bucket</Name><Contents><Key>a</Key><Size>{real.size}</Size>"
        f"<LastModified>{real.last_modified:%Y-%m-%dT%H:%M:%S}.000Z</LastModified>"
        f"<ETag>&quot;{real.etag}&quot;</ETag><StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>"
    ).encode()
    (canned,) = list_objects(source_at(server.url))

    assert real.last_modified is not None
    assert canned == structs.replace(real, last_modified=real.last_modified.replace(microsecond=0))


REFUSALS: dict[str, tuple[int, str, Callable[[S3Source, SourceObject], object]]] = {
    "a missing key": (404, "NoSuchKey", lambda source, found: _whole(source, replace(found, key="missing"))),
    "another ETag": (412, "PreconditionFailed", lambda source, found: _whole(source, replace(found, etag="0" * 32))),
    "a key that was deleted during the copy": (
        404,
        "NoSuchKey",
        lambda source, found: _range(source, replace(found, key="missing")),
    ),
    "an archived object": (403, "InvalidObjectState", lambda source, found: _whole(source, replace(found, key="cold"))),
    "the tags of a missing key": (404, "NoSuchKey", lambda source, found: source.tags("missing")),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_is_the_same_error(server: CannedServer, rig: Rig, case: str) -> None:
    """The class, the message and the verdict on a retry, apart from the request ID."""
    rig.bucket.put("key", DATA)
    rig.bucket.put("cold", DATA, StorageClass="GLACIER")
    found = rig.source.head("key")
    status, code, read = REFUSALS[case]
    server.status, server.body, server.headers = status, error_document(code), {"x-amz-request-id": "R1"}

    with pytest.raises(TransferError) as real:
        read(rig.source, found)
    with pytest.raises(TransferError) as canned:
        read(source_at(server.url, rig.bucket.name), found)

    def described(error: TransferError) -> tuple[type[TransferError], str, bool, bool]:
        message = " ".join(re.sub(r"; request [^)]*\)$", "; request)", str(error)).split())
        return type(error), message, error.transient, error.retryable

    assert described(canned.value) == described(real.value)
