"""What is sent to S3, and what is made of its answers, against a small server that answers as a test wants."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
import requests
from botocore.config import Config

from airflow_s3_azure.engine.bandwidth import Bandwidth
from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import (
    SourceAccessDenied,
    SourceArchived,
    SourceChanged,
    SourceReadError,
    TransferError,
)
from airflow_s3_azure.engine.model import SourceObject
from airflow_s3_azure.engine.s3.source import Operation, Params, S3Source, _Ending

OBJECT = SourceObject("key", 100, "etag", version_id="v1")


class Answer:
    """What the server answers to every request, and the requests it saw."""

    def __init__(self) -> None:
        self.status = 206
        self.headers: dict[str, str] = {}
        self.body = b""
        self.targets: list[str] = []
        self.seen: list[dict[str, str]] = []


class Server(ThreadingHTTPServer):
    """A server with one answer."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = Answer()


class Handler(BaseHTTPRequestHandler):
    """Gives the server's answer."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        """Answer with a body."""
        answer = self.server.answer
        answer.targets.append(self.path)
        answer.seen.append({name.lower(): value for name, value in self.headers.items()})
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(answer.body)

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    """A running server."""
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def _source(server: Server, **options: Any) -> S3Source:
    client = boto3.client(
        "s3",
        region_name="eu-west-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        endpoint_url=f"http://127.0.0.1:{server.server_port}",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )

    def presign(operation: Operation, params: Params) -> str:
        return str(client.generate_presigned_url(operation, {"Bucket": "bucket", **params}))

    cancellation = Cancellation()
    return S3Source("bucket", presign, requests.Session(), cancellation, **options)


def _read(source: S3Source, size: int = 10) -> bytes:
    into = bytearray(size)
    source.read(OBJECT, Block(1, 20, 20 + size), memoryview(into), lambda count: None)
    return bytes(into)


def test_a_range_is_pinned_and_everything_that_is_sent_is_signed(server: Server) -> None:
    """The range, the ETag and the payer are headers that the signature covers; the version is in the query."""
    server.answer.headers, server.answer.body = {"Content-Range": "bytes 20-29/100"}, b"0123456789"

    assert _read(_source(server, requester_pays=True)) == b"0123456789"

    (headers,), (target,) = server.answer.seen, server.answer.targets
    assert headers["range"] == "bytes=20-29"
    assert headers["if-match"] == '"etag"'
    assert headers["x-amz-request-payer"] == "requester"
    assert headers["accept-encoding"] == "identity"
    query = parse_qs(urlsplit(target).query)
    assert query["versionId"] == ["v1"]
    assert query["X-Amz-SignedHeaders"] == ["host;if-match;range;x-amz-request-payer"]


@pytest.mark.parametrize("key", ["/lead", "//two", "a/../b", "./a", "a//b", "%2F", "+ &?#", "\n"])
def test_a_key_is_on_the_request_line_as_it_was_signed(server: Server, key: str) -> None:
    """No library on the way tidies the path."""
    server.answer.status, server.answer.headers = 200, {"ETag": '"e"'}

    _source(server).head(key)

    expected = {
        "/lead": "/bucket//lead",
        "//two": "/bucket///two",
        "a/../b": "/bucket/a/../b",
        "./a": "/bucket/./a",
        "a//b": "/bucket/a//b",
        "%2F": "/bucket/%252F",
        "+ &?#": "/bucket/%2B%20%26%3F%23",
        "\n": "/bucket/%0A",
    }[key]
    assert server.answer.targets[0].partition("?")[0] == expected


@pytest.mark.parametrize(
    ("status", "content_range"),
    [(200, None), (206, None), (206, "bytes 0-9/100"), (206, "bytes 20-29/101"), (206, "bytes 20-29/*")],
)
def test_an_answer_to_another_range_is_refused(server: Server, status: int, content_range: str | None) -> None:
    """An endpoint or a proxy that ignores Range would give the wrong bytes: it is named, not retried."""
    server.answer.status, server.answer.body = status, b"0123456789"
    server.answer.headers = {"Content-Range": content_range} if content_range else {}

    with pytest.raises(SourceReadError, match="does not honour Range") as caught:
        _read(_source(server))

    assert not caught.value.transient


@pytest.mark.parametrize("length", ["0", "5"])
def test_a_body_that_is_too_short_is_worth_another_try(server: Server, length: str) -> None:
    """Whatever the headers promised, the block's bytes must all come."""
    server.answer.headers = {"Content-Range": "bytes 20-29/100", "Content-Length": length}
    server.answer.body = b"01234"[: int(length)]

    with pytest.raises(SourceReadError, match=rf"ended after {length} of 10 bytes") as caught:
        _read(_source(server))

    assert caught.value.transient


