"""Approvals of a run that somebody changes by hand while it waits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.airflow_runs import Run, clear_and_run, go_on, run_until_asked
from tests.conftest import needs_airflow_3_3
from tests.sync_group.nights import Sync

# Before 3.3, a task that waits for a human is deferred, and its trigger would wait here.
pytestmark = [pytest.mark.servers, pytest.mark.airflow, needs_airflow_3_3]

APPROVE = "s3_to_azure.approve_delete"


@pytest.fixture
def asked(sync: Sync) -> tuple[Any, Run]:
    """A mirror's DAG, and its run that waits for the approval to delete one blob."""
    sync.put(*(f"in/k{n}" for n in range(8)))
    sync.night(s3_prefix="in/")
    sync.bucket.client.delete_object(Bucket=sync.bucket.name, Key="in/k0")
    dag = sync.dag(s3_prefix="in/", delete="extra", max_delete=0.9)
    run = run_until_asked(dag)
    assert run.states()[APPROVE, -1] == "awaiting_input"
    return dag, run


def test_a_cleared_run_asks_again_only_for_what_its_page_shows(sync: Sync, asked: tuple[Any, Run]) -> None:
    """Airflow keeps the first question: a plan for the same blobs is asked again, one for others fails."""
    dag, run = asked

    again = clear_and_run(dag, run, only_failed=False)

    assert again.state == "running"
    assert again.states()[APPROVE, -1] == "awaiting_input"
    sync.bucket.client.delete_object(Bucket=sync.bucket.name, Key="in/k1")

    changed = clear_and_run(dag, run, only_failed=False)

    assert changed.state == "failed"
    assert changed.states()[APPROVE, -1] == "failed"
    assert changed.xcom("s3_to_azure.plan", "plan")["extra"] == 2
    assert {"in/k0", "in/k1"} <= sync.blobs().keys()


def test_marking_a_waiting_approval_as_a_success_approves_nothing(sync: Sync, asked: tuple[Any, Run]) -> None:
    """A success that is no response: ``assigned_users`` may exclude the one who marks it."""
    from airflow.models.taskinstance import TaskInstance
    from sqlalchemy import update

    dag, run = asked

    def mark(session: Any, _: Any) -> None:
        waiting = (TaskInstance.dag_id == run.dag_id, TaskInstance.task_id == APPROVE)
        session.execute(update(TaskInstance).where(*waiting).values(state="success"))
        session.commit()

    marked = go_on(dag, run, mark)

    assert marked.state == "failed"
    assert marked.states()["s3_to_azure.delete", -1] == "failed"
    assert "in/k0" in sync.blobs()
