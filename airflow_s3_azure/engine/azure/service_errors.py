"""Azure's error codes and their remedies: one table for the engine and for the SDK's clients.

https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
https://learn.microsoft.com/rest/api/storageservices/common-rest-api-error-codes
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from airflow_s3_azure.engine.conflicts import CONFLICTS
from airflow_s3_azure.engine.errors import (
    DestinationAccessDenied,
    DestinationConflict,
    DestinationWriteError,
    TransferError,
)
from airflow_s3_azure.engine.http.status import THROTTLED_STATUSES, TRANSIENT_STATUSES, retry_after
from airflow_s3_azure.engine.properties import http_date
from airflow_s3_azure.engine.quoting import quote_text, request_id

_CLOCK_TOLERANCE = timedelta(minutes=5)
"""Azure rejects requests that are more than 15 minutes off; a smaller difference may still fail a SAS."""


class PreconditionFailed(DestinationConflict):
    """The blob is not the one that was planned: a concurrent writer committed first."""


class BlockListRejected(DestinationWriteError):
    """A block of the list is not staged. Another writer may have committed it."""


class BlobArchived(DestinationConflict):
    """The blob is in the archive tier, where it cannot be overwritten. A concurrent writer may have put its copy there."""


class BlockIdsConflict(DestinationConflict):
    """A block ID has another length than the staged ones, according to Azure."""


@dataclass(frozen=True, slots=True)
class _Meaning:
    """The meaning of an error code.

    :param remedy: cause and remedy, after the status and the code
    :param is_transient: whether the same request may succeed within seconds, with any status
    """

    kind: type[TransferError]
    remedy: str = ""
    is_transient: bool = False


_NEEDED = (
    "the wasb connection needs to read and write blobs here (role Storage Blob Data Contributor, or a SAS with racwl; for "
    "copy_tags the role Storage Blob Data Owner, or t in the SAS)"
)
_LEASED = _Meaning(DestinationConflict, "the blob is leased; break or release the lease")
_CHANGED = _Meaning(
    PreconditionFailed, "the blob changed after planning and was not overwritten; run the task again to compare again"
)
_TAGS = _Meaning(DestinationConflict, "Azure cannot hold the object's tags; copy without copy_tags")
_IMMUTABLE = "wait until it ends, or copy to another name"
_HIERARCHY = _Meaning(
    DestinationConflict,
    "the account has a hierarchical namespace, where a name is either a file or a directory: the blob's name, or a part "
    "of it, exists as the other one; rename or delete that, or copy to another name",
)
_METADATA = _Meaning(
    DestinationConflict, "Azure cannot hold the object's metadata (8 KiB in total); shorten it in S3, or leave it out"
)
_DAMAGED = _Meaning(DestinationWriteError, "the data was corrupted in transit", is_transient=True)

_MEANINGS: dict[str, _Meaning] = {
    # A concurrent writer
    "BlobAlreadyExists": _CHANGED,
    "ConditionNotMet": _CHANGED,
    "TargetConditionNotMet": _CHANGED,
    "InvalidBlockList": _Meaning(
        BlockListRejected, "a staged block is gone: another writer committed this blob, or Azure dropped the block"
    ),
    "InvalidBlobOrBlock": _Meaning(
        BlockIdsConflict, "another tool stages blocks for this blob at the same time; let it finish first"
    ),
    "BlockCountExceedsLimit": _Meaning(
        DestinationConflict,
        "too many blocks of earlier versions are staged for this blob; wait until Azure drops them (7 days), or copy to "
        "another name",
    ),
    # The state of the blob
    "BlobArchived": _Meaning(
        BlobArchived,
        str(CONFLICTS["archived"]),
    ),
    "SnapshotsPresent": _Meaning(
        DestinationConflict, "the blob has snapshots, which are never deleted with it; delete them first"
    ),
    "BlobBeingRehydrated": _Meaning(
        DestinationConflict, "the blob is being rehydrated from the archive tier; wait until it is online"
    ),
    "BlobOperationNotSupported": _Meaning(
        DestinationConflict,
        "the file was written through the dfs endpoint (Spark, Data Factory, abfss) and takes no blocks; delete it, or "
        "copy to another name",
    ),
    "InvalidBlobType": _Meaning(
        DestinationConflict, "there is an append or page blob of this name; delete it, or copy to another name"
    ),
    "BlobImmutableDueToPolicy": _Meaning(
        DestinationConflict, f"a time-based retention policy protects the blob; {_IMMUTABLE}"
    ),
    "BlobImmutableDueToLegalHold": _Meaning(DestinationConflict, f"a legal hold protects the blob; {_IMMUTABLE}"),
    "ResourceTypeMismatch": _HIERARCHY,
    "PathAlreadyExists": _HIERARCHY,
    "PathConflict": _HIERARCHY,
    # Properties that Azure rejects
    "InvalidTag": _TAGS,
    "InvalidTags": _TAGS,
    "TagsTooLarge": _TAGS,
    "EmptyTagName": _TAGS,
    "FeatureNotYetSupportedForHierarchicalNamespaceAccounts": _Meaning(
        DestinationConflict,
        "the account has a hierarchical namespace, which holds no blob index tags; copy without copy_tags",
    ),
    "InvalidMetadata": _METADATA,
    "MetadataTooLarge": _METADATA,
    # The container and the account
    "ContainerNotFound": _Meaning(DestinationWriteError, "create the container, or set create_container=True"),
    "ContainerBeingDeleted": _Meaning(
        DestinationWriteError, "the container is being deleted; use another one, or create it again once it is gone"
    ),
    "ContainerDisabled": _Meaning(DestinationAccessDenied, "the container is disabled; ask the account's owner"),
    "AccountIsDisabled": _Meaning(
        DestinationAccessDenied, "the storage account is disabled; check its subscription and billing"
    ),
    # Authorization
    "AuthenticationFailed": _Meaning(DestinationAccessDenied),
    "InvalidAuthenticationInfo": _Meaning(DestinationAccessDenied),
    "NoAuthenticationInformation": _Meaning(
        DestinationAccessDenied, "the wasb connection has no credential; add an account key, a SAS or an identity"
    ),
    "AuthorizationFailure": _Meaning(
        DestinationAccessDenied,
        "the account's network rules (firewall, private endpoint) refuse this worker, or the credential does not cover "
        "this request; allow the worker's network, and check the account key or the SAS, and its rights",
    ),
    "AuthorizationPermissionMismatch": _Meaning(DestinationAccessDenied, _NEEDED),
    "InsufficientAccountPermissions": _Meaning(DestinationAccessDenied, _NEEDED),
    "AuthorizationProtocolMismatch": _Meaning(
        DestinationAccessDenied, "the SAS allows https only; use an https URL in the wasb connection"
    ),
    "AuthorizationSourceIPMismatch": _Meaning(
        DestinationAccessDenied, "the SAS allows other IP addresses only; create one for the worker's address"
    ),
    "AuthorizationServiceMismatch": _Meaning(
        DestinationAccessDenied, "the SAS is not for the Blob service; create one with ss=b"
    ),
    "AuthorizationResourceTypeMismatch": _Meaning(
        DestinationAccessDenied, "the SAS does not cover containers and objects; create one with srt=co"
    ),
    "KeyBasedAuthenticationNotPermitted": _Meaning(
        DestinationAccessDenied,
        "the account does not allow its keys (nor SAS signed with them); use a Microsoft Entra identity in the wasb "
        "connection",
    ),
    "PublicAccessNotPermitted": _Meaning(
        DestinationAccessDenied, "the account allows no anonymous access; add a credential to the wasb connection"
    ),
    # Transient
    "ServerBusy": _Meaning(
        DestinationWriteError,
        "the account limits its requests; if it persists, lower max_concurrency",
        is_transient=True,
    ),
    "OperationTimedOut": _Meaning(
        DestinationWriteError,
        "Azure did not finish in time; if it persists, use a smaller block_size",
        is_transient=True,
    ),
    "InternalError": _Meaning(DestinationWriteError, is_transient=True),
    "AccountBeingCreated": _Meaning(DestinationWriteError, is_transient=True),
    "Crc64Mismatch": _DAMAGED,
    "Md5Mismatch": _DAMAGED,
}


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """An error response of Azure, from any client, and the parts of its request that explain it.

    :param code: ``x-ms-error-code``, or the same from the body; empty if there is none
    :param headers: by names in any case
    :param url: of the request, with a SAS if it had one: secret, not quoted
    :param authorization: the request's header: secret, not quoted
    """

    status: int
    code: str
    headers: Mapping[str, str]
    url: str = ""
    authorization: str = ""

    def __repr__(self) -> str:
        return f"ErrorResponse({self.status}, {self.code!r})"

    def as_error(self, blob: str | None = None) -> TransferError:
        """Return the error for the response, with its remedy."""
        meaning = _meaning(self.status, self.code)
        remedy = meaning.remedy
        if issubclass(meaning.kind, DestinationAccessDenied):
            remedy = "; ".join(part for part in (self._credential_remedy(remedy), self._clock_difference()) if part)
        what = f"Azure returned {self.status} {quote_text(self.code, 80)}".rstrip()
        return meaning.kind(
            f"{what}: {remedy}" if remedy else what,
            blob=blob,
            transient=meaning.is_transient or self.status in TRANSIENT_STATUSES,
            throttled=self.status in THROTTLED_STATUSES,
            retry_after=retry_after(self.headers),
            request_id=request_id(self.headers),
        )

    def _credential_remedy(self, remedy: str) -> str:
        query = parse_qs(urlsplit(self.url).query)
        if "sig" in query:
            expiry = _sas_time(query.get("se", [""])[0])
            if expiry is not None and expiry < datetime.now(UTC):
                return f"the SAS expired at {expiry:%Y-%m-%d %H:%M} UTC; put a new one into the wasb connection"
            return remedy or (
                "the SAS is not valid: its signature is wrong, it is not valid yet, or the key that signed it was rotated; "
                "put a new one into the wasb connection"
            )
        if self.authorization.startswith("SharedKey"):
            return remedy or (
                "the account key does not fit the account: it is wrong or was rotated; copy it again into the wasb "
                "connection's password"
            )
        return remedy or "the token was rejected; check the tenant and the identity of the wasb connection"

    def _clock_difference(self) -> str:
        """Return the remedy for a clock that differs from Azure's; empty if it does not differ."""
        theirs, ours = http_date(self.headers.get("date")), datetime.now(UTC)
        if theirs is None or theirs.tzinfo is None or abs(theirs - ours) < _CLOCK_TOLERANCE:
            return ""
        minutes = round(abs(theirs - ours) / timedelta(minutes=1))
        return (
            f"this machine's clock says {ours:%Y-%m-%d %H:%M} UTC and Azure's {theirs.astimezone(UTC):%Y-%m-%d %H:%M} UTC, "
            f"{minutes:,} minutes apart: synchronize it (NTP)"
        )


def _meaning(status: int, code: str) -> _Meaning:
    if code.startswith("Lease"):
        return _LEASED
    meaning = _MEANINGS.get(code)
    if meaning is not None:
        return meaning
    if status in (401, 403):
        return _Meaning(DestinationAccessDenied, _NEEDED)
    return _Meaning(DestinationConflict if status in (409, 412) else DestinationWriteError)


def _sas_time(text: str) -> datetime | None:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
