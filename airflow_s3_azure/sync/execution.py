"""Running one batch: what is still to do goes to the pool, what became of it into the ledger."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import BatchChanged, BatchFailed, SliceEnded, TransferError
from airflow_s3_azure.engine.model import CopyRequest, CopyResult
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.pool import copy_objects
from airflow_s3_azure.engine.progress import Progress
from airflow_s3_azure.engine.quoting import MAX_TEXT, get_logger, printable
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.sync.claims import Attempt, Claims, Confirmation, confirmed, has_changed
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.references import BatchReference
from airflow_s3_azure.sync.rows import ledger_row
from airflow_s3_azure.sync.run_report import MAX_FAILURES

log = get_logger(__name__)

PROGRESS_SECONDS = 2.0
"""How often a running batch says how far it is."""
LOG_SECONDS = 10.0
"""How often it says so in the log."""
LEDGER_SECONDS = 15.0
"""How often a running batch adds to its part of the ledger; what a killed try forgets is found by looking again."""
SHUFFLED = 10_000
"""Requests put into another order at a time, where another run copies the same."""


@dataclass(slots=True)
class _Totals:
    """What the rows of a batch add up to."""

    counts: dict[str, int] = field(default_factory=lambda: {"copied": 0, "unchanged": 0, "skipped": 0, "failed": 0})
    size: int = 0
    copied_size: int = 0
    bytes_read: int = 0
    failures: list[Mapping[str, Any]] = field(default_factory=list)
    may_help: bool = False
    changed_only: bool = True

    def add(self, row: Mapping[str, Any]) -> None:
        self.counts[row["status"]] += 1
        self.size += row["size"] or 0
        self.bytes_read += row["bytes_read"]
        if row["status"] == "copied":
            self.copied_size += row["size"]
        elif row["status"] == "failed":
            if row["retryable"]:
                self.may_help = True
                self.changed_only = self.changed_only and has_changed(row)
            if len(self.failures) < MAX_FAILURES:
                self.failures.append(row)

    @property
    def objects(self) -> int:
        return sum(self.counts.values())


class BatchExecution:
    """One execution of a batch. It copies what no earlier execution has done; see :mod:`airflow_s3_azure.sync.claims`.

    Its memory does not grow with the batch, but for the keys of a batch that an earlier execution began.

    :param folder: of the plan that the batch belongs to
    :param try_number: Airflow's, from 1
    :param cleared_at: the first try since the task was last cleared; 1 if it never was
    :param map_index: Airflow's, of the task that copies the batch, for the ledger
    """

    def __init__(
        self,
        reference: BatchReference,
        folder: PlanFolder,
        *,
        try_number: int,
        cleared_at: int = 1,
        map_index: int = -1,
    ) -> None:
        self._reference = reference
        self._folder = folder
        self._attempt = Attempt(try_number, cleared_at)
        self._map_index = map_index
        self._totals = _Totals()
        self._claims = Claims()
        self._has_twin = False
        self._seconds = 0.0
        self._begun_last: str | None = None
        # Before anything else: if another execution begins later, this one can write no more.
        earlier = folder.continue_ledger(reference.part)
        self._has_claims = earlier is not None
        self._is_first = earlier is None and try_number == 1
        self._ledger = earlier or folder.new_ledger(reference.part)

    def copy(
        self,
        source: S3Source,
        container: BlobContainer,
        options: CopyOptions,
        cancellation: Cancellation,
        *,
        max_concurrency: int,
        slice_seconds: float | None = None,
        tell: Callable[[int, int, str | None], None] = lambda *_: None,
        on_result: Callable[[CopyResult], None] = lambda _: None,
    ) -> None:
        """Copy what is still to do, and write the ledger every 15 seconds and at the end, also when cancelled.

        :param slice_seconds: after this time no more is begun
        :param tell: called every two seconds with the objects and bytes that are done, and the key begun last
        :param on_result: called with what became of each object that this execution looked at
        :raises SliceEnded: if ``slice_seconds`` were over before all were copied
        :raises Cancelled: if ``cancellation`` was set
        """
        if not self._is_first:
            self._take_over(source, container, options, cancellation, max_concurrency)
        results = copy_objects(
            self._requests(),
            source,
            container,
            options,
            cancellation,
            max_concurrency=max_concurrency,
            slice_seconds=slice_seconds,
            on_progress=self._progress_reporter(tell),
            progress_interval=PROGRESS_SECONDS,
        )
        started = time.monotonic()
        try:
            self._record(results, on_result)
        except SliceEnded:
            self._keep_changed()
            self._ledger.commit()
            raise
        except BaseException:
            self._keep_changed()
            # Airflow kills a task five seconds after it asked it to end.
            with suppress(TransferError):
                self._ledger.commit(seconds=1)
            raise
        self._ledger.commit()
        self._seconds = time.monotonic() - started

    def _record(self, results: Generator[CopyResult, None, None], on_result: Callable[[CopyResult], None]) -> None:
        """Write each result to the ledger, and commit the ledger every 15 seconds."""
        written = time.monotonic()
        with closing(results):
            for result in results:
                self._note(result)
                on_result(result)
                if time.monotonic() - written > LEDGER_SECONDS:
                    self._ledger.commit()
                    written = time.monotonic()

    def _progress_reporter(self, tell: Callable[[int, int, str | None], None]) -> Callable[[Progress], None]:
        """Return a function that passes on what the pool reports: always to ``tell``, every 10 seconds to the log."""
        done = self._totals.size
        logged = 0.0

        def report(progress: Progress) -> None:
            nonlocal logged
            tell(self._totals.objects, done + progress.size, self._begun_last)
            if progress.seconds >= logged + LOG_SECONDS:
                logged = progress.seconds
                left = progress.describe(self._reference.size - done)
                log.info("%d of %d objects, %s", self._totals.objects, self._reference.objects, left)

        return report

    def summary(self) -> dict[str, Any]:
        """Return the batch's counts by status, its bytes, its first failures and its part of the ledger, for XCom."""
        return {
            "label": self._reference.label,
            "objects": self._reference.objects,
            "size": self._reference.size,
            **self._totals.counts,
            "copied_bytes": self._totals.copied_size,
            "bytes_read": self._totals.bytes_read,
            "seconds": round(self._seconds, 3),
            "failures": [
                {"key": row["key"], "blob": row["blob"], "error": printable(str(row["error"]), MAX_TEXT)}
                for row in self._totals.failures
            ],
            "ledger": {"name": self._folder.part_name(self._reference.part), **self._ledger.fingerprint().as_json()},
        }

    @property
    def has_failures(self) -> bool:
        """Whether any object of the batch failed."""
        return self._totals.counts["failed"] > 0

    def raise_failures(self) -> None:
        """Do nothing, or raise if any object failed.

        :raises BatchFailed: naming the first of them; retryable if a retry can help any of them. It is a
            :class:`BatchChanged` if those are all objects that changed since the plan
        """
        if self.has_failures:
            kind = BatchChanged if self._totals.may_help and self._totals.changed_only else BatchFailed
            raise kind(
                self._reference.objects,
                self._totals.counts["failed"],
                [str(row["error"]) for row in self._totals.failures],
                retryable=self._totals.may_help,
            )

    def _take_over(
        self,
        source: S3Source,
        container: BlobContainer,
        options: CopyOptions,
        cancellation: Cancellation,
        max_concurrency: int,
    ) -> None:
        """Go by what earlier executions did, as far as it is confirmed, and make their ledger this execution's own."""
        reference = self._reference
        if self._has_claims:
            self._claims = confirmed(
                self._folder.read_unconfirmed_ledger(reference.part, reference.objects),
                self._folder.read_manifest(reference),
                Confirmation(
                    self._attempt, source, container, lambda request: options.retry.call(request, cancellation)
                ),
                self._keep,
                max_concurrency=max_concurrency,
            )
        log.info("%d of %d objects already done in an earlier attempt", len(self._claims.settled), reference.objects)
        # An earlier try may only seem dead, on a worker that hangs. When it wakes up it must not write over this.
        self._ledger.commit()

    def _requests(self) -> Iterator[CopyRequest]:
        """Yield what is still to do; called by the workers, one at a time."""
        for request in self._ordered():
            self._begun_last = request.key
            yield request

    def _ordered(self) -> Iterator[CopyRequest]:
        """Yield what is still to do: as planned, or, beside a concurrent writer, shuffled."""
        planned = self._folder.read_manifest(self._reference)
        requests = (self._prepared(request) for request in planned if request.key not in self._claims.settled)
        for request in requests:
            yield request
            if self._has_twin:
                break
        # Another run copies the same keys in the same order: each would read what the other reads. In an order of
        # its own, and looking at each blob first, it reads little twice.
        while window := list(islice(requests, SHUFFLED)):
            random.shuffle(window)
            for request in window:
                yield replace(request, head_first=True)

    def _prepared(self, request: CopyRequest) -> CopyRequest:
        if request.key in self._claims.changed:
            # The plan's version is gone: copy what there is now, onto the blob that the plan saw.
            return replace(request, etag=None, size=None)
        # An earlier execution may have copied it and died before it could say so.
        return replace(request, head_first=True) if not self._is_first else request

    def _keep_changed(self) -> None:
        """Leave it to the next execution that these keys are no longer what was planned: only the ledger knows."""
        for row in self._claims.changed.values():
            self._ledger.write(row)
        self._claims.changed.clear()

    def _note(self, result: CopyResult) -> None:
        self._claims.changed.pop(result.key, None)
        self._keep(ledger_row(result, batch=self._map_index, attempts=self._attempt.try_number))
        if result.status == "unchanged" and self._is_first and not self._has_twin:
            log.info(
                "%r was copied by another run meanwhile; checking each blob before copying from now on", result.key
            )
            self._has_twin = True
        if result.error is not None:
            log.error("%s: %s", type(result.error).__name__, result.error)

    def _keep(self, row: Mapping[str, Any]) -> None:
        self._totals.add(row)
        self._ledger.write(row)
