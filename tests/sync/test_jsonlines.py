"""JSON lines in a container, in memory and in Azurite alike."""

from __future__ import annotations

import base64
import gzip
import io
import itertools
import json
import random
import socket
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
import requests
from azure.core.exceptions import AzureError, ServiceRequestError
from azure.core.pipeline.transport import RequestsTransport, RequestsTransportResponse
from azure.storage.blob import BlobBlock, ContainerClient, ContentSettings
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.blocks import MIB
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import (
    Cancelled,
    DestinationConflict,
    DestinationWriteError,
    TransferError,
    UntrustedFile,
)
from airflow_s3_azure.engine.model import CopyResult, Precondition
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.sync import lines_reader, lines_writer
from airflow_s3_azure.sync.fingerprint import Fingerprint, digest_text, range_digest_text
from airflow_s3_azure.sync.lines_reader import etag_of, read_lines
from airflow_s3_azure.sync.lines_writer import LinesWriter
from airflow_s3_azure.sync.rows import ledger_row
from tests.fakes.memory_container import MemoryContainer, refusal

if TYPE_CHECKING:
    from tests.servers import AzureServer

NAME = "_s3_to_azure/lines.jsonl"
GZIP_NAME = f"{NAME}.gz"
ODD = [
    "line\nbreak",
    "carriage\rreturn",
    "line\u2028separator",
    "paragraph\u2029separator",
    "next\x85line",
    "nul\x00",
    'quote"back\\slash',
    "é",
    "e\u0301",
    "😀",
    "\ufeffmark",
    "{{ ds }}",
    "",
]

texts = st.text(st.characters(exclude_categories=["Cs"]))
rows = st.dictionaries(texts, texts | st.integers() | st.booleans() | st.none(), max_size=4) | st.lists(texts)

results = st.builds(
    CopyResult,
    texts,
    texts,
    st.sampled_from(["copied", "unchanged", "skipped", "failed"]),
    size=st.none() | st.integers(0, 2**50),
    etag=texts,
    crc64nvme=texts,
    # Below a microsecond a rate has an exponent, which the two encoders write in two forms.
    seconds=st.just(0.0) | st.floats(1e-6, 1e9) | st.floats(1e-6, 0.01),
    reason=texts | st.none(),
)


@pytest.fixture(params=["memory", pytest.param("azurite", marks=pytest.mark.servers)])
def client(request: pytest.FixtureRequest) -> ContainerClient:
    """An empty container: the one that fast tests use, and the one that it must be like."""
    if request.param == "memory":
        return MemoryContainer().as_client()
    found: ContainerClient = request.getfixturevalue("container")
    return found


def write(client: ContainerClient, lines: list[Any], name: str = NAME) -> list[int]:
    """Write lines, and return where each begins, and where the last one ends."""
    writer = LinesWriter(client, name)
    positions = []
    for line in lines:
        positions.append(writer.position)
        writer.write(line)
    writer.commit()
    return [*positions, writer.position]


@given(lines=st.lists(rows))
def test_what_was_written_is_read(lines: list[Any]) -> None:
    """For keys of any characters."""
    client = MemoryContainer().as_client()
    write(client, lines)

    assert list(read_lines(client, NAME)) == lines


@given(result=results)
def test_lines_are_those_that_earlier_versions_wrote(result: CopyResult) -> None:
    """Byte for byte as Python's own encoder."""
    container = MemoryContainer()
    row = ledger_row(result, batch=3, attempts=1)
    writer = LinesWriter(container.as_client(), NAME)
    writer.write(row)
    writer.commit()

    assert container.blobs[NAME] == json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


@given(lines=st.lists(rows, min_size=1), data=st.data())
def test_a_range_between_ends_of_lines_is_read(lines: list[Any], data: st.DataObject) -> None:
    """A batch is such a range."""
    client = MemoryContainer().as_client()
    positions = write(client, lines)
    first = data.draw(st.integers(0, len(lines)))
    last = data.draw(st.integers(first, len(lines)))

    assert list(read_lines(client, NAME, positions[first], positions[last])) == lines[first:last]


def test_odd_texts_keep_to_their_line(client: ContainerClient) -> None:
    """Only the newline ends one, and JSON escapes it."""
    write(client, [{"key": text} for text in ODD])

    assert [row["key"] for row in read_lines(client, NAME)] == ODD


