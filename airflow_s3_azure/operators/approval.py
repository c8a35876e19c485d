"""What both approvals share: their text, and that a human sees the text of the current plan."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_s3_azure.engine.quoting import printable

if TYPE_CHECKING:
    from airflow.sdk import Context

# Before 1.12.3, the standard provider used the execution timeout as the response timeout.
TIMEOUT = (
    "response_timeout" if "response_timeout" in signature(HITLOperator.__init__).parameters else "execution_timeout"
)

SUBMITTED_KEY = "submitted"
"""XCom key of what was submitted for approval; what is approved has a key of its own."""
SHOWN = 10
"""Prefixes, and blobs, that an approval names at most."""
BACKTICK = r"\x60"
LIST = "The list: "
"""How a line begins that says where a list is. No name begins a line."""


def code(text: str) -> str:
    """Return text as Markdown code. A name is untrusted: it must not end the code or the line, or reverse the text."""
    return f"`{printable(text).replace('`', BACKTICK)}`"


def check_shown(operator: HITLOperator, context: Context) -> None:
    """Store the question of an operator, and check that it is what Airflow shows.

    Airflow stores one question for a task of a run. If the task is cleared, it drops the response and keeps the question: the page
    would show the question of an earlier plan. Where a list is may differ; the question has the digest of what is in it.

    :raises AirflowFailException: if Airflow shows another question
    """
    from airflow.sdk.execution_time.comms import CreateHITLDetailPayload
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    users: Any = operator.assigned_users or []
    stored: Any = SUPERVISOR_COMMS.send(
        CreateHITLDetailPayload(
            ti_id=context["ti"].id,
            options=operator.options,
            subject=operator.subject,
            body=operator.body,
            defaults=operator.defaults,
            multiple=operator.multiple,
            params=operator.serialized_params,
            assigned_users=users,
        )
    )
    if _without_places(stored.body) != _without_places(operator.body):
        raise AirflowFailException(
            f"no approval was requested: the plan was made again and differs, but Airflow keeps the question of the first plan for "
            f"task {operator.task_id} of this run, so a human would approve what the page does not show; trigger a new run, or "
            f"delete this run and run its date again"
        )


def _without_places(body: str | None) -> list[str]:
    return [line for line in (body or "").split("\n") if not line.startswith(LIST)]
