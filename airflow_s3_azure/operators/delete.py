"""The operators of a mirror: a human's approval, and the deletion of orphaned blobs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_s3_azure.endpoints import Endpoints
from airflow_s3_azure.engine.options import DEFAULT_CONCURRENCY, CopyOptions
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.guardrails import Guardrails
from airflow_s3_azure.operators.approval import LIST, SHOWN, SUBMITTED_KEY, TIMEOUT, check_shown, code
from airflow_s3_azure.operators.connected import ConnectedOperator, airflow_failures
from airflow_s3_azure.operators.option_groups import templated
from airflow_s3_azure.operators.plan import DELETE_PART, LEDGER_KEY, plans_of

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["S3ToAzureApproveDeleteOperator", "S3ToAzureDeleteOperator"]

log = get_logger(__name__)

APPROVED_KEY = "deletions"
"""XCom key of the deletion lists that are approved."""


class S3ToAzureApproveDeleteOperator(ApprovalOperator):
    """Request a human's approval, in Airflow's UI, to delete the orphaned blobs of a plan.

    If there is nothing to delete, or nothing may be deleted, no approval is requested. No response within
    ``response_timeout`` is a rejection. The submitted lists are in XCom under the key ``submitted``: the folder of each, with
    its ETag, digest and number of rows. Once they are approved, they are under the key ``deletions``; the deletion accepts no
    other lists.

    :param plan_task_id: the task that made the plan, or put several together
    :param response_timeout: how long to wait for a response
    :param assigned_users: who may respond, such as ``{"id": "1", "name": "admin"}``, or a list of such; None: anyone who
        may edit the task instance
    """

    def __init__(self, *, plan_task_id: str, response_timeout: timedelta, **kwargs: Any) -> None:
        kwargs[TIMEOUT] = response_timeout
        super().__init__(subject="Delete blobs whose S3 key is gone?", defaults=self.REJECT, **kwargs)
        self.plan_task_id = plan_task_id

    def execute(self, context: Context) -> Any:
        """Request the approval if it is needed.

        :raises AirflowFailException: if Airflow would show the question of an earlier plan of this run
        """
        plans = [one for one in plans_of(context["ti"], self.plan_task_id) if one["extra"] and not one["dry_run"]]
        if not plans or any(plan["delete_refused"] for plan in plans):
            log.info("there is nothing to delete, or nothing may be deleted: skipping approval")
            return None
        self.body = question(plans)
        check_shown(self, context)
        context["ti"].xcom_push(key=SUBMITTED_KEY, value=deletion_lists(plans))
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Return the response, and keep what it approved."""
        response = super().execute_complete(context, event)
        if event["chosen_options"] == [self.APPROVE]:
            ti = context["ti"]
            # What was shown, not what a plan that was made since would delete.
            ti.xcom_push(key=APPROVED_KEY, value=ti.xcom_pull(task_ids=self.task_id, key=SUBMITTED_KEY))
        return response


