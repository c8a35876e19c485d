"""Executes one batch: open requests go to the worker pool, their results to the ledger."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import (
    BatchChanged,
    BatchFailed,
    SliceEnded,
    SourceArchived,
    TransferError,
    class_name,
)
from airflow_s3_azure.engine.model import CopyRequest, CopyResult
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.pool import copy_objects
from airflow_s3_azure.engine.progress import Progress
from airflow_s3_azure.engine.quoting import MAX_TEXT, get_logger, printable_error
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.sync.claims import Attempt, Claims, Confirmation, confirmed, has_changed
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.references import BatchReference
from airflow_s3_azure.sync.restores import Restores
from airflow_s3_azure.sync.rows import ledger_row
from airflow_s3_azure.sync.run_report import MAX_FAILURES

log = get_logger(__name__)

PROGRESS_SECONDS = 2.0
"""Interval of the progress reports of a batch."""
LOG_SECONDS = 10.0
"""Interval of the progress lines in the log."""
LEDGER_SECONDS = 15.0
"""Interval of ledger commits. Results that a killed try did not commit are found again by a HEAD of each blob."""
SHUFFLE_WINDOW = 10_000
"""Requests shuffled at a time beside a concurrent writer."""


@dataclass(slots=True)
class _Totals:
    """The totals of a batch's ledger rows."""

    counts: dict[str, int] = field(default_factory=lambda: {"copied": 0, "unchanged": 0, "skipped": 0, "failed": 0})
    size: int = 0
    copied_size: int = 0
    bytes_read: int = 0
    failures: list[Mapping[str, Any]] = field(default_factory=list)
    is_retryable: bool = False
    changed_only: bool = True

    def add(self, row: Mapping[str, Any]) -> None:
        self.counts[row["status"]] += 1
        self.size += row["size"] or 0
        self.bytes_read += row["bytes_read"]
        if row["status"] == "copied":
            self.copied_size += row["size"]
        elif row["status"] == "failed":
            if row["retryable"]:
                self.is_retryable = True
                self.changed_only = self.changed_only and has_changed(row)
            if len(self.failures) < MAX_FAILURES:
                self.failures.append(row)

    @property
    def objects(self) -> int:
        return sum(self.counts.values())


