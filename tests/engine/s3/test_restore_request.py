"""A request for a restore is idempotent, and its refusal is named."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from airflow_s3_azure.engine.errors import SourceAccessDenied, SourceReadError, TransferError
from airflow_s3_azure.engine.s3.restore_request import request_restore
from tests.fakes.canned_server import source_at


class Client:
    """A client whose requests all end alike."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.requests: list[dict[str, Any]] = []

    def restore_object(self, **request: Any) -> None:
        """Keep the request, and fail."""
        self.requests.append(request)
        if self.error is not None:
            raise self.error


def _refused(code: str, status: int = 403) -> ClientError:
    meta: Any = {"HTTPStatusCode": status, "HTTPHeaders": {}}
    return ClientError({"Error": {"Code": code, "Message": ""}, "ResponseMetadata": meta}, "RestoreObject")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"tier": "Bulk", "days": 7}, {"RestoreRequest": {"Days": 7, "GlacierJobParameters": {"Tier": "Bulk"}}}),
        ({"tier": "Standard", "days": None}, {"RestoreRequest": {"GlacierJobParameters": {"Tier": "Standard"}}}),
        (
            {"tier": "Bulk", "days": 1, "version_id": "v"},
            {"RestoreRequest": {"Days": 1, "GlacierJobParameters": {"Tier": "Bulk"}}, "VersionId": "v"},
        ),
    ],
)
def test_a_restore_has_its_tier_days_and_version(options: dict[str, Any], expected: dict[str, Any]) -> None:
    """Without days for Intelligent-Tiering."""
    client = Client()

    request_restore(client, source_at("http://127.0.0.1:9"), "a", **options)

    assert client.requests == [{"Bucket": "bucket", "Key": "a", **expected}]


def test_the_requester_pays_for_a_restore() -> None:
    """If the reader agreed to it."""
    client = Client()

    request_restore(client, source_at("http://127.0.0.1:9", requester_pays=True), "a", tier="Bulk", days=1)

    assert client.requests[0]["RequestPayer"] == "requester"


@pytest.mark.parametrize("code", ["RestoreAlreadyInProgress", "InvalidObjectState"])
def test_a_restore_that_is_not_needed_is_done(code: str) -> None:
    """It is in progress, or the object can be read."""
    request_restore(Client(_refused(code)), source_at("http://127.0.0.1:9"), "a", tier="Bulk", days=1)


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (_refused("AccessDenied"), SourceAccessDenied, "needs s3:RestoreObject here"),
        (_refused("SlowDown", 503), SourceReadError, "S3 throttles requests"),
        (EndpointConnectionError(endpoint_url="http://x"), SourceReadError, "could not be requested"),
    ],
)
def test_a_refusal_is_named(error: Exception, kind: type[TransferError], message: str) -> None:
    """With the key."""
    with pytest.raises(kind, match=message) as caught:
        request_restore(Client(error), source_at("http://127.0.0.1:9"), "a", tier="Bulk", days=1)

    assert caught.value.key == "s3://bucket/a"
