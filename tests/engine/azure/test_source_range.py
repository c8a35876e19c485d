"""Put Block From URL: the headers of its request, and the errors of its responses that concern the source. Pure."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_s3_azure.engine.azure.source_range import MAX_URL, SourceConditionUnsupported, SourceRange
from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.errors import (
    IntegrityError,
    SourceChanged,
    SourceReadError,
    SourceUnreachable,
    TransferError,
)

URL = "https://bucket/key?X-Amz-Signature=secret"
RANGE = SourceRange(URL, "etag", Block(1, 10, 30))
UNVERIFIED = "CannotVerifyCopySource"


def _translate(status: int, code: str, content: bytes = b"", **headers: str) -> TransferError | None:
    fields: dict[str, Any] = {"x-ms-error-code": code, **{name.replace("_", "-"): headers[name] for name in headers}}
    return RANGE.translate(SimpleNamespace(status_code=status, headers=fields, content=content))


def test_a_range_is_named_by_headers() -> None:
    """The last byte is included, and the ETag quoted."""
    assert RANGE.headers() == {
        "x-ms-copy-source": URL,
        "x-ms-source-range": "bytes=10-29",
        "x-ms-source-if-match": '"etag"',
    }


def test_etag_and_md5_are_sent_if_they_are_known() -> None:
    """Without a condition, a checksum detects a change."""
    assert SourceRange(URL, None, Block(0, 0, 1), "bWQ1").headers() == {
        "x-ms-copy-source": URL,
        "x-ms-source-range": "bytes=0-0",
        "x-ms-source-content-md5": "bWQ1",
    }


def test_a_url_is_not_shown() -> None:
    """As a log line would show it."""
    assert "secret" not in repr(RANGE)


def test_a_url_that_azure_does_not_accept_is_an_error() -> None:
    """The message has its length and the remedy, and not the URL."""
    SourceRange("x" * MAX_URL, "etag", RANGE.block)
    with pytest.raises(
        SourceUnreachable, match=r"the presigned URL has 2,049 characters, and Azure accepts 2,048; .*mode='stream'"
    ) as caught:
        SourceRange("x" * (MAX_URL + 1), "etag", RANGE.block)

    assert "xxx" not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "code", "content", "error", "message"),
    [
        (400, "Md5Mismatch", b"", IntegrityError, "its ETag is an MD5, but what Azure read has another one"),
        (
            412,
            "SourceConditionNotMet",
            b"",
            SourceChanged,
            "it changed while Azure was reading it: its ETag is another",
        ),
        (
            400,
            "UnsupportedHeader",
            b"<HeaderName>X-Ms-Source-If-Match</HeaderName>",
            SourceConditionUnsupported,
            "Azure returned 400 UnsupportedHeader for x-ms-source-if-match",
        ),
        (412, UNVERIFIED, b"", SourceChanged, "it changed while Azure was reading it: its ETag is another"),
        (404, UNVERIFIED, b"", SourceChanged, "it changed while Azure was reading it: S3 returned 404 to Azure"),
        (416, UNVERIFIED, b"", SourceChanged, "it changed while Azure was reading it: S3 returned 416 to Azure"),
        (
            503,
            UNVERIFIED,
            b"",
            SourceReadError,
            "mode='server_side': Azure requested a block from S3, which returned 503",
        ),
        (
            403,
            UNVERIFIED,
            b"",
            SourceUnreachable,
            "mode='server_side': Azure requested a block from S3, which returned 403",
        ),
    ],
)
def test_a_response_about_the_source_is_translated(
    status: int, code: str, content: bytes, error: type[TransferError], message: str
) -> None:
    """With the request's ID, which Azure's support needs."""
    found = _translate(status, code, content, x_ms_request_id="R1")

    assert type(found) is error
    assert isinstance(found, TransferError)
    assert found.message.startswith(message)
    assert found.request_id == "R1"


@pytest.mark.parametrize(
    ("code", "content"),
    [("", b""), ("ServerBusy", b""), ("UnsupportedHeader", b"<HeaderName>x-ms-tags</HeaderName>")],
)
def test_a_response_about_the_destination_is_left_to_the_caller(code: str, content: bytes) -> None:
    """Also a refusal of another header than the source's condition."""
    assert _translate(503, code, content) is None


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"x_ms_copy_source_status_code": "404"}, b""),
        ({}, b"<Error><CopySourceStatusCode>404</CopySourceStatusCode></Error>"),
        ({"x_ms_copy_source_status_code": "odd"}, b"<CopySourceStatusCode>404</CopySourceStatusCode>"),
    ],
    ids=["header", "body", "malformed header"],
)
def test_the_status_of_the_source_may_be_apart_from_azures(headers: dict[str, str], content: bytes) -> None:
    """In newer versions of the API."""
    assert type(_translate(403, UNVERIFIED, content, **headers)) is SourceChanged


@pytest.mark.parametrize(
    ("status", "transient", "throttled", "attempts"),
    [
        (500, True, False, None),
        (503, True, True, None),
        (401, True, False, 3),
        (403, True, False, 3),
        (400, False, False, 3),
    ],
)
def test_what_may_pass_is_retried(status: int, transient: bool, throttled: bool, attempts: int | None) -> None:
    """Throttling for minutes; a refused signature twice, because each request has a new one; nothing else."""
    found = _translate(status, UNVERIFIED)

    assert found is not None
    assert (found.transient, found.throttled, found.attempts) == (transient, throttled, attempts)


def test_retry_after_is_obeyed() -> None:
    """As S3 sent it through Azure."""
    found = _translate(503, UNVERIFIED, Retry_After="7")

    assert found is not None
    assert found.retry_after == 7.0
