"""The group as a part of a DAG: its arguments, several of them, its assets and retries."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator, TaskGroup

from airflow_s3_azure import operators
from airflow_s3_azure.engine.errors import (
    BatchChanged,
    BatchFailed,
    Cancelled,
    ConfigurationError,
    SourceChanged,
    SourceReadError,
)
from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator
from airflow_s3_azure.sync_group import s3_to_azure_sync
from airflow_s3_azure.task_retries import SOON, retry_arguments
from tests.airflow_runs import run_dag
from tests.sync_group.nights import Sync

pytestmark = [pytest.mark.airflow]

NAMED_OTHERWISE = {"dry_run": "is_dry_run", "approve_restore_above": "approve_above"}
"""Arguments of the group that its operators call something else."""


def _documented(function: Callable[..., Any]) -> dict[str, bool]:
    """Return the arguments that a docstring describes, and whether it marks them as templated."""
    text = inspect.getdoc(function) or ""
    found = re.findall(r"^:param (\w+):(.*(?:\n +.*)*)", text, flags=re.MULTILINE)
    return {name: "templated)" in about for name, about in found}


def _tasks(dag: DAG) -> Iterator[tuple[str, Collection[str], dict[str, Any]]]:
    """Yield each task's id, the fields that it renders, and its arguments, without those that are mapped."""
    for one in dag.tasks:
        yield one.task_id, one.template_fields, vars(one) if isinstance(one, BaseOperator) else one.partial_kwargs


def test_every_argument_is_documented() -> None:
    """No more and no less than there are."""
    assert _documented(s3_to_azure_sync).keys() == inspect.signature(s3_to_azure_sync).parameters.keys()


def test_what_is_documented_as_templated_is_rendered_in_every_task() -> None:
    """And nothing else is: a key in a batch, above all, must not be."""
    documented = _documented(s3_to_azure_sync)
    templated = {name for name, is_templated in documented.items() if is_templated}
    texts: dict[str, Any] = {name: f"{{{{ params.{name} }}}}" for name in templated}
    with DAG("templated") as dag:
        s3_to_azure_sync(**{name: text for name, text in texts.items() if name != "keys"}, delete="extra")
    with DAG("templated_keys") as dag_of_keys:
        s3_to_azure_sync(**texts)
    found: dict[str, set[str]] = {}

    for task_id, fields, arguments in [*_tasks(dag), *_tasks(dag_of_keys)]:
        for name, text in texts.items():
            field = NAMED_OTHERWISE.get(name, name)
            if arguments.get(field) == text:
                found.setdefault(name, set()).add(task_id)
                assert field in fields, (task_id, field)
        if task_id.startswith("s3_to_azure.") and "approve" not in task_id:
            assert set(fields) <= {NAMED_OTHERWISE.get(name, name) for name in templated}, task_id

    assert found.keys() == templated
    assert found["container_name"] == {f"s3_to_azure.{name}" for name in ("plan", "copy", "delete", "report")}
    assert found["overwrite"] == {"s3_to_azure.plan", "s3_to_azure.copy"}


@pytest.mark.parametrize("name", [name for name in operators.__all__ if name.endswith("Operator")])
def test_operators_render_what_they_document_as_templated(name: str) -> None:
    """For those whose arguments are documented at the group, its marks are right."""
    operator = getattr(operators, name)
    documented = _documented(s3_to_azure_sync) | _documented(operator)
    names = {
        field: documented[{v: k for k, v in NAMED_OTHERWISE.items()}.get(field, field)]
        for field in operator.template_fields
    }
    assert all(names.values()), names
    if operator is S3ToAzureBlobStreamOperator:
        assert set(operator.template_fields) == {
            one for one, is_templated in _documented(operator).items() if is_templated
        }


def test_a_group_is_serialized_with_all_that_it_can_have() -> None:
    """What the scheduler reads is a DAG again, with the same tasks, in a process that has no DAG file."""
    from airflow.serialization.serialized_objects import DagSerialization

    with DAG("everything") as dag:
        s3_to_azure_sync(
            s3_bucket="bucket",
            container_name="container",
            s3_prefix=["a/", "b/"],
            delete="extra",
            slice=timedelta(hours=1),
            pool="copies",
            max_active_tis_per_dagrun=3,
        )

    found = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))

    names = {"plan", "batches", "copy", "approve_delete", "delete", "report"}
    assert set(found.task_ids) == {f"s3_to_azure.{name}" for name in names}
    copy = found.get_task("s3_to_azure.copy")
    assert (copy.pool, copy.max_active_tis_per_dagrun) == ("copies", 3)
    assert {found.get_task(f"s3_to_azure.{name}").pool for name in names - {"copy"}} == {"default_pool"}


def test_a_group_without_mirror_imports_nothing_of_approvals() -> None:
    """The module takes time to import, and every DAG file would pay for it."""
    probe = (
        "import sys\n"
        "from airflow.sdk import DAG\n"
        "from airflow_s3_azure.sync_group import s3_to_azure_sync\n"
        "with DAG('d'): s3_to_azure_sync(s3_bucket='bucket', container_name='container')\n"
        "print('airflow.providers.standard.operators.hitl' in sys.modules)"
    )

    found = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)

    assert found.stdout.splitlines()[-1] == "False"


def test_an_unknown_value_of_delete_is_refused_with_the_dag() -> None:
    """Before it could be taken for no deletion, or for another one."""
    with DAG("unknown"), pytest.raises(ConfigurationError, match="delete is 'all'; it takes 'extra' or None"):
        s3_to_azure_sync(s3_bucket="bucket", container_name="container", delete="all")  # type: ignore[arg-type]


