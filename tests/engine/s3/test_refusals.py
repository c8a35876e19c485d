"""Errors of S3 name what failed, why, and the remedy."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_s3_azure.engine.errors import (
    SourceAccessDenied,
    SourceArchived,
    SourceChanged,
    SourceNotFound,
    SourceReadError,
    TransferError,
)
from airflow_s3_azure.engine.s3.refusals import Refusal, translate
from tests.fakes.canned_server import CannedServer, canned_server, error_document, source_at

CONNECTION = "AWS connection 'night'"


@pytest.fixture
def server() -> Iterator[CannedServer]:
    """A running server."""
    with canned_server() as running:
        yield running


def _refused(
    status: int, code: str, message: str = "", operation: str = "get_object", bucket: str = "bucket", **headers: str
) -> TransferError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    refusal = Refusal(operation, status, code, code or "Forbidden", message, named)
    return translate(refusal, bucket=bucket, key=f"s3://{bucket}/key", connection=CONNECTION, etag="etag")


@pytest.mark.parametrize(
    ("status", "code", "error", "remedy"),
    [
        (403, "SignatureDoesNotMatch", SourceAccessDenied, "the secret access key of AWS connection 'night' is wrong"),
        (403, "InvalidAccessKeyId", SourceAccessDenied, "the access key ID of AWS connection 'night' does not exist"),
        (400, "ExpiredToken", SourceAccessDenied, "the session token of AWS connection 'night' has expired; renew it"),
        (400, "InvalidToken", SourceAccessDenied, "session token of AWS connection 'night' does not belong to its"),
        (403, "RequestTimeTooSkewed", SourceAccessDenied, "synchronize the clock of this worker"),
        (400, "KMS.DisabledException", SourceAccessDenied, "the KMS key it is encrypted with is disabled; restore"),
        (400, "KMS.NotFoundException", SourceAccessDenied, "the KMS key it is encrypted with does not exist; restore"),
        (400, "KMS.KMSInvalidStateException", SourceAccessDenied, "the KMS key it is encrypted with cannot be used"),
        (400, "KMS.SomethingNewException", SourceAccessDenied, "the KMS key it is encrypted with cannot be used"),
        (400, "InvalidRequest", SourceAccessDenied, r"customer's own key \(SSE-C\)"),
        (403, "InvalidObjectState", SourceArchived, "it is archived; restore it in S3 first"),
        (
            404,
            "NoSuchBucket",
            SourceNotFound,
            "there is no bucket 'bucket'; check the name, and region and endpoint of",
        ),
        (404, "NoSuchKey", SourceNotFound, "there is no such object; check the key"),
        (404, "NoSuchVersion", SourceNotFound, "this version no longer exists"),
        (404, "", SourceNotFound, "there is no such object"),
        (403, "AllAccessDisabled", SourceAccessDenied, "ask AWS Support"),
        (403, "AccountProblem", SourceAccessDenied, "ask AWS Support"),
        (412, "PreconditionFailed", SourceChanged, "its ETag is no longer 'etag'; try again"),
        (416, "InvalidRange", SourceChanged, "it no longer has the requested range; try again"),
        (400, "RequestTimeout", SourceReadError, "the connection was too slow"),
        (503, "SlowDown", SourceReadError, "S3 throttles requests"),
        (400, "ThrottlingException", SourceReadError, "AWS KMS throttles requests"),
        (403, "AccessDenied", SourceAccessDenied, "AWS connection 'night' needs s3:GetObject here"),
        (403, "UnheardOf", SourceAccessDenied, "AWS connection 'night' needs s3:GetObject here"),
    ],
)
def test_each_code_of_the_service_has_its_remedy(
    status: int, code: str, error: type[TransferError], remedy: str
) -> None:
    """The message begins with S3's own and ends with the remedy."""
    found = _refused(status, code)

    assert type(found) is error
    assert found.message.startswith(f"S3 returned {status} {code}")
    with pytest.raises(error, match=remedy):
        raise found


@pytest.mark.parametrize(
    ("status", "code", "transient", "retryable", "throttled"),
    [
        (403, "SignatureDoesNotMatch", True, False, False),
        (403, "InvalidAccessKeyId", False, False, False),
        (403, "RequestTimeTooSkewed", True, True, False),
        (400, "RequestTimeout", True, True, False),
        (503, "SlowDown", True, True, True),
        (400, "ThrottlingException", True, True, True),
        (500, "InternalError", True, True, False),
        (400, "KMS.DisabledException", False, False, False),
    ],
)
def test_what_a_retry_may_help_is_retried(
    status: int, code: str, transient: bool, retryable: bool, throttled: bool
) -> None:
    """At once, by the task, or with longer waits."""
    found = _refused(status, code)

    assert (found.transient, found.retryable, found.throttled) == (transient, retryable, throttled)


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        (
            "User: arn:aws:iam::1:user/u is not authorized to perform: kms:Decrypt on the resource",
            "needs kms:Decrypt, in IAM and in the policy of the KMS key",
        ),
        ("Request has expired", "the presigned URL was not valid when S3 checked it"),
        ("Request is not yet valid", "the presigned URL was not valid when S3 checked it"),
        (
            "User: u is not authorized to perform: s3:GetObject with an explicit deny in a resource-based policy",
            "conditions on s3:authType or s3:signatureAge refuse presigned URLs",
        ),
        ("Access Denied", r"bucket's policy may refuse presigned URLs \(s3:authType\)"),
    ],
)
def test_a_denial_is_explained_by_its_message(message: str, remedy: str) -> None:
    """Which is quoted too."""
    with pytest.raises(SourceAccessDenied, match=remedy) as caught:
        raise _refused(403, "AccessDenied", message)

    assert caught.value.message.endswith(f'(S3: "{message}")')


