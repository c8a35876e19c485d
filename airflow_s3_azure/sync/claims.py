"""What an execution of a batch reuses from the ledger rows of earlier executions: the retry policy of a batch.

XCom does not survive a retry, so no trusted value says what an earlier execution wrote: its rows are claims. A claim that
would keep a key from being copied is confirmed by a HEAD of the blob, which costs less than the copy.

======================  ====================================================  ===================
status                  and                                                   the key
======================  ====================================================  ===================
``copied, unchanged``   its blob is a copy of the object that the row names,  is done
                        which is the planned one, or the current one, and
                        the row's checksums are those of its record
``copied, unchanged``   otherwise                                             is copied
``failed``              in this try (an earlier slice)                        stays failed
``failed``              not retryable, and the task was not cleared since     stays failed
                        it ended
``failed``              because its object changed since the plan             is copied as it is now
``failed, skipped``     otherwise                                             is copied
======================  ====================================================  ===================

A forged row can make a key fail, or have its object read again. It cannot keep a key from being copied, unless its
author also wrote the blob.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Literal

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.errors import SourceChanged, TransferError, UntrustedFile
from airflow_s3_azure.engine.model import CopyRequest
from airflow_s3_azure.engine.properties import CopyIdentity, SourceRecord
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.engine.s3.source import S3Source

log = get_logger(__name__)

WINDOW = 1_000
"""Rows that are confirmed at a time."""

Verdict = Literal["done", "failed", "changed", "open"]
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Attempt:
    """The try that an execution belongs to.

    :param try_number: Airflow's, from 1
    :param cleared_at: the first try since the task was last cleared after it had ended; 1 if it never was. Airflow does
        not show that a running task was cleared: its next try is like a retry
    """

    try_number: int
    cleared_at: int = 1


@dataclass(slots=True)
class Claims:
    """The confirmed claims.

    :param done: keys that need no copy in this execution: copied, or finally failed
    :param changed: keys whose object changed since the plan, with their rows
    """

    done: set[str] = field(default_factory=set)
    changed: dict[str, Row] = field(default_factory=dict)


class Confirmation:
    """Compares claims with the blobs, and with the objects where these changed since the plan.

    :param retrying: sends a request, and repeats it after transient failures
    """

    def __init__(
        self,
        attempt: Attempt,
        source: S3Source,
        container: BlobContainer,
        retrying: Callable[[Callable[[], Any]], Any],
    ) -> None:
        self._attempt = attempt
        self._source = source
        self._container = container
        self._retrying = retrying

    def verdict(self, row: Row, planned: CopyRequest) -> Verdict:
        """Return what follows from a claim about a planned key: a row of the table above."""
        if row["status"] in ("copied", "unchanged"):
            return "done" if self._is_copied(row, planned) else "open"
        if row["status"] == "skipped":
            return "open"
        if row["attempts"] == self._attempt.try_number:
            return "failed"
        if not row["retryable"] and row["attempts"] >= self._attempt.cleared_at:
            return "failed"
        return "changed" if has_changed(row) else "open"

    def _is_copied(self, row: Row, planned: CopyRequest) -> bool:
        etag, size = row["etag"], row["size"]
        if etag is None or size is None:
            return False
        try:
            blob = self._retrying(lambda: self._container.head(planned.blob))
            # The plan decided to replace this version of the blob, so its record proves nothing.
            if blob is None or blob.etag == (planned.precondition and planned.precondition.etag):
                return False
            if not blob.is_copy_of(etag, size, CopyIdentity(self._source.bucket, planned.key, planned.blob)):
                return False
            # A checksum that nothing confirms must not enter the ledger. Earlier versions recorded none.
            if not _agrees(row, blob.record):
                return False
            if (etag, size) == (planned.etag, planned.size):
                return True
            current = self._retrying(lambda: self._source.head(planned.key, planned.version_id))
        except TransferError as error:
            log.debug("%r: the claim of an earlier execution is not confirmed: %s", planned.key, error)
            return False
        return (current.etag, current.size) == (etag, size)


def _agrees(row: Row, record: SourceRecord | None) -> bool:
    """Return whether a row names no other checksums than the blob's record."""
    found = (None, None) if record is None else (record.crc64nvme, record.checksum)
    named = row.get("crc64nvme"), row.get("source_checksum")
    return all(name in (None, value) for name, value in zip(named, found, strict=True))


def has_changed(row: Row) -> bool:
    """Return whether a key failed because its object changed since the plan."""
    return row.get("error_class") == SourceChanged.__name__


def confirmed(
    rows: Iterable[Row],
    requests: Iterable[CopyRequest],
    confirmation: Confirmation,
    keep: Callable[[Row], None],
    *,
    max_concurrency: int,
) -> Claims:
    """Return the claims that are confirmed.

    Memory: the batch's requests, and a window of rows.

    :param requests: of the batch; claims about other keys are ignored
    :param keep: called with the row of each key that is done
    """
    planned = {request.key: replace(request, reason=None) for request in requests}
    claims = Claims()

    def with_verdict(row: Row) -> tuple[Row, Verdict]:
        return row, confirmation.verdict(row, planned[row["key"]])

    known = _claims_on(rows, planned)
    with ThreadPoolExecutor(max_concurrency, thread_name_prefix="s3-to-azure-confirm") as pool:
        while window := list(islice(known, WINDOW)):
            for row, verdict in pool.map(with_verdict, window):
                if verdict in ("done", "failed"):
                    claims.done.add(row["key"])
                    keep(row)
                elif verdict == "changed":
                    claims.changed[row["key"]] = row
    return claims


def _claims_on(rows: Iterable[Row], planned: Mapping[str, CopyRequest]) -> Iterator[Row]:
    """Yield the first row of each planned key, up to a row that this package cannot have written."""
    seen: set[str] = set()
    try:
        for row in rows:
            request = planned.get(row["key"])
            if request is not None and request.blob == row["blob"] and request.key not in seen:
                seen.add(request.key)
                yield row
    except UntrustedFile as error:
        log.warning("%s; keys without a readable row are checked again", error)
