"""Running one batch: what is still to do goes to the pool, what became of it into the ledger."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from airflow_s3_azure.stream.copy import CopyOptions
from airflow_s3_azure.stream.errors import BatchFailed, S3ToAzureError
from airflow_s3_azure.stream.interruption import Interruption
from airflow_s3_azure.stream.objects import CopyRequest, CopyResult
from airflow_s3_azure.stream.pool import copy_objects
from airflow_s3_azure.stream.progress import Progress
from airflow_s3_azure.stream.sink import BlobContainer
from airflow_s3_azure.stream.source import S3Source
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.plan import BatchReference
from airflow_s3_azure.sync.report import MAX_FAILURES

log = logging.getLogger(__name__)

LEDGER_SECONDS = 15.0
"""How often a running batch writes its part of the ledger; what a killed try forgets is found by looking again."""


class BatchRun:
    """One try at a batch.

    :param folder: of the plan that the batch belongs to
    :param is_retry: whether an earlier try may have copied some of it
    """

    def __init__(self, reference: BatchReference, folder: PlanFolder, *, is_retry: bool) -> None:
        self._reference = reference
        self._folder = folder
        earlier = folder.read_ledger(reference.part)
        self._rows: dict[str, dict[str, Any]] = {row["key"]: row for row in earlier if row["status"] != "failed"}
        # A slice that ended is no retry, but has left its part of the ledger.
        self._is_retry = is_retry or bool(self._rows)
        self._errors: list[S3ToAzureError] = []
        self._seconds = 0.0

    def copy(
        self,
        source: S3Source,
        container: BlobContainer,
        options: CopyOptions,
        interruption: Interruption,
        *,
        max_concurrency: int,
        slice_seconds: float | None = None,
    ) -> None:
        """Copy what is still to do, and write the ledger every 15 seconds and at the end, also when interrupted.

        :param slice_seconds: after this time no more is begun
        :raises SliceEnded: if ``slice_seconds`` were over before all were copied
        :raises Interrupted: if ``interruption`` was set
        """
        if self._rows:
            log.info("%d of %d objects were done by an earlier try", len(self._rows), self._reference.objects)
        done = sum(row["size"] or 0 for row in self._rows.values())

        def on_progress(progress: Progress) -> None:
            left = progress.describe(self._reference.size - done)
            log.info("%d of %d objects, %s", len(self._rows), self._reference.objects, left)

        started = written = time.monotonic()
        try:
            for result in copy_objects(
                self._requests(set(self._rows)),
                source,
                container,
                options,
                interruption,
                max_concurrency=max_concurrency,
                slice_seconds=slice_seconds,
                on_progress=on_progress,
            ):
                self._note(result)
                if time.monotonic() - written > LEDGER_SECONDS:
                    self._write_ledger()
                    written = time.monotonic()
        finally:
            self._write_ledger()
            self._seconds = time.monotonic() - started

    def summary(self) -> dict[str, Any]:
        """Return the batch's counts by status and its bytes, for XCom."""
        counts = {"copied": 0, "unchanged": 0, "skipped": 0, "failed": 0}
        copied = 0
        for row in self._rows.values():
            counts[row["status"]] += 1
            copied += row["size"] if row["status"] == "copied" else 0
        return {
            "label": self._reference.label,
            **counts,
            "copied_bytes": copied,
            "seconds": round(self._seconds, 3),
        }

    @property
    def has_failures(self) -> bool:
        """Whether any object failed in this try."""
        return bool(self._errors)

    def raise_failures(self) -> None:
        """Do nothing, or raise if any object failed.

        :raises BatchFailed: naming the first of them; retryable if a retry can help any of them
        """
        if self._errors:
            raise BatchFailed(self._reference.objects, self._errors, shown=MAX_FAILURES)

    def _requests(self, done: set[str]) -> Iterator[CopyRequest]:
        for request in self._folder.read_manifest(self._reference.index):
            if request.key not in done:
                # An earlier try may have copied it and died before it could say so.
                yield replace(request, look_first=self._is_retry)

    def _note(self, result: CopyResult) -> None:
        self._rows[result.key] = result.as_json()
        if result.error is not None:
            self._errors.append(result.error)
            log.error("%s: %s", type(result.error).__name__, result.error)

    def _write_ledger(self) -> None:
        self._folder.write_ledger(self._reference.part, self._rows.values())