@pytest.mark.parametrize(
    ("operation", "bucket", "permission"),
    [
        ("get_object", "bucket", "s3:GetObject"),
        ("get_object_tagging", "bucket", "s3:GetObjectTagging"),
        ("list_objects_v2", "bucket", "s3:ListBucket"),
        ("get_object", "bucket--usw2-az1--x-s3", "s3express:CreateSession"),
    ],
)
def test_a_denial_names_the_permission(operation: str, bucket: str, permission: str) -> None:
    """Each operation needs its own."""
    assert f"{CONNECTION} needs {permission} here" in str(
        _refused(403, "AccessDenied", operation=operation, bucket=bucket)
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(1000, "s behind S3's"), (-1000, "s ahead of S3's"), (30, None), (None, None)]
)
@pytest.mark.parametrize(
    ("code", "message"),
    [("RequestTimeTooSkewed", ""), ("AccessDenied", "Request has expired"), ("SignatureDoesNotMatch", "")],
)
def test_a_wrong_clock_is_named(code: str, message: str, seconds: float | None, text: str | None) -> None:
    """The response's Date shows by how much it is wrong."""
    when = (
        "yesterday" if seconds is None else format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    )

    found = str(_refused(403, code, message, date=when))

    assert ("(the clock of this worker is " in found) == (text is not None)
    assert text is None or text in found


@pytest.mark.parametrize("status", [404, 405])
def test_a_delete_marker_is_named(status: int) -> None:
    """The current version (404) or the requested one (405)."""
    code = "NoSuchKey" if status == 404 else "MethodNotAllowed"

    found = _refused(status, code, x_amz_delete_marker="true")

    assert type(found) is SourceNotFound
    assert "it was deleted: this version is a delete marker" in str(found)


def test_what_the_server_wrote_is_quoted_safely(server: CannedServer) -> None:
    """As one short line, without a credential that is echoed."""
    server.status = 409
    server.body = error_document("Odd", "one&#10;two X-Amz-Signature=0123abcd&amp;b " + "x" * 500)

    with pytest.raises(SourceReadError) as caught:
        source_at(server.url).tags("key")

    text = caught.value.message
    assert text.startswith('S3 returned 409 Odd (S3: "one two X-Amz-Signature=***&b xxx')
    assert len(text) < 300
    assert "\n" not in text


@pytest.mark.parametrize("body", [b"", b"<Error>", b"\xff\xfe", b"<html>no</html>", b"<Error><Code>a b</Code></Error>"])
def test_a_refusal_without_a_usable_document_has_its_status(server: CannedServer, body: bytes) -> None:
    """A proxy may have sent it."""
    server.status, server.body = 409, body

    with pytest.raises(SourceReadError, match=r"^S3 returned 409 Conflict \('s3://bucket/key'\)$"):
        source_at(server.url).tags("key")


def test_a_refusal_that_botocore_parsed_is_translated_to_the_same_error() -> None:
    """With the service's request IDs."""
    response: Any = {
        "Error": {"Code": "SignatureDoesNotMatch", "Message": "no"},
        "ResponseMetadata": {"HTTPStatusCode": 403, "HTTPHeaders": {"x-amz-request-id": "R1", "x-amz-id-2": "I2"}},
    }
    refusal = Refusal.of_client_error(ClientError(response, "list_objects_v2"))

    found = translate(refusal, bucket="bucket", key="s3://bucket/", connection=CONNECTION)

    assert type(found) is SourceAccessDenied
    assert str(found).startswith(
        "S3 returned 403 SignatureDoesNotMatch: the secret access key of AWS connection 'night' is wrong"
    )
    assert str(found).endswith("('s3://bucket/'; request R1, id2 I2)")


def _no_such_host(*_: Any, **__: Any) -> Any:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def _no_response(*_: Any, **__: Any) -> Any:
    raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


@pytest.mark.parametrize(
    ("resolve", "retryable", "cause"),
    [
        (
            _no_such_host,
            False,
            r": there is no host 's3\.nowhere\.example'; check region_name and endpoint_url of AWS connection 'night'",
        ),
        (_no_response, True, r" at host s3\.nowhere\.example: gaierror \(.*\) \(AWS connection 'night'\)"),
    ],
)
def test_an_unknown_host_is_named(monkeypatch: pytest.MonkeyPatch, resolve: Any, retryable: bool, cause: str) -> None:
    """An unknown host is a wrong endpoint; where DNS does not respond, a later try may succeed."""
    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    with pytest.raises(SourceReadError, match=f"^S3 could not be reached{cause}") as caught:
        source_at("http://s3.nowhere.example", connection=CONNECTION).head("key")

    assert (caught.value.transient, caught.value.retryable) == (True, retryable)


def test_an_unknown_host_that_has_responded_before_may_be_known_again(
    server: CannedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A DNS server may lose a name for a while."""
    server.status, server.headers = 200, {"ETag": '"e"', "Connection": "close"}
    source = source_at(f"http://localhost:{server.server_port}", connection=CONNECTION)
    source.head("key")
    monkeypatch.setattr(socket, "getaddrinfo", _no_such_host)

    with pytest.raises(SourceReadError, match="could not be reached at host localhost: gaierror") as caught:
        source.head("key")

    assert caught.value.retryable
