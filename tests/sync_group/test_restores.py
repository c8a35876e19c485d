"""Archived objects are restored and copied as they become readable; the wait survives what ends a task."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk import DAG, task
from airflow.sdk.definitions import dag as dag_module

from airflow_s3_azure import triggers
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.operators.restore import S3ToAzureApproveRestoreOperator
from airflow_s3_azure.sync_group import s3_to_azure_sync
from airflow_s3_azure.triggers import RestoreTrigger
from tests.sync_group.nights import Sync

if TYPE_CHECKING:
    from tests.fakes.reading_azurite import ReadingAzurite
    from tests.fakes.restoring_s3 import RestoringS3

pytestmark = [pytest.mark.servers, pytest.mark.airflow]

COLD = ["in/cold-1", "in/cold-2", "in/cold-3"]
RESTORE: dict[str, Any] = {"archived": "restore", "approve_restore_above": None, "batch_objects": 100}


@pytest.fixture
def s3(restoring_s3: RestoringS3) -> RestoringS3:
    """The route of ``aws_default``, on which restores take time; the trigger polls without a wait."""
    return restoring_s3


def _fill(sync: Sync) -> None:
    sync.put("in/a", "in/z")
    for key in COLD:
        sync.bucket.put(key, key.encode(), StorageClass="GLACIER")


def test_archived_objects_are_copied_as_they_are_restored(
    sync: Sync, s3: RestoringS3, logged: Callable[[], str]
) -> None:
    """One restore ends before each listing; each is requested once, with tier and days; the first are copied before the last ends."""
    _fill(sync)
    s3.finishing = 1

    night = sync.night(restore_tier="Standard", restore_days="{{ 3 }}", restore_price_per_gib=0.02, **RESTORE)

    assert night.state == "success"
    assert night.statuses() == dict.fromkeys(["in/a", "in/z", *COLD], "copied")
    assert sync.blobs() == {key: key.encode() for key in ["in/a", "in/z", *COLD]}
    assert {key: len(bodies) for key, bodies in s3.requests.items()} == dict.fromkeys(COLD, 1)
    assert all("<Days>3</Days>" in body and "<Tier>Standard</Tier>" in body for (body,) in s3.requests.values())
    assert night.plans[0]["archived"] == {"objects": 3, "size": 27, "tier": "Standard", "days": 3, "price": 0.0}
    log = logged()
    assert "archived objects without a copy: 3 objects (27 B), to be restored with tier Standard for 3 days" in log
    assert "keys that wait for the restore of archived objects: 3; all others are done" in log
    assert "keys that wait for the restore of archived objects: 1; all others are done" in log


def test_server_side_copies_in_the_triggerer_wait_for_restores(
    sync: Sync, s3: RestoringS3, reading_azurite: ReadingAzurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With ``deferrable=True`` a trigger requests the restores; Azure reads each object once it is restored."""
    monkeypatch.setenv("AIRFLOW_CONN_WASB_DEFAULT", json.dumps(reading_azurite.airflow_connection()))
    monkeypatch.setattr(triggers, "SOONEST_SECONDS", 0)
    _fill(sync)
    sync.put("in/tiered")
    s3.tiered.add("in/tiered")
    s3.finishing = 1

    night = sync.night(mode="server_side", deferrable=True, **RESTORE)

    keys = ["in/a", "in/tiered", "in/z", *COLD]
    assert night.state == "success"
    assert night.statuses() == dict.fromkeys(keys, "copied")
    assert sync.blobs() == {key: key.encode() for key in keys}
    assert s3.requests.keys() == {"in/tiered", *COLD}
    assert {len(s3.requests[key]) for key in COLD} == {1}
    assert len(reading_azurite.reads) == len(keys)


def test_an_archive_tier_that_no_listing_shows_joins_the_wait(sync: Sync, s3: RestoringS3) -> None:
    """Intelligent-Tiering: the read is refused, the restore has no days, and a HEAD shows when it is done."""
    sync.put("a", "tiered")
    s3.tiered.add("tiered")
    s3.finishing = 1

    night = sync.night(**RESTORE)

    assert night.statuses() == {"a": "copied", "tiered": "copied"}
    assert ["<Days>" in body for body in s3.requests["tiered"]] == [False]


def test_a_wait_that_ended_goes_on_where_it_was(sync: Sync, s3: RestoringS3) -> None:
    """A poll is refused, and the task fails; cleared, it requests no restore again and copies the rest."""
    _fill(sync)
    s3.listing_refusal = (403, "AccessDenied")
    stopped = sync.night(**RESTORE)
    before = dict(sync.blobs())
    s3.listing_refusal, s3.finishing = None, 3

    night = sync.clear(stopped)

    assert stopped.state == "failed"
    assert before == {"in/a": b"in/a", "in/z": b"in/z"}
    assert night.state == "success"
    assert night.statuses() == dict.fromkeys(["in/a", "in/z", *COLD], "copied")
    assert {len(bodies) for bodies in s3.requests.values()} == {1}


