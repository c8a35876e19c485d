"""Audits of a container, run by Airflow, after real syncs."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.operators import S3ToAzureAuditOperator
from airflow_s3_azure.operators.audit_arguments import AuditArguments
from airflow_s3_azure.sync.audit.sampling import Sampling
from tests.airflow_runs import Run, run_dag
from tests.sync_group.nights import MIB, Sync

pytestmark = [pytest.mark.servers, pytest.mark.airflow]

Audited = Callable[..., "Outcome"]


class Outcome:
    """An audit that has come to its end.

    :ivar errors: of the failed task
    """

    def __init__(self, run: Run, sync: Sync, errors: list[BaseException]) -> None:
        self.state = run.state
        self.totals: dict[str, Any] = run.xcom("audit")
        self.errors = errors
        self._container = sync.container

    @property
    def rows(self) -> dict[str, dict[str, Any]]:
        """The audit's ledger, by blob."""
        name = self.totals["ledger"].removeprefix(f"{self._container.url}/")
        lines = self._container.download_blob(name).readall().splitlines()
        found = {row["blob"]: row for row in map(json.loads, lines)}
        assert len(found) == len(lines)
        return found

    def statuses(self) -> dict[str, str]:
        """Return each blob's status by the audit's ledger."""
        return {name: row["status"] for name, row in self.rows.items()}


@pytest.fixture
def audit(sync: Sync, monkeypatch: pytest.MonkeyPatch) -> Audited:
    """Run an audit of the sync's container, without a connection to S3."""

    def audit(**arguments: Any) -> Outcome:
        monkeypatch.delenv("AIRFLOW_CONN_AWS_DEFAULT", raising=False)
        errors: list[BaseException] = []
        with DAG(f"audit_{sync.container.container_name}") as dag:
            S3ToAzureAuditOperator(
                task_id="audit",
                container_name=sync.container.container_name,
                on_failure_callback=lambda context: errors.append(context["exception"]),
                **arguments,
            )
        return Outcome(run_dag(dag), sync, errors)

    return audit


def test_an_untouched_copy_is_intact(sync: Sync, audit: Audited) -> None:
    """Copied and unchanged keys alike; a blob without a row is only counted."""
    sync.put(*(f"in/k{n}" for n in range(3)))
    sync.night()
    sync.put("in/k3", "empty", body=b"")
    sync.night()
    sync.container.upload_blob("other", b"theirs")

    outcome = audit()

    assert outcome.state == "success"
    assert outcome.statuses() == dict.fromkeys(["empty", *(f"in/k{n}" for n in range(4))], "intact")
    names = ("objects", "intact", "changed", "missing", "unknown", "unrecorded", "run_count")
    assert [outcome.totals[name] for name in names] == [5, 5, 0, 0, 0, 1, 1]
    assert outcome.totals["failures"] == []


def test_a_changed_and_a_missing_blob_make_the_task_red(sync: Sync, audit: Audited) -> None:
    """After the ledger and the totals are written; a retry would find the same, so there is none."""
    sync.put(*(f"in/k{n}" for n in range(4)))
    sync.night()
    sync.container.upload_blob("in/k1", b"other", overwrite=True)
    sync.container.delete_blob("in/k2")

    outcome = audit(retries=3)

    (error,) = outcome.errors
    assert outcome.state == "failed"
    assert isinstance(error, AirflowFailException)
    assert str(error).splitlines()[0] == "AuditFailed: 1 changed and 1 missing of 4 blobs: 'in/k1', 'in/k2'"
    assert outcome.statuses() == {"in/k0": "intact", "in/k1": "changed", "in/k2": "missing", "in/k3": "intact"}
    assert [(one["blob"], one["status"]) for one in outcome.totals["failures"]] == [
        ("in/k1", "changed"),
        ("in/k2", "missing"),
    ]
    folder = outcome.totals["ledger"].removeprefix(f"{sync.container.url}/").removesuffix("audit.jsonl")
    assert json.loads(sync.container.download_blob(f"{folder}audit.json").readall()) == outcome.totals


