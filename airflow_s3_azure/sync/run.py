"""Running one batch: what is still to do goes to the pool, what became of it into the ledger."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

from airflow_s3_azure.stream.copy import CopyOptions
from airflow_s3_azure.stream.errors import BatchFailed, DestinationWriteError, SliceEnded, SourceChanged
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

PROGRESS_SECONDS = 2.0
"""How often a running batch says how far it is."""
LOG_SECONDS = 10.0
"""How often it says so in the log."""
LEDGER_SECONDS = 15.0
"""How often a running batch writes its part of the ledger; what a killed try forgets is found by looking again."""


class BatchRun:
    """One execution of a batch; a try has several where slices end.

    What earlier executions settled stays settled: every key that did not fail; a key that failed for good; and a key
    that failed in an earlier slice of this same try, so that it is not read again in every slice.

    :param folder: of the plan that the batch belongs to
    :param try_number: Airflow's, from 1
    """

    def __init__(self, reference: BatchReference, folder: PlanFolder, *, try_number: int) -> None:
        self._reference = reference
        self._folder = folder
        self._try_number = try_number
        earlier = {row["key"]: row for row in folder.read_ledger(reference.part)}
        self._is_first = try_number == 1 and not earlier
        self._rows = {key: row for key, row in earlier.items() if self._is_settled(row)}
        self._changed = {key for key, row in earlier.items() if str(row["error"]).startswith(SourceChanged.__name__)}
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
        tell: Callable[[int, int, str | None], None] = lambda *_: None,
    ) -> None:
        """Copy what is still to do, and write the ledger every 15 seconds and at the end, also when interrupted.

        :param slice_seconds: after this time no more is begun
        :param tell: called every two seconds with the objects and bytes that are done, and the key begun last
        :raises SliceEnded: if ``slice_seconds`` were over before all were copied
        :raises Interrupted: if ``interruption`` was set
        """
        # Read before the pool starts, so that no worker waits for it while it holds the others up.
        requests = list(self._requests())
        if self._rows:
            log.info("%d of %d objects were settled before", len(self._rows), self._reference.objects)
        done = sum(row["size"] or 0 for row in self._rows.values())

        current: str | None = None
        logged = 0.0

        def begun() -> Iterator[CopyRequest]:
            nonlocal current
            for request in requests:
                current = request.key
                yield request

        def on_progress(progress: Progress) -> None:
            nonlocal logged
            tell(len(self._rows), done + progress.size, current)
            if progress.seconds < logged + LOG_SECONDS:
                return
            logged = progress.seconds
            left = progress.describe(self._reference.size - done)
            log.info("%d of %d objects, %s", len(self._rows), self._reference.objects, left)

        results = copy_objects(
            begun(),
            source,
            container,
            options,
            interruption,
            max_concurrency=max_concurrency,
            slice_seconds=slice_seconds,
            on_progress=on_progress,
            progress_interval=PROGRESS_SECONDS,
        )
        started = written = time.monotonic()
        try:
            with closing(results):
                for result in results:
                    self._note(result)
                    if time.monotonic() - written > LEDGER_SECONDS:
                        self._write_ledger()
                        written = time.monotonic()
        except SliceEnded:
            self._write_ledger()
            raise
        except BaseException:
            # Airflow kills a task five seconds after it asked it to end.
            with suppress(DestinationWriteError):
                self._write_ledger(seconds=1)
            raise
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
        """Whether any object of the batch failed."""
        return bool(self._failures())

    def raise_failures(self) -> None:
        """Do nothing, or raise if any object failed.

        :raises BatchFailed: naming the first of them; retryable if a retry can help any of them
        """
        if failures := self._failures():
            raise BatchFailed(
                self._reference.objects,
                [str(row["error"]) for row in failures],
                retryable=any(row["retryable"] for row in failures),
                shown=MAX_FAILURES,
            )

    def _requests(self) -> Iterator[CopyRequest]:
        for request in self._folder.read_manifest(self._reference.index):
            if request.key in self._rows:
                continue
            if request.key in self._changed:
                # The plan's version is gone: copy what there is now, onto the blob that the plan saw.
                yield replace(request, etag=None, size=None)
            else:
                # An earlier execution may have copied it and died before it could say so.
                yield replace(request, look_first=not self._is_first)

    def _is_settled(self, row: Mapping[str, Any]) -> bool:
        return row["status"] != "failed" or not row["retryable"] or row["try_number"] == self._try_number

    def _failures(self) -> list[dict[str, Any]]:
        return [row for row in self._rows.values() if row["status"] == "failed"]

    def _note(self, result: CopyResult) -> None:
        self._rows[result.key] = result.as_json() | {"try_number": self._try_number}
        if result.error is not None:
            log.error("%s: %s", type(result.error).__name__, result.error)

    def _write_ledger(self, seconds: int | None = None) -> None:
        self._folder.write_ledger(self._reference.part, self._rows.values(), seconds=seconds)