class BatchExecution:
    """One execution of a batch. It copies what no earlier execution copied; see :mod:`airflow_s3_azure.sync.claims`.

    Memory: independent of the batch's size in the first execution; in later ones, the requests of the batch.

    :param folder: the folder of the batch's plan
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
        self._restores: Restores | None = None
        self._archived: list[CopyResult] = []
        self.waiting: set[str] = set()
        """Keys of archived objects whose copy waits for their restore."""
        self._has_concurrent_writer = False
        self._seconds = 0.0
        self._started_last: str | None = None
        # The ETag is read first: if another execution begins later, this one's next commit fails.
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
        slice_seconds: float | None = None,
        restores: Restores | None = None,
        check: Callable[[CopyRequest], None] = lambda _: None,
        on_progress: Callable[[Progress, str | None], None] = lambda *_: None,
        on_result: Callable[[CopyResult], None] = lambda _: None,
    ) -> None:
        """Copy what is still to do, and write the ledger every 15 seconds and at the end, also when cancelled.

        :param slice_seconds: after this time no further object is started
        :param restores: of archived objects, whose copies wait for them; None: archived objects are not restored
        :param check: called with each open request before its copy starts; what it raises ends the execution
        :param on_progress: called every two seconds with the batch's progress, and the key started last
        :param on_result: called with the result of each object that this execution processed
        :raises SliceEnded: if ``slice_seconds`` passed before all objects were copied
        :raises Cancelled: if ``cancellation`` was set
        """
        if not self._is_first:
            self._resume(source, container, options, cancellation)
        self._restores = restores
        if restores is not None:
            self._hold(restores)
        results = copy_objects(
            self._requests(check),
            source,
            container,
            options,
            cancellation,
            slice_seconds=slice_seconds,
            on_progress=self._progress_reporter(on_progress),
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
            # Airflow sends SIGKILL five seconds after SIGTERM.
            with suppress(TransferError):
                self._ledger.commit(seconds=1)
            raise
        if self._restores is not None and self._archived:
            self._restore_found(self._restores)
        self._ledger.commit()
        self._seconds = time.monotonic() - started

    def _record(self, results: Generator[CopyResult, None, None], on_result: Callable[[CopyResult], None]) -> None:
        """Write each result to the ledger, and commit the ledger every 15 seconds."""
        written = time.monotonic()
        with closing(results):
            for result in results:
                if self._restores is not None and isinstance(result.error, SourceArchived):
                    self._archived.append(result)  # the listing did not show it: a tier of Intelligent-Tiering
                    continue
                self._add_result(result)
                on_result(result)
                if time.monotonic() - written > LEDGER_SECONDS:
                    self._ledger.commit()
                    written = time.monotonic()

    def _progress_reporter(self, on_progress: Callable[[Progress, str | None], None]) -> Callable[[Progress], None]:
        """Return a function that adds what earlier executions did to the pool's progress, and reports and logs it."""
        done = self._totals.size
        logged = 0.0

        def report(progress: Progress) -> None:
            nonlocal logged
            whole = Progress(
                self._totals.objects,
                done + progress.size,
                self._reference.size,
                progress.seconds,
                done + progress.resumed,
            )
            on_progress(whole, self._started_last)
            if whole.seconds >= logged + LOG_SECONDS:
                logged = whole.seconds
                log.info("%d of %d objects, %s", whole.objects, self._reference.objects, whole.describe())

        return report

    def summary(self) -> dict[str, Any]:
        """Return the batch's totals, first failures, and the fingerprint of its part of the ledger, for XCom."""
        return {
            "label": self._reference.label,
            "objects": self._reference.objects,
            "size": self._reference.size,
            **self._totals.counts,
            "copied_bytes": self._totals.copied_size,
            "bytes_read": self._totals.bytes_read,
            "seconds": round(self._seconds, 3),
            "failures": [
                {"key": row["key"], "blob": row["blob"], "error": printable_error(str(row["error"]), MAX_TEXT)}
                for row in self._totals.failures
            ],
            "ledger": {"name": self._ledger.name, **self._ledger.fingerprint().as_json()},
        }

    @property
    def ledger_name(self) -> str:
        """The blob name of the batch's part of the ledger."""
        return self._ledger.name

    @property
    def has_failures(self) -> bool:
        """Whether any object of the batch failed."""
        return self._totals.counts["failed"] > 0

    def raise_failures(self) -> None:
        """Raise if any object failed.

        :raises BatchFailed: naming the first of them; retryable if a retry can help any of them. It is a
            :class:`BatchChanged` if those are all objects that changed since the plan
        """
        if self.has_failures:
            kind = BatchChanged if self._totals.is_retryable and self._totals.changed_only else BatchFailed
            raise kind(
                self._reference.objects,
                self._totals.counts["failed"],
                [str(row["error"]) for row in self._totals.failures],
                retryable=self._totals.is_retryable,
            )

    def _resume(
        self,
        source: S3Source,
        container: BlobContainer,
        options: CopyOptions,
        cancellation: Cancellation,
    ) -> None:
        """Reuse the confirmed rows of earlier executions, and claim their part of the ledger."""
        reference = self._reference
        if self._has_claims:
            self._claims = confirmed(
                self._folder.read_unconfirmed_ledger(reference.part, reference.objects),
                self._folder.read_manifest(reference),
                Confirmation(
                    self._attempt, source, container, lambda request: options.retry.call(request, cancellation)
                ),
                self._keep,
                max_concurrency=options.max_concurrency,
            )
        log.info("%d of %d objects already done in an earlier attempt", len(self._claims.done), reference.objects)
        # An earlier try may still run on a worker that hangs. This commit changes the ETag that its commits require.
        self._ledger.commit()

    def _requests(self, check: Callable[[CopyRequest], None]) -> Iterator[CopyRequest]:
        """Yield the open requests; called by the workers, one at a time."""
        for request in self._ordered():
            check(request)
            self._started_last = request.key
            yield request

    def _ordered(self) -> Iterator[CopyRequest]:
        """Yield the open requests in the plan's order, and beside a concurrent writer shuffled."""
        planned = self._folder.read_manifest(self._reference)
        requests = (self._prepared(request) for request in planned if self._is_open(request))
        for request in requests:
            yield request
            if self._has_concurrent_writer:
                break
        # A concurrent writer copies the same keys in the same order, so both would read every object. With a random
        # order and a HEAD of each blob first, few objects are read twice.
        while window := list(islice(requests, SHUFFLE_WINDOW)):
            random.shuffle(window)
            for request in window:
                yield replace(request, head_first=True)

    def _is_open(self, request: CopyRequest) -> bool:
        return request.key not in self._claims.done and request.key not in self.waiting

    def _hold(self, restores: Restores) -> None:
        """Leave out the objects that wait for a restore; those whose restore was refused have failed."""
        planned = {one.key: one for one in self._folder.read_manifest(self._reference) if one.is_archived}
        held = restores.hold(request for key, request in planned.items() if key not in self._claims.done)
        self._wait_for((planned[key], error) for key, error in held.items())

    def _restore_found(self, restores: Restores) -> None:
        """Request the restores of objects that were found to be archived when they were read."""
        found = {one.key: CopyRequest(one.key, one.blob, one.size, one.etag, one.version_id) for one in self._archived}
        self._wait_for((found[key], error) for key, error in restores.request(found.values()).items())

    def _wait_for(self, held: Iterable[tuple[CopyRequest, TransferError | None]]) -> None:
        for request, error in held:
            if error is None:
                self.waiting.add(request.key)
                continue
            self._claims.done.add(request.key)
            self._add_result(
                CopyResult(request.key, request.blob, "failed", size=request.size, etag=request.etag, error=error)
            )

    def _prepared(self, request: CopyRequest) -> CopyRequest:
        if request.key in self._claims.changed:
            # The planned version is gone: copy the current one. The precondition on the blob still holds.
            return replace(request, etag=None, size=None)
        # An earlier execution may have copied it and been killed before it committed the ledger.
        return replace(request, head_first=True) if not self._is_first else request

    def _keep_changed(self) -> None:
        """Keep the rows of changed keys for the next execution, which learns of them only from the ledger."""
        for row in self._claims.changed.values():
            self._ledger.write(row)
        self._claims.changed.clear()

    def _add_result(self, result: CopyResult) -> None:
        self._claims.changed.pop(result.key, None)
        self._keep(ledger_row(result, batch=self._map_index, attempts=self._attempt.try_number))
        is_adopted = result.reason is not None  # only an adopted blob has one in a copy task
        if result.status == "unchanged" and not is_adopted and self._is_first and not self._has_concurrent_writer:
            log.info("%r was copied by a concurrent writer; checking each blob before copying from now on", result.key)
            self._has_concurrent_writer = True
        if result.error is not None:
            log.error("%s: %s", class_name(result.error), result.error)

    def _keep(self, row: Mapping[str, Any]) -> None:
        self._totals.add(row)
        self._ledger.write(row)