def test_a_deep_audit_reads_what_real_syncs_copied(sync: Sync, audit: Audited) -> None:
    """Objects of several blocks, of one request and of none: each CRC is that of the blob."""
    sync.put("in/big", body=random.randbytes(3 * MIB + 5))
    sync.put("in/small", "empty", body=b"x")
    sync.put("none", body=b"")
    sync.night()

    outcome = audit(deep=True)

    assert outcome.state == "success"
    assert outcome.statuses() == dict.fromkeys(["empty", "in/big", "in/small", "none"], "intact")
    assert all(row["expected_crc64nvme"] == row["found_crc64nvme"] is not None for row in outcome.rows.values())
    assert [outcome.totals[name] for name in ("read", "bytes_read")] == [4, 3 * MIB + 7]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"container_name": "https://a/b"}, "container_name is 'https://a/b'; it takes the container's name alone"),
        ({"wasb_conn_id": 5}, "wasb_conn_id is 5; it takes text"),
        ({"compare_with": "ledgers"}, "compare_with is 'ledgers'; it takes 'ledger' or 'records'"),
        ({"ledger": 5}, "ledger is 5; it takes text"),
        ({"runs": "last"}, "runs is 'last'; it takes 'newest' or 'all'"),
        (
            {"files_digest": "ab"},
            "files_digest is 'ab'; it takes the files_digest of a run's report: 64 hexadecimal digits",
        ),
        ({"blob_prefix": 5}, "blob_prefix is 5; it takes text"),
        ({"deep": "perhaps"}, "deep is 'perhaps'; it takes True or False"),
        ({"sample": 0}, "sample is 0; it takes a share above 0 and at most 1, such as 0.01, or None"),
        ({"sample": 1.5}, "sample is 1.5; it takes a share above 0 and at most 1, such as 0.01, or None"),
        ({"sample": "1%"}, "sample is '1%'; it takes a number from 0 up"),
        ({"seed": 5}, "seed is 5; it takes text"),
        ({"nights": 0}, "nights is 0; it takes at least 1 night, or None"),
        ({"nights": 1.5}, "nights is 1.5; it takes a whole number"),
        ({"night": -1}, "night is -1; it takes a number from 0 up"),
        ({"max_concurrency": 0}, "max_concurrency is 0; it takes at least 1 thread"),
        ({"max_bandwidth": 0}, "max_bandwidth is 0; it takes bytes per second above zero, such as '50 MB'"),
        ({"slice": timedelta(0)}, "slice is 0:00:00; it takes a time above zero, such as timedelta(hours=1)"),
    ],
)
def test_an_argument_that_it_does_not_take_is_named(arguments: dict[str, Any], message: str) -> None:
    """When the DAG is parsed."""
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        S3ToAzureAuditOperator(**{"task_id": "audit", "container_name": "landing", **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sample": 0.1}, "sample is 0.1, but nothing is read: set deep=True"),
        ({"nights": 30}, "nights is 30, but nothing is read: set deep=True"),
        ({"deep": True, "sample": 0.1, "nights": 30}, "sample is 0.1 and nights is 30; give one of them"),
        ({"deep": True, "night": 3}, "night is 3, but nights is not given: over how many nights?"),
    ],
)
def test_arguments_that_exclude_each_other_are_named(arguments: dict[str, Any], message: str) -> None:
    """When the task runs, because each may be a template."""
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        AuditArguments("landing", **arguments).audit_options("run", date(2026, 11, 27))


def test_consecutive_nights_read_every_blob() -> None:
    """By the day of the run; a sample's seed is the run's own, unless there is another."""
    monday = date(2026, 11, 23)

    def sampling(day: date, run_id: str = "run", **arguments: Any) -> Any:
        return AuditArguments("landing", deep=True, **arguments).audit_options(run_id, day).sampling

    nights = [sampling(monday + timedelta(days=number), nights=3) for number in range(4)]
    assert sorted((one.start, one.stop) for one in nights[:3]) == [(0, 1 / 3), (1 / 3, 2 / 3), (2 / 3, 1)]
    assert nights[3] == nights[0]
    assert sampling(monday, nights=3, night=1) == Sampling("", 1 / 3, 2 / 3)
    assert sampling(monday, sample=0.5) == Sampling("run", 0, 0.5)
    assert sampling(monday, sample=0.5, seed="mine") == Sampling("mine", 0, 0.5)
    assert sampling(monday) == Sampling()
    assert AuditArguments("landing").audit_options("run", monday).sampling is None
