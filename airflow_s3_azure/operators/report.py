"""The operator that reports what became of a plan."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowFailException

from airflow_s3_azure.operators.connected import ConnectedOperator, airflow_failures
from airflow_s3_azure.operators.plan import PLAN_KEY

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)


class S3ToAzureReportOperator(ConnectedOperator):
    """Add up the ledger of a plan, write ``summary.json``, and fail if any key failed or is not accounted for.

    Returns the totals to XCom: ``objects``, ``copied``, ``unchanged``, ``skipped``, ``failed``, ``missing``,
    ``copied_bytes``, ``bytes_read``, ``verified``, ``failures`` (the first ten), ``ledger`` (its URL).

    :param plan_task_id: the task that made the plan
    """

    template_fields: Sequence[str] = ("s3_bucket", "container_name", "aws_conn_id", "wasb_conn_id")
    ui_color = "#eef7ee"

    def __init__(self, *, plan_task_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan_task_id = plan_task_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Report; the run's colour is this task's."""
        from airflow_s3_azure.sync.ledger import PlanFolder
        from airflow_s3_azure.sync.report import Report

        ti = context["ti"]
        plan = ti.xcom_pull(task_ids=self.plan_task_id, key=PLAN_KEY)
        if plan is None:
            raise AirflowFailException(f"task {self.plan_task_id} made no plan, so nothing was copied; see its log")
        with airflow_failures():
            container, _ = self._open_destination()
            folder = PlanFolder(container.client, plan["folder"])
            self.ledger_url = f"{folder.url}ledger/"
            report = Report(planned=plan["objects"])
            report.add(folder.read_whole_ledger())
            summary = report.as_json() | {"ledger": f"{folder.url}ledger/"}
            folder.write_summary(summary)
        log.info("result of the run, in %s\n%s", summary["ledger"], report.table())
        if not report.is_good:
            ti.xcom_push(key="return_value", value=summary)  # a task that fails returns nothing
            raise AirflowFailException(f"{report.verdict()}\nledger: {summary['ledger']}")
        return summary