def test_default_args_apply_where_the_group_is_given_nothing() -> None:
    """For pool, limit and callbacks; all other arguments are those of the group."""
    default_args = {"pool": "small", "max_active_tis_per_dagrun": 2, "on_failure_callback": print, "retries": 7}
    endpoints: dict[str, Any] = {"s3_bucket": "bucket", "container_name": "container"}
    with DAG("default_args", default_args=default_args) as dag:
        s3_to_azure_sync("left_out", **endpoints)
        s3_to_azure_sync(
            "given", **endpoints, pool="large", max_active_tis_per_dagrun=5, on_failure_callback=repr, retries=4
        )

    found = {}
    for group in ("left_out", "given"):
        copy, report = dag.get_task(f"{group}.copy"), dag.get_task(f"{group}.report")
        limits = (copy.pool, copy.max_active_tis_per_dagrun, copy.retries)
        found[group] = (*limits, report.on_failure_callback, report.retries)

    assert found == {"left_out": ("small", 2, 3, [print], 3), "given": ("large", 5, 4, [repr], 4)}


def test_each_group_has_its_own_asset() -> None:
    """Named after the DAG and the group, with the groups around it."""
    endpoints: dict[str, Any] = {"s3_bucket": "bucket", "container_name": "container"}
    with DAG("several") as dag:
        s3_to_azure_sync(**endpoints)
        s3_to_azure_sync("second", **endpoints)
        for outer in ("eu", "us"):
            with TaskGroup(outer):
                s3_to_azure_sync(**endpoints)

    names = {task.task_id: [asset.name for asset in task.outlets] for task in dag.tasks if task.outlets}

    assert names == {
        "s3_to_azure.report": ["several"],
        "second.report": ["several.second"],
        "eu.s3_to_azure.report": ["several.eu.s3_to_azure"],
        "us.s3_to_azure.report": ["several.us.s3_to_azure"],
    }


@pytest.mark.servers
def test_several_syncs_live_in_one_dag(sync: Sync) -> None:
    """Groups in groups keep their plans and ledgers apart, and one can follow another."""
    sync.put("a/1", "b/2")
    with DAG(f"several_{sync.container.container_name}") as dag, TaskGroup("nightly"):
        first = s3_to_azure_sync("first", **sync.group_arguments(s3_prefix="a/"))
        second = s3_to_azure_sync("second", **sync.group_arguments(s3_prefix="b/", blob_prefix="later/"))
        first >> second

    run = run_dag(dag)

    assert run.state == "success"
    assert sync.blobs() == {"a/1": b"a/1", "later/b/2": b"b/2"}
    reports = [run.xcom(f"nightly.{name}.report") for name in ("first", "second")]
    assert [report["copied"] for report in reports] == [1, 1]
    assert [report["ledger"].split("/")[-4] for report in reports] == ["nightly.first", "nightly.second"]


@pytest.mark.servers
def test_batches_are_labelled_by_what_they_copy(sync: Sync) -> None:
    """The UI shows folder, count and size, and a key with template syntax verbatim."""
    sync.put("in/{{ 6 * 7 }}/a", body=b"x" * 2048)
    sync.put("in/{{ 6 * 7 }}/b", body=b"x" * 1024)
    long = "l" * 600
    sync.put(f"{long}/a")

    night = sync.night(s3_prefix=["in/", long], batch_objects=100)

    assert night.run.labels("s3_to_azure.copy") == [
        "in/{{ 6 * 7 }}/ (2 objects, 3.0 KiB)",
        f"{'l' * 99}…{'l' * 98}/a (602 B)",
    ]
    assert night.run.labels("s3_to_azure.plan") == ["in/", f"{'l' * 124}…{'l' * 125}"]


@pytest.mark.parametrize(
    ("error", "delay"),
    [
        (SourceChanged("another ETag"), SOON),
        (BatchChanged(5, 1, ["SourceChanged: a"], retryable=True), SOON),
        (Cancelled("the task was killed"), SOON),
        (BatchFailed(5, 1, ["SourceReadError: a"], retryable=True), None),
        (SourceReadError("S3 returned 503"), None),
        (OSError("the disk is full"), None),
    ],
)
def test_what_waiting_does_not_fix_is_retried_soon(error: Exception, delay: timedelta | None) -> None:
    """All else waits as the DAG's author wanted, longer each time."""
    sdk = pytest.importorskip("airflow.sdk", reason="a retry policy takes Airflow 3.3")
    if not hasattr(sdk, "ExceptionRetryPolicy"):
        pytest.skip("a retry policy takes Airflow 3.3")

    decision = retry_arguments(4, timedelta(minutes=1))["retry_policy"].evaluate(error, 1, 4)

    assert (decision.action.value, decision.retry_delay) == (("retry", delay) if delay else ("default", None))


def test_without_retry_policies_there_are_growing_delays(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on an Airflow before 3.3, where an operator would not take the argument."""
    import airflow.sdk

    monkeypatch.delattr(airflow.sdk, "__getattr__")
    monkeypatch.delitem(vars(airflow.sdk), "ExceptionRetryPolicy", raising=False)

    arguments = retry_arguments(4, timedelta(minutes=1))

    assert arguments == {"retries": 4, "retry_delay": timedelta(minutes=1), "retry_exponential_backoff": 2.0}
    BaseOperator(task_id="takes_them", **arguments)
