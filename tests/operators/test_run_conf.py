"""The keys of a run's conf: which runs have a conf of their own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from airflow_s3_azure.operators.run_conf import is_triggered_with_conf

PARENT = {"openlineage": {"parentRunId": "1"}, "airflow/task_span_detail_level": 2}


@pytest.mark.parametrize(
    ("run_type", "conf", "has_one"),
    [
        ("manual", {"include": "a/**"}, True),
        ("backfill", {"include": "a/**", **PARENT}, True),
        ("operator_triggered", {"include": "a/**"}, False),
        ("scheduled", None, False),
        ("manual", None, False),
        ("manual", {}, False),
        ("manual", PARENT, False),
    ],
)
def test_only_users_give_a_run_a_conf_of_its_own(run_type: str, conf: Any, *, has_one: bool) -> None:
    """``TriggerDagRunOperator`` is how a DAG is meant to run, and what Airflow adds selects nothing."""
    context: Any = {"dag_run": SimpleNamespace(run_type=run_type, conf=conf)}

    assert is_triggered_with_conf(context) is has_one
