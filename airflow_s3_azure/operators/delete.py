"""The operators of a mirror: a human's approval, and the deletion of blobs whose key is gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from inspect import signature
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.options import DEFAULT_CONCURRENCY
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.operators.connected import ConnectedOperator, airflow_failures
from airflow_s3_azure.operators.options import templated
from airflow_s3_azure.operators.plan import plans_of

if TYPE_CHECKING:
    from airflow.sdk import Context

log = get_logger(__name__)

# Before its 1.12.3 the standard provider took the execution's time limit for the answer's.
_TIMEOUT = (
    "response_timeout" if "response_timeout" in signature(HITLOperator.__init__).parameters else "execution_timeout"
)

SHOWN = 10
"""How many prefixes an approval names."""


class S3ToAzureApproveDeleteOperator(ApprovalOperator):
    """Ask a human, in Airflow's UI, whether the blobs that a plan found without a key may be deleted.

    Asks nothing where there is nothing to delete, or nothing may be deleted. Without an answer within
    ``response_timeout`` it is a refusal.

    :param plan_task_id: the task that made the plan, or put several together
    :param response_timeout: how long to wait for an answer
    """

    def __init__(self, *, plan_task_id: str, response_timeout: timedelta, **kwargs: Any) -> None:
        kwargs[_TIMEOUT] = response_timeout
        super().__init__(subject="Delete blobs whose S3 key is gone?", defaults=self.REJECT, **kwargs)
        self.plan_task_id = plan_task_id

    def execute(self, context: Context) -> Any:
        """Ask, or say that there is nothing to ask."""
        plans = [one for one in plans_of(context["ti"], self.plan_task_id) if one["extra"] and not one["dry_run"]]
        if not plans or any(plan["delete_refused"] for plan in plans):
            log.info("there is nothing to delete, or nothing may be deleted, so nobody is asked")
            return None
        extra = sum(plan["extra"] for plan in plans)
        self.body = "\n".join(
            [
                f"**{extra:,} blobs** were copied from S3, and their keys are no longer there:",
                "",
                *(f"* {plan['extra']:,} in `{plan['destination']}`" for plan in plans[:SHOWN]),
                "",
                *(f"The list: `{plan['ledger'].removesuffix('ledger/')}delete.jsonl`" for plan in plans[:SHOWN]),
            ]
        )
        return super().execute(context)


class S3ToAzureDeleteOperator(ConnectedOperator):
    """Delete the blobs that a plan found without a key, each only if it is still as the plan saw it.

    Returns to XCom how many were ``deleted``, ``kept`` because they changed, and ``failed``.

    :param plan_task_id: the task that made the plan, or put several together
    """

    template_fields: Sequence[str] = templated(Endpoints)
    ui_color = "#fdecea"

    def __init__(self, *, plan_task_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan_task_id = plan_task_id

    def execute(self, context: Context) -> dict[str, int]:
        """Delete, and write it into the ledger.

        :raises AirflowFailException: if the plan says that nothing may be deleted
        :raises DestinationWriteError: if any blob could not be deleted; a retry may help
        """
        from airflow_s3_azure.engine.errors import DestinationWriteError
        from airflow_s3_azure.metrics import send_counts
        from airflow_s3_azure.sync.delete import delete_blobs
        from airflow_s3_azure.sync.ledger import PlanFolder

        ti = context["ti"]
        counts = Counter({"deleted": 0, "kept": 0, "failed": 0})
        with airflow_failures():
            container, cancellation = self._open_destination()
            plans = [one for one in plans_of(ti, self.plan_task_id) if one["extra"] and not one["dry_run"]]
            refusals = [plan["delete_refused"] for plan in plans if plan["delete_refused"]]
            if refusals:
                raise AirflowFailException("nothing was deleted: " + "; ".join(refusals))
            for plan in plans:
                folder = PlanFolder(container.client, plan["folder"])
                ledger = folder.new_ledger("delete", None)
                try:
                    for row in delete_blobs(
                        container.client,
                        folder.read_deletions(),
                        cancellation,
                        max_concurrency=DEFAULT_CONCURRENCY,
                        attempts=ti.try_number,
                    ):
                        counts[row["status"]] += 1
                        ledger.write(row)
                        if row["error"]:
                            log.error("%s", row["error"])
                finally:
                    ledger.commit()
            send_counts(ti, {"objects.deleted": counts["deleted"]})
            log.info("%s blobs deleted, %s kept, %s failed", *(f"{counts[name]:,}" for name in counts))
            if counts["failed"]:
                ti.xcom_push(key="return_value", value=dict(counts))  # a task that fails returns nothing
                raise DestinationWriteError(f"{counts['failed']:,} blobs could not be deleted; the ledger says why")
        return dict(counts)