@pytest.mark.parametrize(("status", "code"), [(301, "PermanentRedirect"), (400, "AuthorizationQueryParametersError")])
def test_a_bucket_in_another_region_is_named(server: Server, status: int, code: str) -> None:
    """A HEAD that is refused with 400 says nothing, so a GET of one byte is asked what is wrong."""
    server.answer.status, server.answer.headers = status, {"x-amz-bucket-region": "us-west-2"}
    server.answer.body = f"<Error><Code>{code}</Code></Error>".encode()

    with pytest.raises(SourceReadError, match="is in region us-west-2; set region_name") as caught:
        _source(server).head("a")

    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("status", "code", "error", "transient"),
    [
        (403, "AccessDenied", SourceAccessDenied, True),
        (403, "InvalidObjectState", SourceArchived, False),
        (403, "InvalidAccessKeyId", SourceAccessDenied, False),
        (404, "NoSuchKey", SourceChanged, False),
        (301, "PermanentRedirect", SourceReadError, False),
        (400, "AuthorizationHeaderMalformed", SourceReadError, False),
        (400, "ExpiredToken", SourceAccessDenied, True),
        (400, "InvalidRequest", SourceAccessDenied, False),
        (500, "InternalError", SourceReadError, True),
        (503, "SlowDown", SourceReadError, True),
    ],
)
def test_every_refusal_is_one_of_ours(
    server: Server, status: int, code: str, error: type[TransferError], transient: bool
) -> None:
    """Each says what S3 said, and only what may pass is tried again."""
    server.answer.status = status
    server.answer.body = f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()

    with pytest.raises(error, match=f"S3 answered {status} {code}") as caught:
        _read(_source(server))

    assert type(caught.value) is error
    assert caught.value.transient == transient
    assert "X-Amz" not in str(caught.value)


@pytest.mark.parametrize(
    ("wait", "told_at"),
    [(0.0, 100), (0.051, 90), (0.101, 80), (9.0, 50)],
    ids=["no wait", "half a tenth", "a tenth", "long"],
)
def test_the_next_block_is_asked_for_when_its_answer_would_come_in_time(
    monkeypatch: pytest.MonkeyPatch, wait: float, told_at: int
) -> None:
    """A body of a hundred bytes at two hundred bytes a second: asked for as early as an answer takes to begin."""
    now = [50.0 + wait]
    monkeypatch.setattr("airflow_s3_azure.engine.s3.source.time.monotonic", lambda: now[0])
    told: list[int] = []
    read = 0
    ending = _Ending(50.0, 100, lambda: told.append(read))

    while read < 100:
        read += 10
        now[0] += 0.05
        ending.add(10)

    assert told == [told_at]


def test_a_body_is_read_no_faster_than_the_bandwidth_allows(server: Server) -> None:
    """Whole objects and blocks alike: 60,000 bytes at 200,000 a second, of which the first piece passes at once."""
    server.answer.headers, server.answer.body = {"ETag": '"etag"'}, bytes(60_000)
    source = _source(server, bandwidth=Bandwidth(200_000, Cancellation()))
    began = time.monotonic()

    for _ in range(2):
        source.read_whole("key", "etag", None, memoryview(bytearray(60_000)), lambda count: None)

    assert time.monotonic() - began >= 60_000 / 200_000
