"""A single copy of an archived object: it is restored, waited for in the triggerer, and copied."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.definitions import dag as dag_module
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from airflow_s3_azure import triggers
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import SourceAccessDenied, error_as_json
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.operators import S3ToAzureBlobStreamOperator
from airflow_s3_azure.triggers import ObjectRestoreTrigger
from tests.airflow_runs import clear_and_run, run_dag
from tests.operators.test_delete import TaskInstance

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.fakes.reading_azurite import ReadingAzurite
    from tests.fakes.restoring_s3 import RestoringS3

pytestmark = [pytest.mark.airflow]

ROUTES: dict[str, dict[str, Any]] = {
    "stream": {},
    "server_side": {"mode": "server_side"},
    "deferrable": {"mode": "server_side", "deferrable": True},
}


@pytest.fixture
def s3(restoring_s3: RestoringS3, reading_azurite: ReadingAzurite, monkeypatch: pytest.MonkeyPatch) -> RestoringS3:
    """The route of ``aws_default``, on which restores take time; Azurite can read from it."""
    monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", json.dumps(reading_azurite.airflow_connection()))
    monkeypatch.setattr(triggers, "SOONEST_SECONDS", 0)
    return restoring_s3


def _dag(bucket: Bucket, container: ContainerClient, **arguments: Any) -> DAG:
    with DAG(f"archived_{container.container_name}") as dag:
        S3ToAzureBlobStreamOperator(
            task_id="copy",
            s3_bucket=bucket.name,
            s3_key="cold",
            container_name=container.container_name,
            archived="restore",
            **arguments,
        )
    return dag


@pytest.mark.servers
@pytest.mark.parametrize("route", ROUTES)
def test_an_archived_object_is_restored_and_copied(
    bucket: Bucket, container: ContainerClient, s3: RestoringS3, logged: Callable[[], str], route: str
) -> None:
    """Its restore is requested once, with tier and days; the result is that of any copy."""
    bucket.put("cold", b"content", StorageClass="DEEP_ARCHIVE")
    s3.finishing = 1

    run = run_dag(_dag(bucket, container, restore_tier="Standard", restore_days="{{ 3 }}", **ROUTES[route]))

    assert run.states() == {("copy", -1): "success"}
    row = run.xcom("copy")
    assert (row["status"], row["size"], row["archived"]) == ("copied", 7, False)
    assert container.download_blob("cold").readall() == b"content"
    (body,) = s3.requests["cold"]
    assert "<Days>3</Days>" in body
    assert "<Tier>Standard</Tier>" in body
    log = logged()
    assert "'cold' is archived; its restore is requested with tier Standard" in log
    assert "'cold' can be read" in log


@pytest.mark.servers
@pytest.mark.parametrize("route", ROUTES)
def test_an_archive_tier_of_intelligent_tiering_is_restored(
    bucket: Bucket, container: ContainerClient, s3: RestoringS3, route: str
) -> None:
    """For no number of days."""
    bucket.put("cold", b"content")
    s3.tiered.add("cold")
    s3.finishing = 1

    run = run_dag(_dag(bucket, container, **ROUTES[route]))

    assert run.xcom("copy")["status"] == "copied"
    assert ["<Days>" in body for body in s3.requests["cold"]] == [False]


@pytest.mark.servers
def test_an_object_that_is_not_archived_is_copied_at_once(
    bucket: Bucket, container: ContainerClient, s3: RestoringS3
) -> None:
    """Without a request for a restore, and without a wait."""
    bucket.put("cold", b"content")

    run = run_dag(_dag(bucket, container))

    assert run.xcom("copy")["status"] == "copied"
    assert s3.requests == {}


class _TriggererEnded(Exception):
    """The triggerer ended while a trigger waited."""


@pytest.mark.servers
@pytest.mark.parametrize("route", ["stream", "deferrable"])
def test_a_further_try_joins_the_restore_that_goes_on(
    bucket: Bucket, container: ContainerClient, s3: RestoringS3, monkeypatch: pytest.MonkeyPatch, route: str
) -> None:
    """The wait ends with an error; cleared, the task requests the restore again, which changes nothing, and waits for it."""
    bucket.put("cold", b"content", StorageClass="GLACIER")
    run_trigger: Callable[[Any, Any], Any] = dag_module._run_inline_trigger
    ongoing: list[list[str]] = []

    def end_first_wait(trigger: Any, ti: Any) -> Any:
        if isinstance(trigger, ObjectRestoreTrigger):
            ongoing.append(list(s3.ongoing))
            if len(ongoing) == 1:
                raise _TriggererEnded
            s3.finishing = 1
        return run_trigger(trigger, ti)

    monkeypatch.setattr(dag_module, "_run_inline_trigger", end_first_wait)
    dag = _dag(bucket, container, **ROUTES[route])
    stopped = run_dag(dag)
    failed = stopped.states()

    run = clear_and_run(dag, stopped, only_failed=True)

    assert failed == {("copy", -1): "failed"}
    assert ongoing == [["cold"], ["cold"]]
    assert run.states() == {("copy", -1): "success"}
    assert container.download_blob("cold").readall() == b"content"


@pytest.mark.servers
def test_a_restarted_triggerer_continues_the_wait(
    bucket: Bucket, container: ContainerClient, s3: RestoringS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trigger that ends without an event is made again of its stored arguments; no try is used, and no second restore requested."""
    bucket.put("cold", b"content", StorageClass="GLACIER")
    run_trigger: Callable[[Any, Any], Any] = dag_module._run_inline_trigger
    poll = ObjectRestoreTrigger._poll
    polled: list[dict[str, Any] | None] = []

    def end_after_poll(trigger: ObjectRestoreTrigger, cancellation: Cancellation) -> None:
        polled.append(poll(trigger, cancellation))
        raise _TriggererEnded

    def run_with_restart(trigger: Any, ti: Any) -> Any:
        stored = json.dumps(trigger.serialize()[1])
        with monkeypatch.context() as ending:
            ending.setattr(ObjectRestoreTrigger, "_poll", end_after_poll)
            with pytest.raises(_TriggererEnded):
                run_trigger(trigger, ti)
        s3.finishing = 1
        return run_trigger(ObjectRestoreTrigger(**json.loads(stored)), ti)

    monkeypatch.setattr(dag_module, "_run_inline_trigger", run_with_restart)

    run = run_dag(_dag(bucket, container))

    assert polled == [{"waiting": 1}]
    assert (run.states(), run.tries()) == ({("copy", -1): "success"}, {("copy", -1): 1})
    assert len(s3.requests["cold"]) == 1


