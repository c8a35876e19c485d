"""Azure's error codes: the error that each becomes, and its remedy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from airflow_s3_azure.engine.azure.service_errors import (
    BlobArchived,
    BlockIdsConflict,
    BlockListRejected,
    ErrorResponse,
    PreconditionFailed,
)
from airflow_s3_azure.engine.errors import (
    DestinationAccessDenied,
    DestinationConflict,
    DestinationWriteError,
    TransferError,
)
from airflow_s3_azure.engine.http.message import Headers


@pytest.mark.parametrize(
    ("status", "code", "kind", "remedy"),
    [
        (409, "BlobArchived", BlobArchived, "rehydrate or delete it"),
        (409, "BlobBeingRehydrated", DestinationConflict, "wait until it is online"),
        (
            409,
            "BlobOperationNotSupported",
            DestinationConflict,
            "written through the dfs endpoint (Spark, Data Factory",
        ),
        (409, "InvalidBlobType", DestinationConflict, "there is an append or page blob of this name; delete it"),
        (409, "BlobImmutableDueToPolicy", DestinationConflict, "a time-based retention policy protects the blob"),
        (409, "BlobImmutableDueToLegalHold", DestinationConflict, "a legal hold protects the blob"),
        (412, "LeaseIdMissing", DestinationConflict, "the blob is leased; break or release the lease"),
        (409, "LeaseIdMismatchWithBlobOperation", DestinationConflict, "the blob is leased"),
        (409, "ResourceTypeMismatch", DestinationConflict, "a name is either a file or a directory"),
        (
            409,
            "FeatureNotYetSupportedForHierarchicalNamespaceAccounts",
            DestinationConflict,
            "holds no blob index tags; copy without copy_tags",
        ),
        (400, "InvalidTag", DestinationConflict, "copy without copy_tags"),
        (400, "MetadataTooLarge", DestinationConflict, "8 KiB in total"),
        (400, "InvalidBlobOrBlock", BlockIdsConflict, "another tool stages blocks for this blob"),
        (400, "InvalidBlockList", BlockListRejected, "a staged block is gone"),
        (409, "BlockCountExceedsLimit", DestinationConflict, "wait until Azure drops them (7 days)"),
        (409, "BlobAlreadyExists", PreconditionFailed, "run the task again to compare again"),
        (412, "ConditionNotMet", PreconditionFailed, "the blob changed after planning and was not overwritten"),
        (404, "ContainerNotFound", DestinationWriteError, "create the container, or set create_container=True"),
        (409, "ContainerBeingDeleted", DestinationWriteError, "create it again once it is gone"),
        (403, "AccountIsDisabled", DestinationAccessDenied, "check its subscription and billing"),
        (403, "AuthorizationFailure", DestinationAccessDenied, "network rules (firewall, private endpoint)"),
        (403, "AuthorizationPermissionMismatch", DestinationAccessDenied, "role Storage Blob Data Contributor"),
        (403, "AuthorizationProtocolMismatch", DestinationAccessDenied, "use an https URL in the wasb connection"),
        (403, "AuthorizationSourceIPMismatch", DestinationAccessDenied, "for the worker's address"),
        (403, "KeyBasedAuthenticationNotPermitted", DestinationAccessDenied, "use a Microsoft Entra identity"),
        (401, "NoAuthenticationInformation", DestinationAccessDenied, "the wasb connection has no credential"),
        (403, "SomethingNew", DestinationAccessDenied, "role Storage Blob Data Contributor"),
        (503, "ServerBusy", DestinationWriteError, "lower max_concurrency"),
        (500, "OperationTimedOut", DestinationWriteError, "use a smaller block_size"),
    ],
)
def test_each_code_has_a_kind_and_a_remedy(status: int, code: str, kind: type[TransferError], remedy: str) -> None:
    """The message names status, code and what to do, and carries the request ID."""
    error = ErrorResponse(status, code, {"x-ms-request-id": "2a7b-1"}).as_error("https://a/c/b")

    assert type(error) is kind
    assert error.message.startswith(f"Azure returned {status} {code}: ")
    assert remedy in error.message
    assert str(error).endswith("request 2a7b-1)")
    assert len(error.message) < 300


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(status: int) -> None:
    """For any code."""
    error = ErrorResponse(status, "", Headers({"retry-after": "7"})).as_error()

    assert (error.transient, error.throttled, error.retry_after) == (True, status in (429, 503), 7.0)


@pytest.mark.parametrize(
    ("status", "kind"), [(400, DestinationWriteError), (409, DestinationConflict), (412, DestinationConflict)]
)
def test_an_unknown_code_is_judged_by_its_status(status: int, kind: type[TransferError]) -> None:
    """New codes appear; they are quoted."""
    error = ErrorResponse(status, "New\nCode", {}).as_error()

    assert (type(error), error.message, error.transient) == (kind, f"Azure returned {status} New Code", False)


KEY = "SharedKey account:c2lnbmF0dXJl"


def _refused(**fields: str) -> str:
    headers = {"date": fields.pop("date", "")}
    return ErrorResponse(403, "AuthenticationFailed", headers, **fields).as_error().message


def test_a_wrong_account_key_is_named() -> None:
    """It is the commonest reason, with a request that is signed with one."""
    assert "the account key does not fit the account: it is wrong or was rotated" in _refused(authorization=KEY)


def test_a_rejected_token_is_named() -> None:
    """The identity's."""
    assert "the token was rejected; check the tenant" in _refused(authorization="Bearer e30")


@pytest.mark.parametrize("expiry", ["2026-01-02", "2026-01-02T00:00Z", "2026-01-02T00:00:00Z"])
def test_an_expired_sas_is_named_and_not_shown(expiry: str) -> None:
    """Its expiry is public, its signature is not."""
    message = _refused(url=f"https://a/c/b?sp=r&se={expiry}&sig=secret")

    assert "the SAS expired at 2026-01-02 00:00 UTC; put a new one into the wasb connection" in message
    assert "secret" not in message


@pytest.mark.parametrize("expiry", ["", "nonsense", "2099-01-01"])
def test_a_sas_that_did_not_expire_is_not_valid_for_another_reason(expiry: str) -> None:
    """Its signature, its start, or the key that signed it."""
    assert "the SAS is not valid: its signature is wrong" in _refused(url=f"https://a/c/b?se={expiry}&sig=secret")


def test_an_expired_sas_is_the_cause_for_any_code() -> None:
    """Emulators and policies report other codes."""
    error = ErrorResponse(403, "AuthorizationFailure", {}, url="https://a/c/b?se=2020-01-01&sig=s").as_error()

    assert "the SAS expired at 2020-01-01" in error.message


@pytest.mark.parametrize("minutes", [-90, 20])
def test_a_clock_that_is_off_is_reported_with_the_difference(minutes: int) -> None:
    """Azure rejects requests that are more than 15 minutes off."""
    theirs = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)

    message = _refused(date=theirs, authorization=KEY)

    assert f"{abs(minutes)} minutes apart: synchronize it (NTP)" in message


def test_a_clock_that_is_right_is_not_mentioned() -> None:
    """Nor is one that cannot be compared."""
    for date in ("", "nonsense", format_datetime(datetime.now(UTC), usegmt=True)):
        assert "clock" not in _refused(date=date, authorization=KEY)


def test_secrets_of_a_request_do_not_show() -> None:
    """In the repr of what is passed around."""
    assert "secret" not in repr(ErrorResponse(403, "", {}, url="?sig=secret", authorization="secret"))