@pytest.mark.parametrize("size", [1, 2, 7, 64])
def test_lines_may_end_anywhere_in_a_piece(client: ContainerClient, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a character, at its end, and where the blob ends."""
    monkeypatch.setattr(lines_reader, "PIECE_SIZE", size)
    lines = ["é😀", "", "x" * 9, "y"]
    positions = write(client, lines)

    assert list(read_lines(client, NAME)) == lines
    assert list(read_lines(client, NAME, positions[1], positions[3])) == lines[1:3]


def test_a_blob_that_ends_where_a_piece_ends_is_read_to_its_end(
    client: ContainerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next piece is not there, and that is no error."""
    stop = write(client, ["a", "b"])[-1]
    monkeypatch.setattr(lines_reader, "PIECE_SIZE", stop)

    assert list(read_lines(client, NAME)) == ["a", "b"]


def test_nothing_is_written_as_an_empty_blob(client: ContainerClient) -> None:
    """A plan without anything to copy has a manifest too."""
    write(client, [])

    assert list(read_lines(client, NAME)) == []
    assert list(read_lines(client, NAME, 0, 0)) == []


def test_a_range_past_the_end_is_an_error(client: ContainerClient) -> None:
    """A short read would lose keys."""
    stop = write(client, ["a", "b"])[-1]

    with pytest.raises(DestinationWriteError, match=f"it ends at byte {stop}, before byte {stop + 1}; clear the plan"):
        list(read_lines(client, NAME, 0, stop + 1))


def test_a_missing_blob_is_reported(client: ContainerClient) -> None:
    """With the remedy."""
    with pytest.raises(DestinationWriteError, match="it is gone; clear the plan task to make a new one") as caught:
        list(read_lines(client, NAME))

    assert caught.value.blob == NAME


def test_nothing_is_visible_before_the_commit(client: ContainerClient) -> None:
    """What was there before stays, also when blocks are staged already."""
    write(client, ["old"])
    writer = LinesWriter(client, NAME)
    writer.write("x" * lines_writer.BLOCK_SIZE)

    assert list(read_lines(client, NAME)) == ["old"]


def test_commits_add_up(client: ContainerClient) -> None:
    """A running batch commits again and again."""
    writer = LinesWriter(client, NAME)
    seen = []
    for line in ["a", "b"]:
        writer.write(line)
        writer.commit()
        writer.commit()
        seen.append(list(read_lines(client, NAME)))

    assert seen == [["a"], ["a", "b"]]


def test_a_commit_without_new_lines_sends_no_request() -> None:
    """A batch with one object that takes hours commits every few seconds."""
    container = MemoryContainer()
    writer = LinesWriter(container.as_client(), NAME)
    writer.write("a")
    for _ in range(3):
        writer.commit()

    assert container.commits == 1


def _refuse_commit(*_: Any, **__: Any) -> None:
    raise ServiceRequestError("lost")


def fill_block(writer: LinesWriter) -> list[str]:
    """Write lines until a block is full, and return them."""
    lines = ["x" * (lines_writer.BLOCK_SIZE // 8)] * 8
    for line in lines:
        writer.write(line)
    return lines


@pytest.mark.parametrize("name", [NAME, GZIP_NAME])
def test_a_commit_has_the_line_that_filled_a_block(client: ContainerClient, name: str) -> None:
    """The block is staged as soon as it is full, so the buffer is empty at the commit."""
    writer = LinesWriter(client, name, Precondition(None))
    writer.write("a")
    writer.commit()
    lines = fill_block(writer)

    writer.commit()

    assert list(read_lines(client, name, expected=writer.fingerprint())) == ["a", *lines]


def test_lines_that_are_not_committed_have_no_fingerprint() -> None:
    """Neither those in the buffer nor those of a block that is only staged."""
    writer = LinesWriter(MemoryContainer().as_client(), NAME)
    writer.commit()
    writer.write("a")
    with pytest.raises(RuntimeError, match="lines were written after the last commit"):
        writer.fingerprint()

    fill_block(writer)
    with pytest.raises(RuntimeError, match="lines were written after the last commit"):
        writer.fingerprint()


@pytest.mark.parametrize("name", [NAME, GZIP_NAME])
@pytest.mark.parametrize("commits", [0, 1])
def test_the_commit_after_a_failed_one_has_its_lines(
    client: ContainerClient, monkeypatch: pytest.MonkeyPatch, name: str, commits: int
) -> None:
    """The failed one staged them, so the buffer is empty. A batch that fails commits once more."""
    writer = LinesWriter(client, name, Precondition(None), retry=RetryPolicy(attempts=1))
    for _ in range(commits):
        writer.write("a")
        writer.commit()
    writer.write("b")
    with monkeypatch.context() as patched:
        patched.setattr(type(client.get_blob_client(name)), "commit_block_list", _refuse_commit)
        with pytest.raises(DestinationWriteError):
            writer.commit()

    writer.commit(seconds=1)

    assert list(read_lines(client, name, expected=writer.fingerprint())) == ["a"] * commits + ["b"]


def test_lines_of_many_blocks_are_read(client: ContainerClient) -> None:
    """A writer holds one block of them, a reader one piece."""
    lines = [f"{number:07d}" + "é" * 100_000 for number in range(50)]  # 10 MB
    positions = write(client, lines)

    assert list(read_lines(client, NAME)) == lines
    assert list(read_lines(client, NAME, positions[30], positions[32])) == lines[30:32]


def test_of_two_writers_the_one_whose_lines_were_replaced_fails(client: ContainerClient) -> None:
    """The lines of both are never mixed, and neither believes that its own are there when they are not."""
    one, other = LinesWriter(client, NAME), LinesWriter(client, NAME)
    one.write("one")
    one.commit()
    other.write("other")
    other.commit()
    one.write("one more")

    with pytest.raises(DestinationWriteError, match="superseded by another attempt of this task") as caught:
        one.commit()

    assert caught.value.retryable
    assert list(read_lines(client, NAME)) == ["other"]


def test_the_writer_that_wrote_last_continues(client: ContainerClient) -> None:
    """The other's failed commit changes nothing for it."""
    one, other = LinesWriter(client, NAME), LinesWriter(client, NAME)
    one.write("one")
    one.commit()
    other.write("other")
    other.commit()
    one.write("one more")
    with pytest.raises(DestinationWriteError):
        one.commit()

    other.write("other more")
    other.commit()

    assert list(read_lines(client, NAME)) == ["other", "other more"]


def test_a_writer_that_was_replaced_before_its_first_commit_writes_nothing(client: ContainerClient) -> None:
    """A task that hung for a while does not know that another one did its work."""
    hung = LinesWriter(client, NAME, Precondition(None))
    other = LinesWriter(client, NAME, Precondition(None))
    other.write("other")
    other.commit()
    hung.write("hung")

    for _ in range(2):
        with pytest.raises(DestinationWriteError, match="superseded by another attempt of this task"):
            hung.commit()
    assert list(read_lines(client, NAME)) == ["other"]

    heir = LinesWriter(client, NAME, Precondition(etag_of(client, NAME)))
    heir.commit()
    other.write("other more")
    with pytest.raises(DestinationWriteError):
        other.commit()
    heir.write("heir")
    heir.commit()

    assert list(read_lines(client, NAME)) == ["heir"]


def test_a_commit_whose_response_was_lost_is_the_writers_own(
    client: ContainerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDK sends it again, and the retry conflicts with the first attempt."""
    writer = LinesWriter(client, NAME, Precondition(None))
    kind = type(client.get_blob_client(NAME))
    commit = kind.commit_block_list
    lost = iter([True, False] * 2)

    def commit_again(self: Any, *arguments: Any, **options: Any) -> Any:
        response = commit(self, *arguments, **options)
        return commit(self, *arguments, **options) if next(lost) else response

    monkeypatch.setattr(kind, "commit_block_list", commit_again)
    for line in ("a", "b"):
        writer.write(line)
        writer.commit()

    assert list(read_lines(client, NAME)) == ["a", "b"]


def test_a_commit_of_unknown_outcome_is_not_mistaken_for_the_next_one(
    client: ContainerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It conflicts with the next one, which has more lines."""
    writer = LinesWriter(client, NAME, Precondition(None), retry=RetryPolicy(attempts=1))
    kind = type(client.get_blob_client(NAME))
    commit = kind.commit_block_list

    def commit_and_lose_the_response(self: Any, *arguments: Any, **options: Any) -> None:
        commit(self, *arguments, **options)
        raise ServiceRequestError("lost")

    writer.write("a")
    with monkeypatch.context() as patched:
        patched.setattr(kind, "commit_block_list", commit_and_lose_the_response)
        with pytest.raises(DestinationWriteError):
            writer.commit()
    writer.write("b")
    writer.commit()

    assert list(read_lines(client, NAME)) == ["a", "b"]


BAD_LINES = {
    "no JSON": b"{",
    "no text": b"\xff",
    "half a character": b"\xc3",
    "a number of 5,000 digits": b"9" * 5_000,
    "nested": b"[" * 100_000,
    "long": b'"' + b"x" * (MIB + 100_000) + b'"',
    "refused": b'"bad"',
}


def _refuse(row: Any) -> Any:
    if row == "bad":
        raise ValueError("it is bad")
    return row


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_line_that_was_never_written_is_named(client: ContainerClient, line: bytes) -> None:
    """For any malformed line: by file and number, after the lines before it."""
    client.upload_blob(NAME, b'"a"\n"b"\n' + line + b'\n"c"\n')
    rows = read_lines(client, NAME, parse=_refuse)

    assert [next(rows), next(rows)] == ["a", "b"]
    with pytest.raises(UntrustedFile, match="line 3 cannot be one that was written: ") as caught:
        next(rows)

    assert (caught.value.blob, caught.value.retryable) == (NAME, False)


def test_a_line_without_an_end_is_held_up_to_a_mebibyte(client: ContainerClient) -> None:
    """A file may have 190 TiB of it."""
    client.upload_blob(NAME, b"x" * 3 * MIB)

    with pytest.raises(UntrustedFile, match="line 1 cannot be one that was written: it is longer than 1,048,576 bytes"):
        list(read_lines(client, NAME))


@pytest.mark.servers
def test_what_is_read_is_never_decompressed(container: ContainerClient) -> None:
    """A few kilobytes that name a Content-Encoding can become gigabytes of a worker's memory."""
    zipped = gzip.compress(b'"' + b"x" * 64 * MIB + b'"\n')
    container.upload_blob(NAME, zipped, content_settings=ContentSettings(content_encoding="gzip"))

    tracemalloc.start()
    try:
        with pytest.raises(UntrustedFile, match="line 1 cannot be one that was written"):
            list(read_lines(container, NAME))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 8 * MIB


@pytest.mark.parametrize("size", [1, 7, 64, 256 * 1024])
def test_compressed_lines_are_read_as_they_were_written(
    client: ContainerClient, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several commits make several gzip members, which end anywhere in a piece; Python's gzip reads the same lines."""
    monkeypatch.setattr(lines_reader, "PIECE_SIZE", size)
    writer = LinesWriter(client, GZIP_NAME)
    for text in ODD:
        writer.write([text])
        writer.commit()

    assert list(read_lines(client, GZIP_NAME, expected=writer.fingerprint())) == [[text] for text in ODD]
    content = gzip.decompress(client.download_blob(GZIP_NAME, offset=0, length=MIB).readall())
    assert [json.loads(line) for line in content.split(b"\n")[:-1]] == [[text] for text in ODD]


def test_no_lines_are_an_empty_gzip_file(client: ContainerClient) -> None:
    """Readers such as DuckDB reject a file of no bytes that is named as gzip."""
    writer = LinesWriter(client, GZIP_NAME)
    writer.commit()

    assert gzip.decompress(client.download_blob(GZIP_NAME, offset=0, length=MIB).readall()) == b""
    assert list(read_lines(client, GZIP_NAME, expected=writer.fingerprint())) == []


def test_unchanged_keys_take_at_most_60_bytes_each() -> None:
    """The ledger of a night that finds nothing new is written and read whole."""
    container = MemoryContainer()
    writer = LinesWriter(container.as_client(), GZIP_NAME)
    chance = random.Random(1)
    for number in range(10_000):
        key = f"exports/2026/11/{number // 1000 + 1:02d}/events-{number:06d}.jsonl"
        etag, blob_etag = chance.randbytes(16).hex(), f'"0x8DE{chance.randrange(16**11):011X}"'
        crc64 = base64.b64encode(chance.randbytes(8)).decode()
        result = CopyResult(
            key, key, "unchanged", chance.randrange(200_000), etag=etag, blob_etag=blob_etag, crc64nvme=crc64
        )
        writer.write(ledger_row(replace(result, reason="same ETag and size as recorded on the blob")))
    writer.commit()

    assert len(container.blobs[GZIP_NAME]) / 10_000 <= 60


ONE_LINE = gzip.compress(b'"a"\n', mtime=0)
BAD_GZIP = {
    "plain": (b'"a"\n', "it cannot be decompressed: .*incorrect header check"),
    "truncated": (ONE_LINE[:-3], "it ends within a gzip member"),
    "damaged": (ONE_LINE[:-6] + b"xxxxxx", "it cannot be decompressed: .*incorrect data check"),
    "followed by something": (ONE_LINE + b"x" * 20, "it cannot be decompressed: .*incorrect header check"),
    "empty members": (gzip.compress(b"", mtime=0) * 2, "it has several empty gzip members"),
}


@pytest.mark.parametrize(("content", "problem"), BAD_GZIP.values(), ids=BAD_GZIP.keys())
def test_what_no_writer_compressed_is_rejected(content: bytes, problem: str) -> None:
    """Anyone who may write to the container can have written it."""
    container = MemoryContainer()
    container.upload_blob(GZIP_NAME, content)

    with pytest.raises(UntrustedFile, match=problem):
        list(read_lines(container.as_client(), GZIP_NAME))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'"' + b"x" * 64 * MIB + b'"\n', r"line 1 .*: it is longer than"),
        (b'"a"\n' * 16 * MIB, "more than the 3 lines"),
    ],
    ids=["one long line", "many lines"],
)
def test_a_small_file_does_not_fill_the_memory(content: bytes, problem: str) -> None:
    """64 KiB of gzip become 64 MiB: they are decompressed a piece at a time, up to the first line that cannot be."""
    container = MemoryContainer()
    container.upload_blob(GZIP_NAME, gzip.compress(content))
    del content

    tracemalloc.start()
    try:
        with pytest.raises(UntrustedFile, match=problem):
            list(read_lines(container.as_client(), GZIP_NAME, most_rows=3))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 8 * MIB


def written(client: ContainerClient, lines: list[Any]) -> Fingerprint:
    """Write lines, and return what their writer says of them."""
    writer = LinesWriter(client, NAME)
    for line in lines:
        writer.write(line)
    writer.commit()
    return writer.fingerprint()


def test_what_is_expected_is_read(client: ContainerClient) -> None:
    """The fingerprint is small, and survives XCom."""
    expected = written(client, ["a", "b"])

    assert Fingerprint.from_json(json.loads(json.dumps(expected.as_json()))) == expected
    assert (expected.rows, len(expected.digest)) == (2, 32)
    assert list(read_lines(client, NAME, expected=expected)) == ["a", "b"]
    assert list(read_lines(client, NAME, expected=written(client, []))) == []


@pytest.mark.parametrize("content", [b'"a"\n"x"\n', b'"a"\n', b'"a"\n"b"\n"c"\n', b'"a"\n"b"\n', b""])
def test_a_file_that_someone_else_wrote_is_not_read(client: ContainerClient, content: bytes) -> None:
    """No row of it, not even if it is the same: Azure gives each version an ETag of its own."""
    expected = written(client, ["a", "b"])
    client.upload_blob(NAME, content, overwrite=True)

    with pytest.raises(UntrustedFile, match="someone else wrote to it since it was written; clear the task"):
        next(read_lines(client, NAME, expected=expected))


def test_more_rows_than_were_written_are_not_read(client: ContainerClient) -> None:
    """Not one of them is acted upon."""
    expected = replace(written(client, ["a", "b"]), rows=1)
    rows = read_lines(client, NAME, expected=expected)

    assert next(rows) == "a"
    with pytest.raises(UntrustedFile, match="it has more than the 1 lines that were written"):
        next(rows)


@pytest.mark.parametrize("wrong", [{"rows": 3}, {"digest": "x" * 32}])
def test_rows_are_compared_with_the_digest(client: ContainerClient, wrong: dict[str, Any]) -> None:
    """After the last one; a server may not care for ETags."""
    expected = replace(written(client, ["a", "b"]), **wrong)

    with pytest.raises(UntrustedFile, match=r"it does not hold the \d lines that were written"):
        list(read_lines(client, NAME, expected=expected))


@pytest.mark.parametrize("text", [digest_text, range_digest_text])
def test_a_range_may_have_a_digest_of_either_length(client: ContainerClient, text: Callable[[Any], str]) -> None:
    """Earlier versions put the longer one into the references to batches."""
    whole = written(client, ["a", "b"])
    first = replace(whole, digest=text(sha256(b'"a"\n')), rows=1)

    assert list(read_lines(client, NAME, 0, 4, expected=first)) == ["a"]
    with pytest.raises(UntrustedFile, match="it does not hold the 1 lines that were written"):
        list(read_lines(client, NAME, 4, 8, expected=first))


@given(lines=st.lists(texts, min_size=1, max_size=8), data=st.data())
def test_the_digests_of_ranges_are_those_of_their_lines(lines: list[str], data: st.DataObject) -> None:
    """For any ranges, and each way to read the file."""
    writer = LinesWriter(MemoryContainer().as_client(), NAME)
    stops = []
    for line in lines:
        writer.write(line)
        if data.draw(st.booleans()):
            stops.append(writer.position)
    writer.commit()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines_writer, "READ_BACK_SIZE", data.draw(st.integers(1, 20)))
        digests = writer.read_back(stops)

    content = b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines)
    ranges = pairwise([0, *stops])
    assert digests == [range_digest_text(sha256(content[start:stop])) for start, stop in ranges]


