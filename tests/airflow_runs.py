"""Running a DAG through Airflow's own task runner, in this process, against a database of the tests' own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from types import EllipsisType
from typing import Any

from airflow.sdk import DAG

_clock = iter(range(10**9))


@dataclass(frozen=True)
class Run:
    """A finished run."""

    state: str
    dag_id: str
    run_id: str

    def states(self) -> dict[tuple[str, int], str]:
        """Return each task's state by (task id, map index)."""
        return {(ti.task_id, ti.map_index): str(ti.state) for ti in self._task_instances()}

    def tries(self) -> dict[tuple[str, int], int]:
        """Return how often each task was tried, by (task id, map index)."""
        return {(ti.task_id, ti.map_index): ti.try_number for ti in self._task_instances()}

    def labels(self, task_id: str) -> list[str]:
        """Return what the UI calls the mapped instances of a task."""
        return [str(ti.rendered_map_index) for ti in self._task_instances() if ti.task_id == task_id]

    def xcom(self, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Return an XCom's value, or None if there is none."""
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        with create_session() as session:
            row = session.scalars(
                XComModel.get_many(
                    run_id=self.run_id, key=key, task_ids=task_id, dag_ids=self.dag_id, map_indexes=map_index
                )
            ).first()
            return None if row is None else XComModel.deserialize_value(row)

    def _task_instances(self) -> list[Any]:
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            found = select(TaskInstance).where(TaskInstance.dag_id == self.dag_id, TaskInstance.run_id == self.run_id)
            return sorted(session.scalars(found), key=lambda ti: (ti.task_id, ti.map_index))


def run_dag(
    dag: DAG,
    conf: dict[str, Any] | None = None,
    logical_date: datetime | EllipsisType | None = ...,
    run_after: datetime | None = None,
) -> Run:
    """Run a DAG to its end and return what became of it. Unless one is given each run gets a date of its own.

    :param run_after: names the run; None: now
    """
    _store(dag)
    date = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(_clock)) if logical_date is ... else logical_date
    finished = dag.test(run_after=run_after, logical_date=date, run_conf=conf)
    return Run(str(finished.state), dag.dag_id, finished.run_id)


def mark_success(run: Run, task_id: str, map_index: int = -1) -> None:
    """Mark a task as success, as the UI does."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState
    from sqlalchemy import select

    with create_session() as session:
        found = select(TaskInstance).where(
            TaskInstance.dag_id == run.dag_id,
            TaskInstance.run_id == run.run_id,
            TaskInstance.task_id == task_id,
            TaskInstance.map_index == map_index,
        )
        session.scalars(found).one().state = TaskInstanceState.SUCCESS


def clear_and_run(dag: DAG, run: Run, *, only_failed: bool) -> Run:
    """Clear a run's failed tasks, or all of them, as the UI does, and run them to the run's end, or until it waits for a human."""
    return go_on(
        dag, run, lambda session, made: made.clear(run_id=run.run_id, only_failed=only_failed, session=session)
    )


def run_until_asked(dag: DAG) -> Run:
    """Run a DAG until it waits for a human; ``dag.test()`` would wait with it."""
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    _store(dag)
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=next(_clock))
    with create_session() as session:
        DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag)).create_dagrun(
            run_id=now.isoformat(),
            run_after=now,
            logical_date=now,
            data_interval=(now, now),
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.TEST,
            state=DagRunState.RUNNING,
            start_date=now,
            session=session,
        )
    return go_on(dag, Run("running", dag.dag_id, now.isoformat()))


def go_on(dag: DAG, run: Run, change: Callable[[Any, Any], object] = lambda session, made: None) -> Run:
    """Go on with a run, to its end or until it waits for a human.

    :param change: is called first, with a session of the database and the DAG as the scheduler has it
    """
    from airflow.models.dagrun import DagRun
    from airflow.sdk.definitions.dag import _run_task
    from airflow.serialization.serialized_objects import DagSerialization
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState, TaskInstanceState
    from sqlalchemy import select

    scheduled_dag = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
    with create_session() as session:
        change(session, scheduled_dag)
        found = session.scalars(select(DagRun).where(DagRun.dag_id == run.dag_id, DagRun.run_id == run.run_id)).one()
        found.dag = scheduled_dag
        found.state = DagRunState.RUNNING
        # What dag.test() does for a run that it has just made.
        while found.state == DagRunState.RUNNING:
            session.expire_all()
            schedulable, _ = found.update_state(session=session)
            if not schedulable and "awaiting_input" in run.states().values():
                break
            for one in schedulable:
                one.try_number += 1
                one.state = TaskInstanceState.SCHEDULED
            session.commit()
            for one in schedulable:
                _run_task(ti=one, task=dag.task_dict[one.task_id], run_triggerer=True)
        return Run(str(found.state), run.dag_id, run.run_id)


def _store(dag: DAG) -> None:
    """Store a DAG in the database, as the DAG processor does."""
    from airflow.dag_processing.collection import update_dag_parsing_results_in_db
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session

    _migrate()
    _give_errors_to_callbacks()
    with create_session() as session:
        update_dag_parsing_results_in_db(
            "tests", None, [LazyDeserializedDAG.from_dag(dag)], {}, None, set(), session=session
        )


@cache
def _migrate() -> None:
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.db import initdb

    initdb()
    DagBundlesManager().sync_bundles_to_db()  # type: ignore[no-untyped-call]


@cache
def _give_errors_to_callbacks() -> None:
    """Give a failure callback the task's error, as a worker does; before Airflow 3.3, ``dag.test()`` does not."""
    from airflow.sdk.execution_time import task_runner

    finalize = task_runner.finalize

    def finalize_with_error(ti: Any, state: Any, context: Any, log: Any, error: BaseException | None = None) -> None:
        context["exception"] = error
        finalize(ti, state, context, log, error)

    task_runner.finalize = finalize_with_error
