"""Deletes orphaned blobs, each only if its key is still gone, and it is still the version that the plan listed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceNotFoundError

from airflow_s3_azure.engine.azure.blob_names import why_refused
from airflow_s3_azure.engine.azure.sdk_errors import describe_response, sdk_request
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import SourceAccessDenied, SourceNotFound, TransferError
from airflow_s3_azure.engine.model import CopyResult
from airflow_s3_azure.engine.quoting import MAX_TEXT, get_logger, shorten
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.sync.listing import page_of_objects
from airflow_s3_azure.sync.rows import ledger_row

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from airflow_s3_azure.engine.s3.source import S3Source

log = get_logger(__name__)

WINDOW = 1_000
"""Deletions that are submitted to the threads at a time."""


def delete_blobs(
    source: S3Source,
    client: ContainerClient,
    deletions: Iterable[Mapping[str, Any]],
    cancellation: Cancellation,
    *,
    max_concurrency: int,
    attempts: int,
) -> Iterator[dict[str, Any]]:
    """Delete blobs, and yield the ledger's row for each: ``deleted``, ``kept`` with the reason, or ``failed``.

    :param source: the bucket in which the keys must be gone
    :param deletions: rows of the plan's deletion list
    :param attempts: the task's tries, for the rows
    :raises Cancelled: if ``cancellation`` was set
    """

    def delete(found: Mapping[str, Any]) -> dict[str, Any]:
        cancellation.check()
        return _delete(source, client, found, cancellation) | {"attempts": attempts}

    rest = iter(deletions)
    with ThreadPoolExecutor(max_concurrency, thread_name_prefix="s3-to-azure-delete") as pool:
        while window := list(islice(rest, WINDOW)):
            yield from pool.map(delete, window)


def _delete(
    source: S3Source, client: ContainerClient, found: Mapping[str, Any], cancellation: Cancellation
) -> dict[str, Any]:
    blob = found["blob"]
    # The list was read from the container, which is untrusted.
    if refused := why_refused(blob):
        return _failed(found, f"no request was sent to delete {blob!r}: {refused}") | {"retryable": False}
    try:
        if _key_exists(source, found["key"], cancellation):
            return _row(found, "kept", "its key exists again")
    except TransferError as caught:
        return _failed(found, f"{blob!r} was not deleted, because S3 did not say whether its key is gone: {caught}")
    try:
        with sdk_request():
            client.delete_blob(
                blob, delete_snapshots="include", etag=found["blob_etag"], match_condition=MatchConditions.IfNotModified
            )
    except AzureError as caught:
        # A leased blob, for example, fails with another error code.
        if not isinstance(caught, ResourceNotFoundError) and getattr(caught, "error_code", None) != "ConditionNotMet":
            return _failed(found, f"{blob!r} could not be deleted: {describe_response(caught)}")
        if _exists(client, blob):
            return _row(found, "kept", "the blob changed since the plan")
        # a missing blob fails the condition, too
        return _row(found, "deleted", "its key is gone, and so was the blob")
    return _row(found, "deleted", "its key is gone")


def _key_exists(source: S3Source, key: str, cancellation: Cancellation) -> bool:
    """Return whether a key exists.

    :raises TransferError: if S3 does not say so
    """
    try:
        RetryPolicy().call(lambda: source.head(key), cancellation)
    except SourceNotFound as error:
        if error.bucket_exists:
            return False
        raise
    except SourceAccessDenied:
        # Under a policy with a condition on s3:prefix, S3 returns 403 for a missing key. But the plan may list under the prefix.
        return key in page_of_objects(source, key, "", None, retry=RetryPolicy(), cancellation=cancellation).names
    return True


def _failed(found: Mapping[str, Any], error: str) -> dict[str, Any]:
    return _row(found, "failed", None, shorten(error, MAX_TEXT))


def _row(found: Mapping[str, Any], status: str, reason: str | None, error: str | None = None) -> dict[str, Any]:
    blob, etag = found["blob"], found["blob_etag"]
    log.debug("%r: %s: %s", blob, status, error or reason)
    row = ledger_row(CopyResult("", blob, "skipped", size=found["size"], blob_etag=etag, reason=reason))
    return row | {"key": None, "status": status, "error": error, "retryable": True if error else None}


def _exists(client: ContainerClient, blob: str) -> bool:
    """Return whether the blob exists; True if the request fails."""
    try:
        with sdk_request():
            return bool(client.get_blob_client(blob).exists())
    except AzureError:
        return True
