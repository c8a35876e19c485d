"""Deletes orphaned blobs, each only if it is still the version that the plan listed."""

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
from airflow_s3_azure.engine.model import CopyResult
from airflow_s3_azure.engine.quoting import MAX_TEXT, get_logger, shorten
from airflow_s3_azure.sync.rows import ledger_row

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

log = get_logger(__name__)

WINDOW = 1_000
"""Deletions that are submitted to the threads at a time."""


def delete_blobs(
    client: ContainerClient,
    deletions: Iterable[Mapping[str, Any]],
    cancellation: Cancellation,
    *,
    max_concurrency: int,
    attempts: int,
) -> Iterator[dict[str, Any]]:
    """Delete blobs, and yield the ledger's row for each: ``deleted``, ``kept`` with the reason, or ``failed``.

    :param deletions: rows of the plan's deletion list
    :param attempts: the task's tries, for the rows
    :raises Cancelled: if ``cancellation`` was set
    """

    def delete(found: Mapping[str, Any]) -> dict[str, Any]:
        cancellation.check()
        return _delete(client, found) | {"attempts": attempts}

    rest = iter(deletions)
    with ThreadPoolExecutor(max_concurrency, thread_name_prefix="s3-to-azure-delete") as pool:
        while window := list(islice(rest, WINDOW)):
            yield from pool.map(delete, window)


def _delete(client: ContainerClient, found: Mapping[str, Any]) -> dict[str, Any]:
    blob, etag = found["blob"], found["blob_etag"]
    status, reason, error = "deleted", "its key is gone", None
    # The list was read from the container, which is untrusted.
    if refused := why_refused(blob):
        return _row(
            found, "failed", reason, shorten(f"no request was sent to delete {blob!r}: {refused}", MAX_TEXT)
        ) | {"retryable": False}
    try:
        with sdk_request():
            client.delete_blob(
                blob, delete_snapshots="include", etag=etag, match_condition=MatchConditions.IfNotModified
            )
    except AzureError as caught:
        # A leased blob, for example, fails with another error code.
        if not isinstance(caught, ResourceNotFoundError) and getattr(caught, "error_code", None) != "ConditionNotMet":
            status = "failed"
            error = shorten(f"{blob!r} could not be deleted: {describe_response(caught)}", MAX_TEXT)
        elif _exists(client, blob):
            status, reason = "kept", "the blob changed since the plan"
        else:  # a missing blob fails the condition, too
            reason = "its key is gone, and so was the blob"
    return _row(found, status, reason, error)


def _row(found: Mapping[str, Any], status: str, reason: str, error: str | None) -> dict[str, Any]:
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
