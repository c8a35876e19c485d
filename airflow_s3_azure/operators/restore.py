"""The operator that asks a human whether archived objects may be restored, which AWS charges for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator

from airflow_s3_azure.engine.progress import count_text, size_text
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.operators.approval import SHOWN, SUBMITTED_KEY, TIMEOUT, check_shown, code
from airflow_s3_azure.operators.arguments import read_argument
from airflow_s3_azure.operators.connected import airflow_failures
from airflow_s3_azure.operators.plan import plans_of
from airflow_s3_azure.values import size

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["S3ToAzureApproveRestoreOperator"]

log = get_logger(__name__)

APPROVE, REJECT = "Approve", "Reject"
APPROVED_KEY = "restores"
"""XCom key of the folders of the plans whose restores are approved."""


class S3ToAzureApproveRestoreOperator(HITLOperator):
    """Request a human's approval, in Airflow's UI, to restore the archived objects of a plan.

    If there are none, or no more than ``approve_above``, no approval is requested. No response within ``response_timeout`` is a
    rejection; then the archived objects are skipped, and all others are copied. The folders of the approved plans are in XCom under
    the key ``restores``.

    :param plan_task_id: the task that made the plan, or put several together
    :param archived: of the sync (templated)
    :param approve_above: bytes that may be restored without an approval; None: any number (templated)
    :param response_timeout: how long to wait for a response
    :param assigned_users: who may respond, such as ``{"id": "1", "name": "admin"}``, or a list of such; None: anyone who
        may edit the task instance
    """

    template_fields: Sequence[str] = (*HITLOperator.template_fields, "archived", "approve_above")

    def __init__(
        self,
        *,
        plan_task_id: str,
        response_timeout: timedelta,
        archived: str = "restore",
        approve_above: float | str | None = 0,
        **kwargs: Any,
    ) -> None:
        kwargs[TIMEOUT] = response_timeout
        super().__init__(subject="Restore archived objects?", options=[APPROVE, REJECT], defaults=REJECT, **kwargs)
        self.plan_task_id = plan_task_id
        self.archived = archived
        self.approve_above = approve_above

    def execute(self, context: Context) -> Any:
        """Request the approval if it is needed.

        :raises AirflowFailException: if Airflow would show the question of an earlier plan of this run
        """
        with airflow_failures():
            archived = read_argument("archived", self.archived)
            most = size("approve_restore_above", self.approve_above)
        plans = self._plans(context)
        restored = sum(plan["archived"]["size"] for plan in plans)
        if archived == "restore" and most is not None and restored > most:
            self.body = question([plan for plan in plans if plan["archived"]["objects"]])
            check_shown(self, context)
            context["ti"].xcom_push(key=SUBMITTED_KEY, value=[plan["folder"] for plan in plans])
            return super().execute(context)
        log.info("no approval is needed to restore %s", size_text(restored))
        context["ti"].xcom_push(key=APPROVED_KEY, value=[plan["folder"] for plan in plans])
        return None

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Return the response, and keep what it approved."""
        response = super().execute_complete(context, event)
        if event["chosen_options"] == [APPROVE]:
            ti = context["ti"]
            # What was shown, not what a plan that was made since would restore.
            ti.xcom_push(key=APPROVED_KEY, value=ti.xcom_pull(task_ids=self.task_id, key=SUBMITTED_KEY))
        else:
            log.warning("the restore was not approved: archived objects are skipped")
        return response

    def _plans(self, context: Context) -> list[dict[str, Any]]:
        return [one for one in plans_of(context["ti"], self.plan_task_id) if not one["dry_run"]]


def question(plans: Sequence[Mapping[str, Any]]) -> str:
    """Return the request for approval in Markdown: how much, where, how and at what price."""
    objects = sum(plan["archived"]["objects"] for plan in plans)
    total = sum(plan["archived"]["size"] for plan in plans)
    first = plans[0]["archived"]
    prices = [plan["archived"].get("price") for plan in plans]
    price = "" if None in prices else f" Price of the restore: {sum(prices):,.2f}."
    first_line = (
        f"**{count_text(objects, 'archived object')}** ({size_text(total)}) must be restored before they can be copied: "
        f"tier {first['tier']}, readable for {count_text(first['days'], 'day')}.{price}"
    )
    lines = [
        first_line,
        "",
        *(f"* {plan['archived']['objects']:,} in {code(plan['source'])}" for plan in plans[:SHOWN]),
        "",
        "Rejected, they are skipped, and all other objects are copied.",
    ]
    return "\n".join(lines)