def test_an_outage_during_the_wait_uses_no_try(sync: Sync, s3: RestoringS3, monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 throttles a whole poll; the task, which has no retries, goes on with the next one."""
    monkeypatch.setattr(RetryPolicy, "_wait_after", lambda *_: 0.0)
    _fill(sync)
    s3.finishing = 3
    poll = RestoreTrigger._poll
    polled: list[dict[str, Any] | None] = []

    def poll_in_outage(trigger: RestoreTrigger, cancellation: Cancellation) -> dict[str, Any] | None:
        s3.listing_refusal = None if polled else (503, "SlowDown")
        polled.append(poll(trigger, cancellation))
        return polled[-1]

    monkeypatch.setattr(RestoreTrigger, "_poll", poll_in_outage)

    night = sync.night(**RESTORE)

    assert polled == [None, {"waiting": 0}]
    assert night.state == "success"
    assert night.statuses() == dict.fromkeys(["in/a", "in/z", *COLD], "copied")


class _TriggererEnded(Exception):
    """The triggerer ended while a trigger polled."""


def test_a_restarted_triggerer_continues_the_wait(sync: Sync, s3: RestoringS3, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first trigger ends without an event; one made of its stored arguments ends the wait, and no restore is requested again."""
    _fill(sync)
    run_trigger: Callable[[RestoreTrigger, Any], Any] = dag_module._run_inline_trigger
    poll = RestoreTrigger._poll
    polled: list[dict[str, Any] | None] = []

    def end_after_poll(trigger: RestoreTrigger, cancellation: Cancellation) -> None:
        polled.append(poll(trigger, cancellation))
        raise _TriggererEnded

    def run_with_restart(trigger: RestoreTrigger, ti: Any) -> Any:
        stored = json.dumps(trigger.serialize()[1])
        if not polled:
            with monkeypatch.context() as ending:
                ending.setattr(RestoreTrigger, "_poll", end_after_poll)
                with pytest.raises(_TriggererEnded):
                    run_trigger(trigger, ti)
            s3.finishing = 3
        return run_trigger(RestoreTrigger(**json.loads(stored)), ti)

    monkeypatch.setattr(dag_module, "_run_inline_trigger", run_with_restart)

    night = sync.night(**RESTORE)

    assert polled == [{"waiting": 3}]
    assert night.state == "success"
    assert night.statuses() == dict.fromkeys(["in/a", "in/z", *COLD], "copied")
    assert {key: len(bodies) for key, bodies in s3.requests.items()} == dict.fromkeys(COLD, 1)


@pytest.mark.parametrize(
    ("refusal", "message"),
    [
        ((403, "AccessDenied"), "needs s3:RestoreObject here"),
        ((503, "SlowDown"), "S3 throttles requests"),
    ],
)
def test_a_refused_restore_fails_its_key(
    sync: Sync,
    s3: RestoringS3,
    logged: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    refusal: tuple[int, str],
    message: str,
) -> None:
    """By name, with what is missing; throttling is waited out first. Everything else is copied."""
    monkeypatch.setattr(RetryPolicy, "_wait_after", lambda *_: 0.0)
    _fill(sync)
    s3.refusal = refusal

    night = sync.night(**RESTORE)

    assert night.state == "failed"
    assert night.statuses() == {"in/a": "copied", "in/z": "copied", **dict.fromkeys(COLD, "failed")}
    assert message in logged()


def test_a_throttled_restore_is_requested_again(sync: Sync, s3: RestoringS3, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a wait, until S3 accepts it: every key is restored once and copied."""
    monkeypatch.setattr(RetryPolicy, "_wait_after", lambda *_: 0.0)
    _fill(sync)
    s3.refusal, s3.refusals, s3.finishing = (503, "SlowDown"), 4, 3

    night = sync.night(**RESTORE)

    assert (night.state, s3.refusals) == ("success", 0)
    assert night.statuses() == dict.fromkeys(["in/a", "in/z", *COLD], "copied")
    assert {key: len(bodies) for key, bodies in s3.requests.items()} == dict.fromkeys(COLD, 1)


def test_a_dry_run_restores_nothing(sync: Sync, s3: RestoringS3) -> None:
    """It reports what would be restored."""
    _fill(sync)

    night = sync.night(dry_run=True, **RESTORE)

    assert night.plans[0]["archived"]["objects"] == 3
    assert s3.requests == {}


@pytest.mark.parametrize("given_by", ["a param of the DAG", "a task"])
def test_a_value_of_archived_that_is_known_at_run_time_needs_the_approval(
    sync: Sync, s3: RestoringS3, monkeypatch: pytest.MonkeyPatch, given_by: str
) -> None:
    """As text does: without a response nothing is restored, and everything else is copied."""
    questions: list[str] = []
    base = S3ToAzureApproveRestoreOperator.__mro__[1]
    monkeypatch.setattr(base, "execute", lambda self, _: questions.append(self.body))
    _fill(sync)
    s3.finishing = 3
    with DAG(f"sync_{sync.container.container_name}", params={"archived": "restore"}) as dag:

        @task
        def choose() -> str:
            return "restore"

        archived: Any = choose() if given_by == "a task" else dag.param("archived")
        s3_to_azure_sync(**sync.group_arguments(archived=archived, approve_restore_above="10 B"))

    night = sync.carry_out(dag)

    assert [question.partition(" must be")[0] for question in questions] == ["**3 archived objects** (27 B)"]
    assert s3.requests == {}
    assert night.statuses() == {"in/a": "copied", "in/z": "copied", **dict.fromkeys(COLD, "skipped")}