def deletion_lists(plans: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the deletion lists of the plans: folder, ETag, digest and number of rows of each."""
    return [{"folder": plan["folder"], **plan["deletions"]} for plan in plans]


def question(plans: Sequence[Mapping[str, Any]]) -> str:
    """Return the request for approval in Markdown: how many blobs, where, the first of them, and where the list is.

    Its digest is of all lists: two questions with one digest are for the same versions of the same blobs.
    """
    orphaned = sum(plan["extra"] for plan in plans)
    names = [name for plan in plans for name in plan["extra_sample"]][:SHOWN]
    more = orphaned - len(names)
    lines = [f"**{orphaned:,} blobs** were copied from S3, and their keys no longer exist:", ""]
    lines += [f"* {plan['extra']:,} in {code(plan['destination'])}" for plan in plans[:SHOWN]]
    lines += ["", "The blobs:", "", *(f"* {code(name)}" for name in names)]
    lines += [f"* … and {more:,} more"] if more else []
    lines += [
        "",
        *(f"{LIST}{code(plan['ledger'].removesuffix('ledger/') + 'delete.jsonl')}" for plan in plans[:SHOWN]),
        "",
        f"Digest of what would be deleted: {code(_digest(plans))}",
    ]
    return "\n".join(lines)


def _digest(plans: Iterable[Mapping[str, Any]]) -> str:
    lists = [[plan["destination"], plan["deletions"]["digest"], plan["deletions"]["rows"]] for plan in plans]
    return sha256(json.dumps(lists).encode()).hexdigest()[:32]


class S3ToAzureDeleteOperator(ConnectedOperator):
    """Delete the orphaned blobs of a plan, each only if its key is still gone, and it is still the version that the plan listed.

    Returns to XCom how many were ``deleted``, ``kept`` because key or blob changed, and ``failed``. The fingerprint of its part of
    the ledger is in XCom under the key ``ledger``.

    :param plan_task_id: the task that made the plan, or put several together
    :param approve_task_id: the task that requested the approval; only the lists that it approved are deleted. None: no
        approval is needed
    """

    template_fields: Sequence[str] = templated(Endpoints)
    ui_color = "#fdecea"

    def __init__(self, *, plan_task_id: str, approve_task_id: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan_task_id = plan_task_id
        self.approve_task_id = approve_task_id

    def execute(self, context: Context) -> dict[str, int]:
        """Delete, and write the results to the ledger.

        :raises AirflowFailException: if the plan refuses deletions, or its list is not the approved one
        :raises DestinationWriteError: if any blob could not be deleted; a retry may help
        """
        from airflow_s3_azure.engine.errors import DestinationWriteError
        from airflow_s3_azure.metrics import send_counts
        from airflow_s3_azure.sync.fingerprint import Fingerprint
        from airflow_s3_azure.sync.ledger import PlanFolder
        from airflow_s3_azure.sync.orphans import delete_blobs

        ti = context["ti"]
        counts = Counter({"deleted": 0, "kept": 0, "failed": 0})
        with airflow_failures():
            Guardrails.configured().check_delete()
            bucket, container, cancellation = self._open(CopyOptions())
            plans = [one for one in plans_of(ti, self.plan_task_id) if one["extra"] and not one["dry_run"]]
            refusals = [plan["delete_refused"] for plan in plans if plan["delete_refused"]]
            if refusals:
                raise AirflowFailException("nothing was deleted: " + "; ".join(refusals))
            if plans:
                self._check_approval(ti, plans)
            written = []
            for plan in plans:
                folder = PlanFolder(container.client, plan["folder"], cancellation)
                ledger = folder.new_ledger(DELETE_PART, None)
                try:
                    for row in delete_blobs(
                        bucket.source,
                        container.client,
                        folder.read_deletions(Fingerprint.from_json(plan["deletions"]), plan["blob_prefix"]),
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
                    written.append({"name": ledger.name, **ledger.fingerprint().as_json()})
                    ti.xcom_push(key=LEDGER_KEY, value=written)
            send_counts(ti, {"objects.deleted": counts["deleted"]})
            log.info("%s blobs deleted, %s kept, %s failed", *(f"{counts[name]:,}" for name in counts))
            if counts["failed"]:
                ti.xcom_push(key="return_value", value=dict(counts))  # a task that fails returns nothing
                raise DestinationWriteError(f"{counts['failed']:,} blobs could not be deleted; the ledger says why")
        return dict(counts)

    def _check_approval(self, ti: Any, plans: Sequence[Mapping[str, Any]]) -> None:
        """Check that the plans' deletion lists are those that were approved."""
        if self.approve_task_id is None:
            return
        approved = ti.xcom_pull(task_ids=self.approve_task_id, key=APPROVED_KEY)
        if approved != deletion_lists(plans):
            raise AirflowFailException(
                f"nothing was deleted: nobody approved the deletion of these blobs in task {self.approve_task_id}, because the plan "
                f"was made again since, or the task was skipped or marked as a success; clear {self.approve_task_id} to request "
                f"the approval again; if that fails, trigger a new run"
            )
