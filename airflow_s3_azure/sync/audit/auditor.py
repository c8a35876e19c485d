"""Audits a container: compares each blob with what is recorded of it, and writes the audit's ledger.

Every step is a stream in the order of the blobs' names. So memory does not grow with their number, and an execution that
was stopped is continued after the last name of its ledger.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import ConfigurationError, SliceEnded, TransferError, UntrustedFile
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.sync.audit.audit_ledger import (
    PARTIAL,
    AuditFolder,
    Checkpoint,
    Checkpoints,
    partial_of,
    partial_row,
)
from airflow_s3_azure.sync.audit.audit_report import AuditReport
from airflow_s3_azure.sync.audit.audited_blobs import Recorded, Truth, recorded_blobs
from airflow_s3_azure.sync.audit.audited_runs import SyncRun, confirmed_run, find_runs, ledger_prefix
from airflow_s3_azure.sync.audit.content_reader import ContentReader, Partial
from airflow_s3_azure.sync.audit.findings import AuditedBlob, compare_listed
from airflow_s3_azure.sync.audit.sampling import Sampling
from airflow_s3_azure.sync.audit.truth import CompareWith, Runs
from airflow_s3_azure.sync.join import OutOfOrder
from airflow_s3_azure.sync.rows import JsonObject

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from airflow_s3_azure.engine.azure.container import BlobContainer

log = get_logger(__name__)

COMMIT_SECONDS = 15.0
"""Interval of ledger commits."""
LOG_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """What is audited.

    :param compare_with: what is the truth: the ledgers of syncs, or the records on the blobs, which cannot say what is
        missing
    :param ledger: the ID of a DAG, ``<dag_id>/<run_id>``, or the URL of a ledger; empty: all syncs of the container
    :param runs: of each sync its newest complete run, or all of them
    :param files_digest: of the one run, as its report returned it; empty: unknown
    :param blob_prefix: only blobs whose name begins with it
    :param sampling: whose content is read; None: nobody's
    """

    compare_with: CompareWith = "ledger"
    ledger: str = ""
    runs: Runs = "newest"
    files_digest: str = ""
    blob_prefix: str = ""
    sampling: Sampling | None = None


class Audit:
    """One execution of an audit. It continues an earlier one from its checkpoint.

    Memory: that of a sort, for any number of blobs.

    :param client: of the container
    :param blobs: the same container, to list it
    :param new_folder: returns a name for the folder of an audit that begins
    :param reported_digest: returns the digest that the report of a run returned, from outside of the container; None: unknown
    :param new_reader: returns a reader of content, which continues with a blob of which an earlier execution read a part
    """

    def __init__(
        self,
        client: ContainerClient,
        blobs: BlobContainer,
        options: AuditOptions,
        checkpoints: Checkpoints,
        cancellation: Cancellation,
        *,
        new_folder: Callable[[], str],
        reported_digest: Callable[[SyncRun], str | None],
        new_reader: Callable[[Partial | None], ContentReader],
    ) -> None:
        self._client = client
        self._blobs = blobs
        self._options = options
        self._checkpoints = checkpoints
        self._cancellation = cancellation
        self.report = AuditReport()
        self._new_reader = new_reader
        self._reported_digest = reported_digest
        self._resumed_after: str | None = None
        self._partial: Partial | None = None
        self._slice_seconds: float | None = None
        self._end: float | None = None
        self._folder, self._checkpoint = self._begin(new_folder)
        self._ledger = self._folder.writer()
        self.truth = self._truth()

    @property
    def ledger_url(self) -> str:
        """The URL of the audit's ledger, without any credential."""
        return self._folder.ledger_url

    def run(self, *, slice_seconds: float | None = None) -> None:
        """Compare what is still to do, and commit the ledger every 15 seconds and at the end, also when cancelled.

        :param slice_seconds: the execution ends when it has compared for this long. To reach the first blob that is still
            to do, each execution reads and sorts the ledgers again, which for millions of blobs may take longer
        :raises SliceEnded: if ``slice_seconds`` passed before all blobs were compared
        :raises Cancelled: if ``cancellation`` was set
        :raises UntrustedFile: if a ledger is not what its sync wrote
        """
        self._slice_seconds = slice_seconds
        self._resume()
        while True:
            try:
                self._compare()
                break
            except OutOfOrder:
                log.info("the container does not list in the order of its names: listing again with an external sort")
                self._start_over(is_sorted=False)
        self._commit()

    def complete(self, totals: dict[str, Any]) -> str:
        """Write the totals next to the ledger, and forget the checkpoint; return the URL of the totals."""
        url = self._folder.write_totals(totals)
        self._checkpoints.clear()
        return url

    def _begin(self, new_folder: Callable[[], str]) -> tuple[AuditFolder, Checkpoint]:
        """Return the folder and the checkpoint of an earlier execution; if there is none, new ones."""
        audit = sha256(repr(self._options).encode("utf-8", "surrogatepass")).hexdigest()
        found = self._checkpoints.load()
        if found is None or found.audit != audit:
            found = Checkpoint(new_folder(), audit)
        return AuditFolder(self._client, found.folder, self._cancellation), found

    def _truth(self) -> Truth:
        options = self._options
        if options.compare_with == "records":
            return Truth(None, options.blob_prefix)
        prefix = ledger_prefix(options.ledger)
        # An execution that continues compares with the same runs, even if another one was completed since.
        runs = find_runs(self._client, self._blobs, prefix, options.runs, self._checkpoint.until)
        self._checkpoint = replace(self._checkpoint, until=runs[-1][0].plan)
        if options.files_digest and len(runs) > 1:
            raise ConfigurationError(
                f"files_digest is that of one run, but the ledgers of {len(runs):,} runs are compared; name the run in ledger"
            )
        # A run that was cleared has several plans; its report returned the digest of the newest.
        newest = {run.group_folder: run for run, _ in runs}
        confirmed = [
            confirmed_run(run, summary, self._trusted_digest(run) if newest[run.group_folder] is run else None)
            for run, summary in runs
        ]
        return Truth(confirmed, options.blob_prefix)

    def _trusted_digest(self, run: SyncRun) -> str | None:
        return self._options.files_digest or self._reported_digest(run)

    def _resume(self) -> None:
        """Keep the confirmed rows of earlier executions."""
        try:
            for row in self._folder.confirmed_rows(self._checkpoint):
                # A blob of which a part was read is not done. Only the last row is still of use.
                self._partial = partial_of(row) if row["status"] == PARTIAL else None
                if self._partial is None:
                    self._add(row)
                    self._resumed_after = row["blob"]
        except UntrustedFile as error:
            log.warning("the audit starts over, because its ledger is not what it wrote: %s", error)
            self._start_over(is_sorted=self._checkpoint.is_sorted)
        if self._resumed_after is not None:
            log.info("%s blobs already compared in an earlier execution", f"{self.report.objects:,}")

    def _start_over(self, *, is_sorted: bool) -> None:
        self.report = AuditReport()
        self._ledger = self._folder.writer()
        self._resumed_after = self._partial = None
        self._checkpoint = replace(self._checkpoint, stop=0, digest="", rows=0, is_sorted=is_sorted)

    def _compare(self) -> None:
        """Compare all blobs after the resumed ones."""
        self._end = None
        self.report.unrecorded = 0
        reader = self._new_reader(self._partial)
        try:
            with recorded_blobs(
                self._client,
                self._blobs,
                self.truth,
                self._folder,
                self._cancellation,
                is_sorted=self._checkpoint.is_sorted,
            ) as recorded:
                self._record(self._results(recorded, reader))
        except OutOfOrder:
            raise
        except SliceEnded:
            self._stop(reader, seconds=None)
            raise
        except BaseException:
            # Airflow sends SIGKILL five seconds after SIGTERM.
            with suppress(TransferError):
                self._stop(reader, seconds=1)
            raise

    def _record(self, results: Generator[AuditedBlob, None, None]) -> None:
        """Write each result to the ledger, and commit the ledger every 15 seconds."""
        committed = logged = time.monotonic()
        with closing(results):
            for result in results:
                self._add(result.as_json())
                now = time.monotonic()
                if now >= logged + LOG_SECONDS:
                    logged = now
                    log.info("%s so far", self.report.describe())
                if now >= committed + COMMIT_SECONDS:
                    committed = now
                    self._commit()
                if self._is_over():
                    raise SliceEnded("the slice ended before all blobs were compared; the next one continues")

    def _results(self, recorded: Iterable[Recorded], reader: ContentReader) -> Generator[AuditedBlob, None, None]:
        """Return the results of the blobs that are recorded and not resumed."""
        results = self._listed_results(recorded)
        sampling = self._options.sampling
        if sampling is None:
            return results
        return reader.read(results, sampling.__contains__, self._is_over)

    def _listed_results(self, recorded: Iterable[Recorded]) -> Generator[AuditedBlob, None, None]:
        after = self._resumed_after
        for name, expected, blob in recorded:
            if expected is None:
                self.report.unrecorded += 1
            elif after is None or name > after:
                if self._end is None and self._slice_seconds is not None:
                    self._end = time.monotonic() + self._slice_seconds
                yield compare_listed(name, expected, blob)

    def _add(self, row: JsonObject) -> None:
        self.report.add(row)
        self._ledger.write(row)

    def _stop(self, reader: ContentReader, *, seconds: int | None) -> None:
        """Commit what a later execution continues from."""
        if reader.partial is not None:
            self._ledger.write(partial_row(reader.partial))
        self._commit(seconds=seconds)

    def _commit(self, *, seconds: int | None = None) -> None:
        self._ledger.commit(seconds=seconds)
        self._checkpoint = replace(
            self._checkpoint,
            stop=self._ledger.position,
            digest=self._ledger.fingerprint().digest,
            rows=self._ledger.rows,
        )
        self._checkpoints.save(self._checkpoint)

    def _is_over(self) -> bool:
        return self._end is not None and time.monotonic() >= self._end
