"""The operator that copies one batch of a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.operators.connected import CopyingOperator, airflow_failures
from airflow_s3_azure.operators.option_groups import read_options, templated

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_s3_azure.engine.errors import S3ToAzureError
    from airflow_s3_azure.engine.progress import Progress
    from airflow_s3_azure.sync.references import BatchReference

log = get_logger(__name__)


class S3ToAzureCopyBatchOperator(CopyingOperator):
    """Copy one batch of a plan in a bounded worker pool, and write its part of the ledger.

    A failed object does not stop the others. The task fails at its end if any object failed; a retry copies only the
    open objects. Returns a summary to XCom: ``label``, ``objects``, ``size``, counts by status, ``copied_bytes``,
    ``bytes_read``, ``seconds``, ``ended_at``, ``failures`` (the first ten), ``ledger`` (the fingerprint of its part).

    The options of the copy are those of :class:`~airflow_s3_azure.operators.S3ToAzureBlobStreamOperator`.

    With ``archived="restore"`` the task requests the restores, copies what can be read, and waits in the triggerer until further
    objects are restored. With ``deferrable=True`` too, all of that is done in the triggerer.

    :param batch: the plan's reference of this batch; mapped, and never rendered as a template
    :param approve_task_id: the task that decided on the restores; without its approval, archived objects are skipped
    """

    template_fields: Sequence[str] = templated(Endpoints, CopyOptions)
    ui_color = "#e8f1fb"

    def __init__(self, *, batch: Mapping[str, Any], approve_task_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch = batch
        self.approve_task_id = approve_task_id

    @property
    def map_label(self) -> str:
        """Label of the mapped task in the UI: what the batch copies."""
        from airflow_s3_azure.engine.errors import PlanError
        from airflow_s3_azure.sync.references import BatchReference

        try:
            return BatchReference.from_json(self.batch, "").label
        except PlanError:  # as an earlier version made it; the task fails with this error
            return str(self.task_id)

    def execute(self, context: Context) -> dict[str, Any]:
        """Copy the objects of the batch that its ledger does not have yet."""
        from airflow_s3_azure.connections import request_check
        from airflow_s3_azure.engine.errors import S3ToAzureError
        from airflow_s3_azure.live_progress import LiveProgress
        from airflow_s3_azure.metrics import CopyMetrics
        from airflow_s3_azure.sync.execution import BatchExecution
        from airflow_s3_azure.sync.ledger import PlanFolder, run_folder
        from airflow_s3_azure.sync.references import BatchReference
        from airflow_s3_azure.sync.restores import Restores

        with airflow_failures():
            ti = context["ti"]
            run = run_folder(ti.dag_id, ti.run_id)
            reference = BatchReference.from_json(self.batch, run)
            execution: dict[str, int] = {
                "try_number": ti.try_number,
                # Clearing a task that has ended keeps its try number and allows `retries` more tries; of a running
                # one, Airflow changes only the state, so the next try is a retry.
                "cleared_at": max(1, ti.max_tries - (self.retries or 0) + 1),
                "map_index": -1 if ti.map_index is None else ti.map_index,
            }
            options = self._approved(ti, reference, self._copy_options())
            if self.deferrable:
                from airflow_s3_azure.triggers import ServerSideBatchTrigger

                work = {"batch": dict(self.batch), "run_folder": run, **execution}
                self._defer(ServerSideBatchTrigger, options, "execute_complete", **work)
            bucket, container, cancellation = self._open(options)
            folder = PlanFolder(container.client, reference.folder, cancellation)
            batch = BatchExecution(reference, folder, **execution)
            self.ledger_url = folder.blob_url(batch.ledger_name)
            log.info("batch %d: %s", reference.index, reference.label)
            with (
                CopyMetrics(ti) as metrics,
                LiveProgress(context, objects=reference.objects, size=reference.size) as live,
            ):

                def on_progress(progress: Progress, current: str | None) -> None:
                    live.update(progress.objects, progress.size, current, resumed=progress.resumed)

                batch.copy(
                    bucket.source,
                    container.blobs,
                    options,
                    cancellation,
                    slice_seconds=self._slice_seconds(),
                    restores=Restores.if_wanted(bucket.client, bucket.source, options, cancellation),
                    check=request_check(read_options(Endpoints, self), bucket, container),
                    on_progress=on_progress,
                    on_result=metrics.add,
                )
            if batch.waiting:
                self._wait(context, len(batch.waiting))
            failures: S3ToAzureError | None = None
            try:
                batch.raise_failures()
            except S3ToAzureError as error:
                failures = error
        return _end(context, reference.index, batch.summary(), failures)

    def _approved(self, ti: Any, reference: BatchReference, options: CopyOptions) -> CopyOptions:
        """Return the options; without an approval of this plan's restores, archived objects are skipped."""
        from airflow_s3_azure.operators.restore import APPROVED_KEY

        if options.archived != "restore" or self.approve_task_id is None:
            return options
        if reference.folder in (ti.xcom_pull(task_ids=self.approve_task_id, key=APPROVED_KEY) or ()):
            return options
        log.warning("the restore of archived objects was not approved: they are skipped")
        return replace(options, archived="skip")

    def _wait(self, context: Context, waiting: int) -> NoReturn:
        """Defer until some of the objects that wait are restored."""
        from airflow_s3_azure.sync.ledger import run_folder
        from airflow_s3_azure.triggers import RestoreTrigger

        log.info("keys that wait for the restore of archived objects: %s; all others are done", f"{waiting:,}")
        ti = context["ti"]
        work = {"batch": dict(self.batch), "run_folder": run_folder(ti.dag_id, ti.run_id), "waiting": waiting}
        self._defer(RestoreTrigger, self._copy_options(), "execute_restored", **work)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Return the result of the trigger's copy; errors are those of :meth:`execute`."""
        from airflow_s3_azure.engine.errors import error_from_json

        with airflow_failures():
            outcome = self._outcome(context, event)
            self.ledger_url = outcome["ledger_url"]
            if waiting := outcome.get("waiting"):  # a trigger of an earlier version does not say
                self._wait(context, waiting)
        failures = error_from_json(outcome["failures"]) if "failures" in outcome else None
        return _end(context, self.batch["index"], outcome["summary"], failures)


def _end(context: Context, index: int, summary: dict[str, Any], failures: S3ToAzureError | None) -> dict[str, Any]:
    """Log and return a batch's summary, or raise what failed."""
    from airflow_s3_azure.engine.progress import duration_text, size_text

    summary = summary | {"ended_at": datetime.now(UTC).isoformat(timespec="milliseconds")}
    log.info(
        "batch %d: %s copied, %s unchanged, %s skipped, %s failed; %s in %s",
        index,
        *(f"{summary[status]:,}" for status in ("copied", "unchanged", "skipped", "failed")),
        size_text(summary["copied_bytes"]),
        duration_text(summary["seconds"]),
    )
    if failures is not None:
        context["ti"].xcom_push(key="return_value", value=summary)  # a task that fails returns nothing
        with airflow_failures():
            raise failures
    return summary