@pytest.mark.servers
def test_a_block_that_someone_else_staged_again_is_found(container: ContainerClient) -> None:
    """Who may write to the container sees the IDs of staged blocks, and may replace them before the commit."""
    writer = LinesWriter(container, NAME, Precondition(None))
    writer.write("x" * lines_writer.BLOCK_SIZE)
    blob = container.get_blob_client(NAME)
    (block,) = blob.get_block_list("uncommitted")[1]
    blob.stage_block(block.id, b'"forged"\n')
    writer.commit()

    with pytest.raises(
        UntrustedFile, match="its content is not what was written: another client wrote to the same blob"
    ) as caught:
        writer.read_back()

    assert caught.value.retryable


@pytest.mark.servers
def test_a_response_is_identified_by_its_code(azure_server: AzureServer) -> None:
    """The remedy depends on Azure's error code, not on the class of the exception."""
    writer = LinesWriter(azure_server.container_client("missing-container", create=False), NAME)
    writer.write("a")

    with pytest.raises(
        DestinationWriteError, match=r"could not be written: Azure returned 404 ContainerNotFound: create"
    ):
        writer.commit()


class _CountingTransport(RequestsTransport):  # type: ignore[misc, unused-ignore]
    """Fails each request by a script: a status, or 0 for no response."""

    def __init__(self, *script: int) -> None:
        super().__init__()
        self.script = list(script)
        self.requests = 0

    def send(self, request: Any, **options: Any) -> Any:
        """Send a request that is to succeed."""
        self.requests += 1
        status = self.script.pop(0) if self.script else 0
        if status == 201:
            return super().send(request, **options)
        if status == 0:
            raise ServiceRequestError("lost")
        found = requests.Response()
        found.status_code, found.raw = status, io.BytesIO()
        found.headers["x-ms-error-code"] = "ServerBusy" if status == 503 else "AuthorizationPermissionMismatch"
        return RequestsTransportResponse(request, found)


