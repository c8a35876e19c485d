"""The bucket and the container in memory do what the engine gets from LocalStack and Azurite."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, cast

import pytest

from airflow_s3_azure.engine.azure.service_errors import PreconditionFailed
from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.checksums import compute
from airflow_s3_azure.engine.errors import SourceChanged, SourceNotFound
from airflow_s3_azure.engine.model import BlobContent, Precondition
from airflow_s3_azure.engine.properties import SourceRecord
from tests.fakes.memory import FakeAzure, FakeS3, stored
from tests.rig import Rig

if TYPE_CHECKING:
    from airflow_s3_azure.engine.azure.container import BlobContainer
    from airflow_s3_azure.engine.s3.source import S3Source

pytestmark = pytest.mark.servers

DATA = b"0123456789abcdef"
CONTENT = BlobContent({}, SourceRecord("etag", len(DATA)).as_metadata())
ABSENT = Precondition(None)
IDS = ["block-0", "block-1"]


@pytest.fixture
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """A rig between the emulators."""
    with closing(Rig(request.getfixturevalue("bucket"), request.getfixturevalue("container"))) as found:
        yield found


@pytest.fixture(params=["memory", "LocalStack"])
def source(request: pytest.FixtureRequest) -> S3Source:
    """A bucket that holds ``DATA`` under ``key``."""
    if request.param == "memory":
        return cast("S3Source", FakeS3({"key": stored(DATA)}))
    rig: Rig = request.getfixturevalue("rig")
    rig.bucket.put("key", DATA, ChecksumAlgorithm="CRC64NVME")
    return rig.source


@pytest.fixture(params=["memory", "Azurite"])
def blobs(request: pytest.FixtureRequest) -> BlobContainer:
    """An empty container."""
    if request.param == "memory":
        return cast("BlobContainer", FakeAzure())
    rig: Rig = request.getfixturevalue("rig")
    return rig.blobs


def _ignore(*_: object) -> None:
    """Count nothing."""


def _stage(blobs: BlobContainer) -> None:
    for number, block_id in enumerate(IDS):
        data = memoryview(DATA[8 * number : 8 * number + 8])
        blobs.stage("blob", block_id, data, compute("CRC64NVME", data))


def _put(blobs: BlobContainer, condition: Precondition) -> str:
    data = memoryview(DATA)
    return blobs.put("blob", data, compute("CRC64NVME", data), CONTENT, condition)


def test_an_object_is_described_and_read_alike(source: S3Source) -> None:
    """Size, ETag and checksum by HEAD; the bytes and their CRC-64 in a range and whole."""
    found = source.head("key")
    block, whole = memoryview(bytearray(8)), memoryview(bytearray(len(DATA)))

    checksums = source.read(found, Block(1, 8, 16), block, _ignore, _ignore)
    described = source.read_whole("key", found.etag, None, whole, _ignore)

    assert (found.size, found.etag, found.checksum) == (len(DATA), stored(DATA).etag, stored(DATA).checksum)
    assert (bytes(block), bytes(whole)) == (DATA[8:], DATA)
    assert checksums.crc64 == compute("CRC64NVME", memoryview(DATA[8:]))
    assert (described.etag, described.checksum) == (found.etag, found.checksum)


def test_a_missing_key_and_another_version_are_the_same_errors(source: S3Source) -> None:
    """The class is the same; messages differ."""
    with pytest.raises(SourceNotFound):
        source.head("missing")
    with pytest.raises(SourceChanged):
        source.read_whole("key", "other", None, memoryview(bytearray(len(DATA))), _ignore)


def test_a_put_is_conditional(blobs: BlobContainer) -> None:
    """The blob is created only where there is none, and replaced only where its ETag is the expected one."""
    assert blobs.head("blob") is None
    first = _put(blobs, ABSENT)

    for stale in (ABSENT, Precondition('"0x0"')):
        with pytest.raises(PreconditionFailed):
            _put(blobs, stale)
    second = _put(blobs, Precondition(first))

    state = blobs.head("blob")
    assert state is not None
    assert first != second
    assert (state.etag, state.size, state.record) == (second, len(DATA), SourceRecord("etag", len(DATA)))


def test_blocks_are_staged_listed_and_committed_alike(blobs: BlobContainer) -> None:
    """Staged blocks are listed and invisible; after the commit they are the blob, and no block is left."""
    _stage(blobs)
    listed = sorted((block.name.decode(), block.size) for block in blobs.staged("blob"))
    before = blobs.head("blob")

    etag = blobs.commit("blob", IDS, CONTENT, ABSENT)

    state = blobs.head("blob")
    assert (listed, before) == ([(block_id, 8) for block_id in IDS], None)
    assert state is not None
    assert (state.etag, state.size, blobs.staged("blob")) == (etag, len(DATA), [])