@pytest.mark.servers
def test_each_key_of_a_mapped_copy_waits_for_its_own_restore(
    bucket: Bucket, container: ContainerClient, s3: RestoringS3
) -> None:
    """The others are copied at once."""
    bucket.put("warm", b"warm")
    bucket.put("cold", b"cold", StorageClass="GLACIER")
    s3.finishing = 1
    with DAG(f"mapped_{container.container_name}") as dag:
        S3ToAzureBlobStreamOperator.partial(
            task_id="copy", s3_bucket=bucket.name, container_name=container.container_name, archived="restore"
        ).expand(s3_key=["warm", "cold"])

    run = run_dag(dag)

    assert run.state == "success"
    assert [run.xcom("copy", map_index=index)["key"] for index in range(2)] == ["warm", "cold"]
    assert container.download_blob("cold").readall() == b"cold"
    assert s3.requests.keys() == {"cold"}


@pytest.mark.servers
@pytest.mark.parametrize("route", ["stream", "deferrable"])
@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        ((403, "AccessDenied"), "needs s3:RestoreObject here"),
        ((503, "SlowDown"), "S3 throttles requests"),
    ],
)
def test_a_refused_restore_is_named(
    bucket: Bucket,
    container: ContainerClient,
    s3: RestoringS3,
    logged: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    refusal: tuple[int, str],
    message: str,
    route: str,
) -> None:
    """Throttling is waited out first."""
    monkeypatch.setattr(RetryPolicy, "_wait_after", lambda *_: 0.0)
    bucket.put("cold", b"content", StorageClass="GLACIER")
    s3.refusal = refusal

    run = run_dag(_dag(bucket, container, **ROUTES[route]))

    assert run.states() == {("copy", -1): "failed"}
    assert message in logged()
    assert list(container.list_blobs()) == []


def _operator(**arguments: Any) -> S3ToAzureBlobStreamOperator:
    return S3ToAzureBlobStreamOperator(
        task_id="copy",
        s3_bucket="bucket",
        s3_key="a/key",
        s3_version_id="v1",
        container_name="landing",
        mode="server_side",
        deferrable=True,
        archived="restore",
        **arguments,
    )


@pytest.mark.parametrize("limit", [None, timedelta(days=2)])
def test_the_wait_ends_with_the_execution_timeout(limit: timedelta | None) -> None:
    """It is the limit of the wait; without one there is none. The trigger's arguments are all that it needs."""
    operator = _operator(execution_timeout=limit)
    event = {"container_url": "https://account.example/landing", "counts": {}, "outcome": {"waiting": 1}}

    with pytest.raises(TaskDeferred) as deferred:
        operator.execute_complete({"ti": TaskInstance({})}, event)  # type: ignore[typeddict-item]

    path, arguments = deferred.value.trigger.serialize()
    assert (deferred.value.method_name, deferred.value.timeout) == ("execute_restored", limit)
    assert path == "airflow_s3_azure.triggers.ObjectRestoreTrigger"
    assert (arguments["s3_key"], arguments["s3_version_id"]) == ("a/key", "v1")
    assert (arguments["options"]["archived"], arguments["options"]["mode"]) == ("restore", "server_side")


def test_a_restored_object_is_copied_by_the_triggerer_again() -> None:
    """With ``deferrable=True``."""
    with pytest.raises(TaskDeferred) as deferred:
        _operator().execute_restored({}, {"waiting": 0})

    assert isinstance(deferred.value.trigger, triggers.ServerSideObjectTrigger)
    assert deferred.value.method_name == "execute_complete"


def test_a_refused_poll_fails_the_task_without_a_retry() -> None:
    """By name."""
    refused = SourceAccessDenied("S3 returned 403", key="s3://bucket/a/key")

    with pytest.raises(AirflowFailException, match="SourceAccessDenied: S3 returned 403"):
        _operator().execute_restored({}, {"error": error_as_json(refused)})
