"""The operator that audits a container: without S3, against the ledgers of its syncs or the records on its blobs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.operators.arguments import check_arguments
from airflow_s3_azure.operators.audit_arguments import AuditArguments
from airflow_s3_azure.operators.connected import CancellableOperator, airflow_failures, folded
from airflow_s3_azure.operators.option_groups import accepts, read_options, templated
from airflow_s3_azure.operators.run_conf import check_run_conf

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_s3_azure.connections import AzureContainer
    from airflow_s3_azure.sync.audit.audited_runs import SyncRun
    from airflow_s3_azure.sync.audit.auditor import Audit

log = get_logger(__name__)


class S3ToAzureAuditOperator(CancellableOperator):
    """Compare a container with what is recorded of it, and fail if any blob is changed or missing. S3 is not needed.

    Every recorded blob must exist with its size, its ETag and its record, by the container's listing. A deep audit also
    reads blobs back: the CRC-64 of their content must be the recorded one. The result of each blob is in the audit's own
    ledger, under ``_s3_to_azure/<dag_id>/<run_id>/`` in the container: ``intact``, ``changed``, ``missing``, or
    ``unknown`` where it cannot be compared, or is in the archive tier. From Airflow 3.3 on, a retry continues where the
    audit stopped.

    Returns the totals to XCom: ``destination``, ``ledger`` and ``totals`` (URLs), ``compare_with``, ``runs`` (whose ledgers
    were the truth, the newest ten; ``is_confirmed`` if their digest is that of the run's report) and ``run_count``, ``objects`` (blobs audited), ``intact``, ``changed``, ``missing``,
    ``unknown``, ``unrecorded`` (blobs of which nothing is recorded), ``read`` (blobs read back), ``bytes_read``,
    ``failures`` and ``unknowns`` (the first ten), ``seconds``.

    :param container_name: container to audit (templated)
    :param wasb_conn_id: Airflow connection to Azure Blob Storage: it reads and lists the container, and writes below
        ``_s3_to_azure/`` (templated)
    :param compare_with: ``"ledger"``: the ledgers of the container's syncs; ``"records"``: the records on the blobs
        themselves, which cannot say what is missing (templated)
    :param ledger: whose ledger: the ID of a DAG; ``<dag_id>/<run_id>`` for one run; or the URL that the report of a run
        has in its XCom. Empty: all syncs of the container (templated)
    :param runs: ``"newest"``: of each sync its newest complete run, which lists every key that it selected; ``"all"``: all
        runs, where each selects other keys, such as those of its day: the newest row decides (templated)
    :param files_digest: of the one run that ``ledger`` names, as its report returned it in XCom. Empty: the digest that this
        Airflow has in the XCom of the run's report, if it still has it (templated)
    :param blob_prefix: only blobs whose name begins with it (templated)
    :param deep: also read blobs back and compare their content; all of them, unless ``sample`` or ``nights`` is given
        (templated)
    :param sample: read only this share of the blobs, such as 0.01 (templated)
    :param seed: chooses the sample: the same seed chooses the same blobs; empty: the ID of the run (templated)
    :param nights: read all blobs over this many nights, each night another part (templated)
    :param night: which part, from 0; None: by the day of the run, so that nightly runs read one part after the other
        (templated)
    :param max_concurrency: ranges that are read at the same time
    :param max_bandwidth: bytes per second that are read at most; None: no limit (templated)
    :param slice: an execution ends cleanly when it has compared blobs for this long, and a later one continues in the same
        try; needs Airflow 3.3
    """

    template_fields: Sequence[str] = templated(AuditArguments)
    ui_color = "#f3eefb"

    @accepts(AuditArguments)
    def __init__(self, *, slice: timedelta | None = None, **kwargs: Any) -> None:  # noqa: A002 - the word for it
        super().__init__(**kwargs)
        check_arguments({"slice": slice})
        self.slice = slice

    def execute(self, context: Context) -> dict[str, Any]:
        """Audit the container. The ledger is written before the task fails."""
        started = datetime.now(UTC)
        with airflow_failures():
            check_run_conf(context)
            arguments = read_options(AuditArguments, self)
            audit, container = self._open(context, arguments, started)
            audit.run(slice_seconds=self._slice_seconds(context))
            totals = {
                "destination": container.blobs.blob_url(arguments.blob_prefix),
                "ledger": audit.ledger_url,
                "compare_with": arguments.compare_with,
                **audit.truth.as_json(),
                **audit.report.as_json(),
                "seconds": round((datetime.now(UTC) - started).total_seconds(), 1),
            }
            url = audit.complete(totals)
        log.info("%s", audit.report.describe())
        log.info("ledger: %s", audit.ledger_url)
        log.info("totals: %s", url)
        if audit.report.failed:
            context["ti"].xcom_push(key="return_value", value=totals)  # a task that fails returns nothing
            with airflow_failures():
                audit.report.raise_failures(audit.ledger_url)
        return totals

    def _open(self, context: Context, arguments: AuditArguments, started: datetime) -> tuple[Audit, AzureContainer]:
        """Open the container and begin the audit, or continue it. After this, the task can be cancelled."""
        from airflow_s3_azure.audit_state import StoredCheckpoints
        from airflow_s3_azure.connections import open_container
        from airflow_s3_azure.engine.bandwidth import Bandwidth
        from airflow_s3_azure.engine.cancellation import Cancellation
        from airflow_s3_azure.sync.audit.auditor import Audit
        from airflow_s3_azure.sync.audit.content_reader import ContentReader, Partial
        from airflow_s3_azure.sync.ledger import ROOT, folder_name

        ti = context["ti"]
        options = arguments.audit_options(ti.run_id, _day(context))
        self._cancellation = cancellation = Cancellation()
        with folded("Connections"):
            container = open_container(arguments.wasb_conn_id, arguments.container_name, cancellation)
        self.container_url = container.blobs.url
        limit = arguments.max_bandwidth

        def new_reader(resumed: Partial | None) -> ContentReader:
            return ContentReader(
                container.blobs,
                cancellation,
                max_concurrency=arguments.max_concurrency,
                bandwidth=None if limit is None else Bandwidth(limit, cancellation),
                resumed=resumed,
            )

        audit = Audit(
            container.client,
            container.blobs,
            options,
            StoredCheckpoints(context),
            cancellation,
            new_folder=lambda: f"{ROOT}/{ti.dag_id}/{ti.run_id}/{ti.task_id}/{folder_name(started, ti.map_index)}",
            reported_digest=partial(_reported_digest, ti),
            new_reader=new_reader,
        )
        self.ledger_url = audit.ledger_url
        return audit, container

    def _slice_seconds(self, context: Context) -> float | None:
        """Return the time of an execution; None where a later one could not continue: before Airflow 3.3."""
        if self.slice is None or context.get("task_state_store") is None:
            return None
        return self.slice.total_seconds()


def _reported_digest(ti: Any, run: SyncRun) -> str | None:
    """Return the digest of a run's files from the XCom of its report; None if this Airflow has none."""
    try:
        found = ti.xcom_pull(dag_id=run.dag_id, run_id=run.run_id, task_ids=f"{run.group_id}.report")
    except Exception as error:
        log.warning("the report of run %r cannot be read from XCom: %s", run.run_id, type(error).__name__)
        return None
    digest = found.get("files_digest") if isinstance(found, dict) else None
    return None if digest is None else str(digest)


def _day(context: Context) -> date:
    """Return the day of a run: that on which its data interval ended, or on which it was due."""
    run = context["dag_run"]
    return (getattr(run, "data_interval_end", None) or run.run_after).date()
