"""Objects that Azure reads by itself, from a real S3 into Azurite: bytes, proof, resume, refusals."""

from __future__ import annotations

import itertools
import logging
import random
import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from airflow_s3_azure.engine.block_mover import CopyContext
from airflow_s3_azure.engine.blocks import DEFAULT_BLOCK_SIZE, MIB, BlockId
from airflow_s3_azure.engine.checksums import compute, s3_text
from airflow_s3_azure.engine.errors import (
    Cancelled,
    IntegrityError,
    SourceChanged,
    SourceReadError,
    SourceUnreachable,
)
from airflow_s3_azure.engine.http.redaction import redact_http_logs
from airflow_s3_azure.engine.model import CopyRequest, CopyResult
from airflow_s3_azure.engine.modes import block_mover
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.server_side.mover import ServerSideMover
from tests.engine.server_side.rig import BLOCK, SERVER_SIDE, STREAM, ServerSideRig
from tests.rig import wait_until_expired

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.servers

REQUIRE = replace(SERVER_SIDE, verify="require")


def _bytes(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def _fails(result: CopyResult) -> Exception:
    assert result.status == "failed"
    assert result.error is not None
    return result.error


@pytest.mark.parametrize("size", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 7 * BLOCK + 13])
def test_every_size_arrives_verified_and_no_byte_of_it_comes_here(rig: ServerSideRig, size: int) -> None:
    """Around each boundary of a block; what Azure read is verified against the CRC-64 that S3 stored."""
    body = _bytes(size)
    etag = rig.bucket.put("a", body, ChecksumAlgorithm="CRC64NVME", ContentType="text/x", Metadata={"team": "etl"})

    result = rig.one(REQUIRE)

    blocks = -(-size // BLOCK)
    assert (result.status, result.verified, result.size) == ("copied", "crc64nvme", size)
    assert (result.blocks, len(rig.azure.reads), result.bytes_read, result.retries) == (blocks, blocks, 0, 0)
    assert rig.read() == body
    properties = rig.container.get_blob_client("b").get_blob_properties()
    assert properties.content_settings.content_type == "text/x"
    assert (properties.metadata["team"], properties.metadata["s3_source_etag"]) == ("etl", etag)
    crc64nvme = s3_text("CRC64NVME", compute("CRC64NVME", memoryview(body)))
    assert properties.metadata["s3_source_crc64nvme"] == result.crc64nvme == crc64nvme
    assert result.source_checksum == f"CRC64NVME:{crc64nvme}"
    assert rig.staged() == []
    assert rig.one().status == "unchanged"


@pytest.mark.parametrize("key", ["a./b", "end.", "a\\b", "a%2Fb", "a%2fb", ".", "a/../b"])
def test_a_key_that_azure_rewrites_in_a_url_is_streamed_and_that_is_recorded(rig: ServerSideRig, key: str) -> None:
    """Put Block From URL would read another key, or be refused."""
    body = _bytes(3 * BLOCK)
    etag = rig.bucket.put(key, body, ChecksumAlgorithm="CRC64NVME")

    (result,) = rig.copy(CopyRequest(key, "b", len(body), etag, reason="new"))

    assert (result.status, result.verified, result.blocks, result.bytes_read) == ("copied", "crc64nvme", 3, len(body))
    assert result.reason == "new; streamed: Azure cannot read this key by URL"
    assert rig.azure.reads == []
    assert rig.read() == body


def test_streamed_keys_take_little_memory_however_large_server_side_blocks_are(rig: ServerSideRig) -> None:
    """Their blocks have the default size at most."""
    huge = replace(SERVER_SIDE, block_size=256 * MIB)
    mover = block_mover(rig.source, rig.blobs, huge)

    assert (mover.block_size, mover.for_key("a.").block_size) == (256 * MIB, DEFAULT_BLOCK_SIZE)


@pytest.mark.parametrize(
    "key", ["a//b", "/lead", "a b+c%2C", "ü/日本/😀", "x?y#z&w=1", "dt=2026-01-01/part-0.parquet", "new\nline"]
)
def test_any_key_can_be_read_by_its_url(rig: ServerSideRig, key: str) -> None:
    """The URL travels in a header, where a key's odd characters must arrive as they were signed."""
    rig.bucket.put(key, key.encode(), ChecksumAlgorithm="CRC64NVME")

    (result,) = rig.copy(CopyRequest(key, "b"))

    assert result.status == "copied", result.error
    assert rig.read() == key.encode()


def test_each_block_has_a_url_of_its_own_that_pins_the_object(rig: ServerSideRig) -> None:
    """Ranges and conditions are Azure's to send: the URL signs nothing but the host."""
    etag = rig.bucket.put("a", _bytes(3 * BLOCK), ChecksumAlgorithm="CRC64NVME")

    rig.one()

    requested = sorted((one["x-ms-source-range"], one["x-ms-source-if-match"]) for one in rig.azure.reads)
    assert requested == [(f"bytes={start}-{start + BLOCK - 1}", f'"{etag}"') for start in (0, 2 * BLOCK, BLOCK)]
    assert all("X-Amz-SignedHeaders=host&" in one["x-ms-copy-source"] for one in rig.azure.reads)
    assert [name for name, _ in rig.signed].count("get_object") == 3


def test_the_version_that_was_begun_is_copied_to_its_end(rig: ServerSideRig) -> None:
    """In a versioned bucket an overwrite in the middle does no harm."""
    rig.bucket.client.put_bucket_versioning(Bucket=rig.bucket.name, VersioningConfiguration={"Status": "Enabled"})
    body = _bytes(4 * BLOCK)
    rig.bucket.put("a", body, ChecksumAlgorithm="CRC64NVME")

    def overwrite(number: int) -> None:
        if number == 1:
            rig.bucket.put("a", _bytes(5 * BLOCK))

    rig.azure.before = overwrite

    result = rig.one(threads=1)

    assert (result.status, result.version_id is None) == ("copied", False)
    assert rig.read() == body


@pytest.mark.parametrize("algorithm", ["CRC64NVME", "CRC32"])
def test_a_source_that_changes_under_the_copy_is_no_mixture(rig: ServerSideRig, algorithm: str) -> None:
    """The request names the ETag that Azure must find."""
    rig.bucket.put("a", _bytes(4 * BLOCK), ChecksumAlgorithm=algorithm)

    def overwrite(number: int) -> None:
        if number == 2:
            rig.bucket.put("a", _bytes(4 * BLOCK)[::-1], ChecksumAlgorithm=algorithm)

    rig.azure.before = overwrite

    error = _fails(rig.one(threads=1))

    assert isinstance(error, SourceChanged)
    assert "while Azure was reading it: its ETag is another one now" in str(error)
    assert not rig.container.get_blob_client("b").exists()
    assert rig.one().status == "copied"
    assert rig.read() == _bytes(4 * BLOCK)[::-1]


def test_a_source_that_was_replaced_and_restored_is_seen_by_its_time(rig: ServerSideRig) -> None:
    """Its ETag is the old one again, but blocks may be of the version in between."""
    body = _bytes(3 * BLOCK)
    rig.bucket.put("a", body, ChecksumAlgorithm="SHA256")
    source = rig.source.head("a")
    mover = ServerSideMover(rig.source, rig.blobs, SERVER_SIDE)
    context = CopyContext("b", SERVER_SIDE.retry, 1, rig.cancellation)
    assert source.last_modified is not None
    earlier = replace(source, last_modified=source.last_modified - timedelta(seconds=1))

    assert mover.verified_without_checksum(context, source) == "blocks"
    with pytest.raises(SourceChanged, match="it changed while Azure was reading it"):
        mover.verified_without_checksum(context, earlier)


def test_where_azure_accepts_no_condition_it_copies_without_and_warns_once(
    rig: ServerSideRig, caplog: pytest.LogCaptureFixture
) -> None:
    """Whether Azure accepts one for a source elsewhere is not documented; the checksum verifies the copy anyway."""
    rig.azure.unsupported = "x-ms-source-if-match"
    bodies = {key: _bytes(size) for key, size in (("a", 3 * BLOCK), ("c", 2 * BLOCK))}
    for key, body in bodies.items():
        rig.bucket.put(key, body, ChecksumAlgorithm="CRC64NVME")

    with caplog.at_level(logging.WARNING):
        results = rig.copy(*(CopyRequest(key, key) for key in bodies), threads=1)

    assert [(one.status, one.verified) for one in results] == [("copied", "crc64nvme")] * 2
    assert {key: rig.read(key) for key in bodies} == bodies
    assert sum("copying without it" in line for line in caplog.messages) == 1
    assert sum("x-ms-source-if-match" in one for one in rig.azure.reads) == 1


@pytest.mark.parametrize("algorithm", ["CRC64NVME", "SHA256"])
def test_a_source_that_changes_is_no_mixture_without_the_condition(rig: ServerSideRig, algorithm: str) -> None:
    """The combined CRC-64 differs; where there is none, a HEAD before the commit shows it."""
    rig.azure.unsupported = "x-ms-source-if-match"
    rig.bucket.put("a", _bytes(4 * BLOCK), ChecksumAlgorithm=algorithm)

    def overwrite(number: int) -> None:
        if number == 2:
            rig.bucket.put("a", _bytes(4 * BLOCK)[::-1], ChecksumAlgorithm=algorithm)

    rig.azure.before = overwrite

    error = _fails(rig.one(threads=1))

    assert isinstance(error, IntegrityError if algorithm == "CRC64NVME" else SourceChanged)
    assert not rig.container.get_blob_client("b").exists()


def test_a_mixture_is_detected_if_azure_ignores_the_condition(rig: ServerSideRig) -> None:
    """Without a checksum, the source is checked once more before the commit."""
    body = _bytes(3 * BLOCK)
    rig.bucket.put("a", body, ChecksumAlgorithm="SHA256")
    rig.azure.damage = lambda number, found: (number == 2 and rig.bucket.put("a", body[::-1]) and b"") or found

    error = _fails(rig.one(threads=1))

    assert isinstance(error, SourceChanged)
    assert not rig.container.get_blob_client("b").exists()


@pytest.mark.parametrize("options", [SERVER_SIDE, REQUIRE])
@pytest.mark.parametrize("flipped", [0, 3, 6])
def test_a_damaged_block_is_caught_before_the_commit(rig: ServerSideRig, options: CopyOptions, flipped: int) -> None:
    """One bit of any block: the next try copies everything again, as a new generation, and is right."""
    body = _bytes(7 * BLOCK)
    rig.bucket.put("a", body, ChecksumAlgorithm="CRC64NVME")
    rig.azure.damage = lambda number, found: bytes([found[0] ^ 1]) + found[1:] if number == flipped else found

    error = _fails(rig.one(options))

    assert isinstance(error, IntegrityError)
    assert error.retryable
    assert not rig.container.get_blob_client("b").exists()
    result = rig.one(options)
    assert (result.status, result.resumed_blocks, len(rig.azure.reads)) == ("copied", 0, 14)
    assert rig.read() == body


@pytest.mark.parametrize(
    ("upload", "verified"),
    [
        ({"ChecksumAlgorithm": "CRC32"}, "transport"),
        ({"ChecksumAlgorithm": "CRC32C"}, "transport"),
        ({"ChecksumAlgorithm": "SHA256"}, "transport"),
        ({"ChecksumAlgorithm": "CRC64NVME"}, "crc64nvme"),
    ],
)
def test_the_result_reports_what_was_verified(rig: ServerSideRig, upload: dict[str, str], verified: str) -> None:
    """Only a CRC-64 can be compared with what Azure returns; the rest is reported as such, or refused."""
    body = _bytes(2 * BLOCK + 1)
    rig.bucket.put("a", body, **upload)

    assert rig.one().verified == verified
    assert rig.read() == body
    required = rig.copy(CopyRequest("a", "c"), options=REQUIRE)[0]
    if verified == "transport":
        error = _fails(required)
        assert isinstance(error, IntegrityError)
        assert "CRC64NVME of the whole object" in str(error)
        assert "use mode='stream'" in str(error)
        assert not error.retryable
        assert len(rig.azure.reads) == 3
    else:
        assert required.verified == verified


def test_an_object_of_one_block_is_checked_by_its_md5(rig: ServerSideRig) -> None:
    """Azure checks the MD5 that the ETag is; a block that has another is read once more."""
    body = _bytes(BLOCK)
    rig.bucket.put("a", body, ChecksumAlgorithm="CRC32")
    rig.azure.damage = lambda number, found: found[::-1] if number == 0 else found

    result = rig.one(REQUIRE)

    assert (result.status, result.verified, result.retries, len(rig.azure.reads)) == ("copied", "md5", 1, 2)
    assert rig.read() == body


def test_an_md5_that_never_fits_is_an_integrity_error(rig: ServerSideRig) -> None:
    """It is not committed, and not retried without end."""
    rig.bucket.put("a", _bytes(BLOCK), ChecksumAlgorithm="CRC32")
    rig.azure.damage = lambda number, found: found[::-1]

    error = _fails(rig.one())

    assert isinstance(error, IntegrityError)
    assert len(rig.azure.reads) == 2


def _break_off(rig: ServerSideRig, blocks: int, key: str = "a", blob: str = "b") -> None:
    """Begin a copy, and stop it while Azure reads the block after so many, which ends without a CRC marker."""
    last = len(rig.azure.reads) + blocks

    def stop(number: int) -> None:
        if number == last:
            rig.cancellation.set("the task was killed")

    rig.azure.before = stop
    with pytest.raises(Cancelled):
        rig.copy(CopyRequest(key, blob), threads=1)
    rig.azure.before = lambda number: None
    deadline = time.monotonic() + 20
    while sorted(block.size for block in rig.staged(blob)) != [1] * blocks + [BLOCK] * (blocks + 1):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _resumed(rig: ServerSideRig) -> ServerSideRig:
    return ServerSideRig(rig.bucket, rig.azure, rig.container)


@pytest.mark.parametrize("algorithm", ["CRC64NVME", "CRC32", "SHA256"])
def test_a_later_try_resumes_from_the_staged_blocks(rig: ServerSideRig, algorithm: str) -> None:
    """The CRC markers hold the blocks' CRCs, so the verification is the same as without a break."""
    body = _bytes(6 * BLOCK)
    rig.bucket.put("a", body, ChecksumAlgorithm=algorithm)
    _break_off(rig, 4)

    result = _resumed(rig).one(threads=1)

    assert (result.status, result.resumed_blocks, result.blocks) == ("copied", 4, 6)
    assert result.crc64nvme == s3_text("CRC64NVME", compute("CRC64NVME", memoryview(rig.read())))
    assert len(rig.azure.reads) == 4 + 1 + 2  # the fifth ended after the cancellation: it has no CRC marker
    assert result.verified == ("crc64nvme" if algorithm == "CRC64NVME" else "transport")
    assert rig.read() == body
    assert rig.staged() == []


def test_what_was_streamed_is_finished_on_the_server_side(rig: ServerSideRig) -> None:
    """The IDs of streamed blocks hold their CRCs; all blocks are verified."""
    body = _bytes(6 * BLOCK)
    rig.bucket.put("a", body, ChecksumAlgorithm="CRC64NVME")
    _stream_some(rig, 4)

    result = _resumed(rig).one(REQUIRE)

    assert (result.status, result.resumed_blocks, result.verified) == ("copied", 4, "crc64nvme")
    assert (len(rig.azure.reads), result.bytes_read) == (2, 0)
    assert rig.read() == body


def test_what_the_server_side_began_is_finished_by_streaming(rig: ServerSideRig) -> None:
    """And in the other direction."""
    body = _bytes(6 * BLOCK)
    rig.bucket.put("a", body, ChecksumAlgorithm="CRC64NVME")
    _break_off(rig, 4)

    result = _resumed(rig).one(replace(STREAM, verify="require"))

    assert (result.status, result.resumed_blocks, result.verified) == ("copied", 4, "crc64nvme")
    assert result.bytes_read == 2 * BLOCK
    assert rig.read() == body


def test_streaming_reads_again_what_lacks_the_crc_that_s3_stored(rig: ServerSideRig) -> None:
    """A CRC-32 can only be verified by reading; an object without any checksum is resumed and reported as such."""
    for key, algorithm in (("a", "CRC32"), ("c", "SHA256")):
        rig.bucket.put(key, _bytes(6 * BLOCK), ChecksumAlgorithm=algorithm)
        _break_off(_resumed(rig), 4, key, key)

    streamed = {key: _resumed(rig).copy(CopyRequest(key, key), options=STREAM)[0] for key in "ac"}

    assert {key: (one.verified, one.resumed_blocks) for key, one in streamed.items()} == {
        "a": ("crc32", 0),
        "c": ("transport", 4),
    }
    assert rig.read("a") == rig.read("c") == _bytes(6 * BLOCK)


def test_both_modes_split_at_the_ends_of_parts(rig: ServerSideRig) -> None:
    """Where S3 stored a composite checksum, too: a block of one mode is a block of the other."""
    part = 5 * 1024 * 1024
    body = _bytes(part + 3 * 1024 * 1024)
    rig.bucket.put_multipart("a", body, part, ChecksumAlgorithm="CRC32")
    options = replace(STREAM, block_size=2 * 1024 * 1024)
    _stream_some(rig, 2, options)

    result = _resumed(rig).one(replace(options, mode="server_side"))

    assert (result.status, result.resumed_blocks, len(rig.azure.reads)) == ("copied", 2, 3)
    assert rig.read() == body


def _stream_some(rig: ServerSideRig, blocks: int, options: CopyOptions = STREAM) -> None:
    """Begin a copy through this process, and stop it when so many blocks are staged and none is in flight."""
    stopped = _resumed(rig)
    count = itertools.count()
    stage = stopped.blobs.stage
    one_at_a_time = threading.Lock()

    def staged(*arguments: Any) -> None:
        with one_at_a_time:
            if next(count) == blocks:
                stopped.cancellation.set("the task was killed")
            stopped.cancellation.check()
            stage(*arguments)

    stopped.blobs.stage = staged  # type: ignore[method-assign, assignment]
    with pytest.raises(Cancelled):
        stopped.one(options, threads=1)
    assert sum(1 for one in rig.staged() if BlockId.decode(one.id.encode())) == blocks


def test_a_block_without_a_crc_marker_is_copied_again(rig: ServerSideRig) -> None:
    """A worker that dies between the two requests loses that block, not the verification."""
    body = _bytes(3 * BLOCK)
    rig.bucket.put("a", body, ChecksumAlgorithm="CRC64NVME")
    _break_off(rig, 1)

    result = _resumed(rig).one()

    assert (result.resumed_blocks, result.verified) == (1, "crc64nvme")
    assert rig.read() == body


def test_what_a_concurrent_writer_damages_is_never_committed(rig: ServerSideRig) -> None:
    """It stages a damaged block after this copy has verified that block, and before it commits."""
    body = _bytes(4 * BLOCK)
    rig.bucket.put("a", body, ChecksumAlgorithm="CRC64NVME")
    writer = _resumed(rig)
    has_begun, goes_on = threading.Event(), threading.Event()

    def run_writer() -> None:
        with pytest.raises(Cancelled):
            writer.one(threads=1)

    running = threading.Thread(target=run_writer)

    def before(number: int) -> None:
        if number == 0:  # the other writer's first block
            has_begun.set()
            goes_on.wait(30)
        elif number == 4:  # this copy's last one
            goes_on.set()
            running.join(30)
        elif number == 5:  # the other writer's second one
            writer.cancellation.set("enough")

    rig.azure.before = before
    rig.azure.damage = lambda number, found: found[::-1] if number == 0 else found
    running.start()
    assert has_begun.wait(30)

    result = rig.one(threads=1)

    assert (result.status, result.verified, len(rig.azure.reads)) == ("copied", "crc64nvme", 6)
    assert rig.read() == body


@pytest.mark.parametrize("status", [503, 500, 429])
def test_a_busy_source_is_requested_again(rig: ServerSideRig, status: int) -> None:
    """Azure relays the status that S3 returned to it."""
    rig.bucket.put("a", _bytes(2 * BLOCK), ChecksumAlgorithm="CRC64NVME")
    rig.azure.refusals = lambda number: status if number == 0 else None

    result = rig.one()

    assert (result.status, result.retries) == ("copied", 1)


def test_a_permanently_busy_source_is_a_retryable_error(rig: ServerSideRig) -> None:
    """What is staged stays staged."""
    rig.bucket.put("a", _bytes(2 * BLOCK), ChecksumAlgorithm="CRC64NVME")
    rig.azure.refusals = lambda number: 503 if number else None

    error = _fails(rig.one(threads=1))

    assert isinstance(error, SourceReadError)
    assert error.retryable
    assert "mode='server_side': Azure requested a block from S3, which returned 503" in str(error)
    assert len(rig.staged()) == 2


def test_a_url_that_has_expired_is_signed_again(rig: ServerSideRig) -> None:
    """S3 refuses Azure, because Azure was slow to read; a new URL works."""
    rig.bucket.put("a", _bytes(2 * BLOCK), ChecksumAlgorithm="CRC64NVME")
    rig.url_seconds = 1

    def expire(number: int) -> None:
        if number == 0:
            rig.url_seconds = 3600
            wait_until_expired(rig.urls[-1])

    rig.azure.before = expire

    result = rig.one(threads=1)

    assert (result.status, result.retries, len(rig.azure.reads)) == ("copied", 1, 3)
    assert rig.read() == _bytes(2 * BLOCK)


def test_a_source_that_azure_may_not_read_is_a_clear_error(rig: ServerSideRig) -> None:
    """A signature that S3 refuses Azure: the error names the mode, and the remedy."""
    rig.bucket.put("a", _bytes(2 * BLOCK), ChecksumAlgorithm="CRC64NVME")
    presign = rig.source.readable_url
    rig.source.readable_url = lambda source: presign(source)[:-4] + "0000"  # type: ignore[method-assign]

    error = _fails(rig.one(threads=1))

    assert isinstance(error, SourceUnreachable)
    assert not error.retryable
    assert "mode='server_side': Azure requested a block from S3, which returned 403" in str(error)
    assert "use mode='stream'" in str(error)
    assert len(rig.azure.reads) == 3
    assert not rig.container.get_blob_client("b").exists()


def test_a_source_that_azure_cannot_reach_is_a_clear_error(rig: ServerSideRig) -> None:
    """Where the host does not respond to Azure, the message names what may block it."""
    rig.bucket.put("a", _bytes(BLOCK), ChecksumAlgorithm="CRC64NVME")
    rig.source.readable_url = lambda source: "http://127.0.0.1:1/closed"  # type: ignore[method-assign]

    error = _fails(rig.one(threads=1))

    assert isinstance(error, SourceReadError)
    assert "which returned 500: S3 could not be reached from Azure, or was busy" in str(error)


def test_no_url_is_ever_logged(rig: ServerSideRig, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in the DEBUG log of a copy that fails with every status, nor in its errors."""
    redact_http_logs()
    rig.bucket.put("a", _bytes(3 * BLOCK), ChecksumAlgorithm="CRC64NVME")
    faults: list[Callable[[int], int | None]] = [
        lambda number: 503,
        lambda number: 403,
        lambda number: 400,
        lambda number: 409,
        lambda number: 412,
        lambda number: 404,
    ]
    output = ""
    with caplog.at_level(logging.DEBUG):
        for fault in faults:
            rig.azure.refusals = fault
            output += repr(_fails(_resumed(rig).one()).__dict__)
    output += caplog.text

    assert "attempt 1 of 3 failed" in caplog.text
    assert "comp=block" in caplog.text
    assert "X-Amz-Signature" not in output.replace("X-Amz-Signature=***", "")
    signatures = {one["x-ms-copy-source"].rpartition("=")[2] for one in rig.azure.reads}
    assert signatures
    assert [one for one in signatures if one in output] == []


def test_a_copy_that_is_stopped_ends_while_azure_reads(rig: ServerSideRig) -> None:
    """The connection that waits for Azure's response is aborted."""
    rig.bucket.put("a", _bytes(3 * BLOCK), ChecksumAlgorithm="CRC64NVME")
    begun, going_on, ended = threading.Event(), threading.Event(), threading.Event()

    def wait(_: int) -> None:
        begun.set()
        going_on.wait(30)
        ended.set()

    def stop() -> None:
        begun.wait(30)
        rig.cancellation.set("the task was killed")

    rig.azure.before = wait
    stopper = threading.Thread(target=stop)
    stopper.start()
    try:
        with pytest.raises(Cancelled):
            rig.one()
        assert not ended.is_set()
    finally:
        going_on.set()
        stopper.join()