def _counting(server: AzureServer, transport: _CountingTransport) -> ContainerClient:
    container = server.container_client("lines-retried")
    return ContainerClient(server.endpoint, container.container_name, credential=server.key, transport=transport)


@pytest.mark.servers
def test_a_request_is_retried_by_this_packages_policy(azure_server: AzureServer) -> None:
    """Not by the SDK's, which waits 80 s before it gives up."""
    transport = _CountingTransport(0, 503, 201, 503, 201)
    quick = RetryPolicy(attempts=3, first_wait=0, max_wait=0)
    with _counting(azure_server, transport) as client:
        writer = LinesWriter(client, NAME, retry=quick)
        writer.write("a")
        writer.commit()

    assert transport.requests == 5
    assert list(read_lines(azure_server.container_client("lines-retried"), NAME)) == ["a"]


@pytest.mark.servers
@pytest.mark.parametrize(("status", "requests", "retryable"), [(0, 3, True), (403, 1, False)])
def test_a_writer_obeys_the_retry_policy(
    azure_server: AzureServer, status: int, requests: int, *, retryable: bool
) -> None:
    """What no retry can fix is not tried again, and the task neither."""
    transport = _CountingTransport(*[status] * 9)
    with _counting(azure_server, transport) as client:
        writer = LinesWriter(client, "refused/lines.jsonl", retry=RetryPolicy(attempts=3, first_wait=0, max_wait=0))
        writer.write("a")
        with pytest.raises(TransferError, match=r"lines\.jsonl could not be written: Azure") as caught:
            writer.commit()

    assert (transport.requests, caught.value.retryable) == (requests, retryable)


def test_a_cancelled_task_does_not_wait_for_the_next_attempt() -> None:
    """Airflow kills it five seconds after SIGTERM."""
    cancellation = Cancellation()
    cancellation.set("stopped")
    container = MemoryContainer()
    writer = LinesWriter(container.as_client(), NAME, cancellation=cancellation)
    writer.write("a")

    def fail(*_: Any, **__: Any) -> None:
        raise ServiceRequestError("lost")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tests.fakes.memory_container.MemoryBlob.stage_block", fail)
        with pytest.raises(Cancelled):
            writer.commit()


@pytest.fixture
def silent_server() -> Iterator[socket.socket]:
    """A server that takes connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def _count_connections(listener: socket.socket) -> int:
    """Return how many connections were opened."""
    listener.setblocking(False)
    for count in itertools.count():
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
    raise AssertionError


def test_a_dying_task_does_not_wait_for_a_dead_server(silent_server: socket.socket) -> None:
    """Airflow kills a task five seconds after SIGTERM: one request with a short timeout, and no retry."""
    url = f"http://127.0.0.1:{silent_server.getsockname()[1]}/account"
    with ContainerClient(url, "container", credential="a2V5") as client:
        writer = LinesWriter(client, NAME)
        writer.write("a")

        with pytest.raises(
            DestinationWriteError, match=r"lines\.jsonl could not be written: Azure could not be reached: timed out"
        ):
            writer.commit(seconds=1)

    assert _count_connections(silent_server) == 1


@pytest.mark.parametrize("name", ["missing", NAME])
def test_the_fake_refuses_as_azurite_does(client: ContainerClient, name: str) -> None:
    """With the status and the error code that the package reads."""
    write(client, ["a"])
    refusals = []
    for act in (
        lambda: client.download_blob(name, offset=100, length=1).readall(),
        lambda: client.get_blob_client(name).commit_block_list([BlobBlock(block_id="none")]),
        lambda: client.delete_blob(name),
    ):
        try:
            act()
        except AzureError as error:
            refusals.append((getattr(error, "status_code", None), getattr(error, "error_code", None)))

    missing, invalid = (404, "BlobNotFound"), (400, "InvalidBlockList")
    assert refusals == ([(416, "InvalidRange"), invalid] if name == NAME else [missing, invalid, missing])


class _WriteOnceContainer(MemoryContainer):
    """A container under a container-level immutability policy: what is written once can neither be replaced nor deleted."""

    def commit(self, name: str, ids: Sequence[str]) -> None:
        """Make a blob of blocks, if there is none."""
        if name in self.blobs:
            raise refusal(409, "BlobImmutableDueToPolicy")
        super().commit(name, ids)


def test_a_container_that_takes_each_file_once_is_named() -> None:
    """A file that is committed once is written; a second commit fails with the policy's name, and the first one stays."""
    container = _WriteOnceContainer()
    writer = LinesWriter(container.as_client(), NAME, Precondition(None))
    writer.write(["a"])
    writer.commit()
    writer.write(["b"])

    with pytest.raises(
        DestinationConflict, match="BlobImmutableDueToPolicy: a time-based retention policy protects the blob"
    ):
        writer.commit()

    assert container.blobs[NAME] == b'["a"]\n'
