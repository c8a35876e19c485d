"""Plans before anything is copied: dry runs, budgets, and several prefixes planned in parallel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_s3_azure.sync.batch import ManifestRange
from airflow_s3_azure.sync.references import BatchReference, joined_batches
from airflow_s3_azure.sync_group import s3_to_azure_sync
from tests.sync_group.nights import MIB, Sync

pytestmark = [pytest.mark.servers, pytest.mark.airflow]


@pytest.mark.parametrize(("keys", "prefixes"), [([], ""), (["a/1", "b/1"], ["a/", "b/"]), ([], ["a/", "b/"])])
def test_every_dry_run_is_logged_as_one(
    sync: Sync, logged: Callable[[], str], keys: list[str], prefixes: str | list[str]
) -> None:
    """With several plans and with empty ones: objects, bytes, requests and price are in the XCom and in the log."""
    sync.put(*keys, body=b"x")

    dry = sync.night(s3_prefix=prefixes, dry_run=True, egress_price_per_gib=0.09)

    objects = len(keys)
    assert dry.totals("dry_run", "copied", "cost") == (
        True,
        0,
        {
            "objects": objects,
            "bytes": objects,
            "s3_requests": objects,
            "azure_requests": objects,
            "read_back_objects": 0,
            "read_back_bytes": 0,
            "egress_gib": 0.0,
            "egress_price": 0.0,
        },
    )
    assert f"this was a dry run: would copy {objects} objects ({objects} B)" in logged()
    assert sync.blobs() == {}


def test_a_dry_run_reports_the_cost_and_copies_nothing(sync: Sync, logged: Callable[[], str]) -> None:
    """As an argument or as text from the trigger form; what needs no copy is in the ledger even so."""
    sync.put("a", "dot.")
    sync.put("big", body=b"x" * (2 * MIB + 1))
    by_form = {"params": {"dry": False, "price": None}, "dry_run": "{{ params.dry }}"}
    cost = {"objects": 2, "bytes": 2 * MIB + 2, "s3_requests": 5, "azure_requests": 6, "egress_gib": 0.002}
    cost |= {"read_back_objects": 0, "read_back_bytes": 0}

    plain = sync.night(dry_run=True)

    assert plain.state == "success"
    assert plain.states() == {"plan": "success", "copy": "skipped", "report": "success"}
    assert sync.blobs() == {}
    assert plain.plans[0]["cost"] == plain.report["cost"] == {**cost, "egress_price": None}
    assert plain.totals("dry_run", "objects", "copied", "skipped", "missing") == (True, 1, 0, 1, 0)
    assert plain.statuses() == {"dot.": "skipped"}

    priced = sync.night({"dry": True, "price": 900}, egress_price_per_gib="{{ params.price }}", **by_form)

    assert priced.report["cost"] == {**cost, "egress_price": 1.76}
    assert sync.blobs() == {}
    log = logged()
    assert "cost: 5 requests to S3, 6 to Azure, 0.002 GiB out of S3 at 900 each: 1.76" in log
    assert (
        "this was a dry run: would copy 2 objects (2.0 MiB) with 5 requests to S3 and 6 to Azure, 0.002 GiB out of S3 "
        "for 1.76"
    ) in log

    real = sync.night({"dry": False}, egress_price_per_gib="{{ params.price }}", **by_form)

    assert real.totals("dry_run", "objects", "copied", "skipped") == (False, 3, 2, 1)


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ({"max_objects": "{{ params.most }}"}, "there are 3 objects to copy, but max_objects is 2"),
        ({"max_bytes": 5}, "there are 6 bytes (6 B) to copy, but max_bytes is 5"),
    ],
)
def test_a_plan_above_its_budget_is_not_carried_out(
    sync: Sync, logged: Callable[[], str], budget: dict[str, Any], message: str
) -> None:
    """The error names the numbers and the list, nothing is copied; existing copies do not count."""
    sync.put("a1")
    sync.night(max_objects=1, max_bytes=2)
    sync.put("a2", "a3", "a4")

    night = sync.night(params={"most": 2}, **budget)

    assert night.states() == {"plan": "failed", "copy": "upstream_failed", "report": "failed"}
    log = logged().replace("\n  ", " ")
    assert f"{message}; nothing was copied: raise it, or select less. The list is in http://" in log
    assert sync.blobs() == {"a1": b"a1"}


def test_prefixes_are_planned_side_by_side(sync: Sync) -> None:
    """A list of prefixes, which may be templates: one plan each, all batches copied, one report over all ledgers."""
    keys = [f"{folder}/{n}" for folder in ("2026-01-01", "b", "c") for n in range(4)]
    sync.put(*keys, "elsewhere/x")
    prefixes = ["{{ ds }}/", "b/", "c/", "nothing/"]

    first = sync.night(s3_prefix=prefixes, batch_objects=2, blob_prefix="in/")

    assert first.state == "success"
    assert first.run.labels("s3_to_azure.plan") == ["2026-01-01/", "b/", "c/", "nothing/"]
    assert [plan["objects"] for plan in first.plans] == [4, 4, 4, 0]
    assert len(first.run.labels("s3_to_azure.copy")) == sum(plan["batches"] for plan in first.plans) > 3
    assert first.statuses() == dict.fromkeys(keys, "copied")
    assert sync.blobs() == {f"in/{key}": key.encode() for key in keys}
    assert first.totals("objects", "copied", "missing") == (12, 12, 0)
    assert first.report["source"] == f"s3://{sync.bucket.name}/"
    assert first.report["destination"] == f"{sync.container.url}/in/"
    assert all(plan["ledger"].startswith(first.report["ledger"]) for plan in first.plans)
    assert first.report["ledger"].endswith("/s3_to_azure/")

    second = sync.night(s3_prefix=prefixes, batch_objects=2, blob_prefix="in/")

    assert second.state == "success"
    assert second.totals("copied", "unchanged", "bytes_read") == (0, 12, 0)


def test_a_budget_is_for_all_prefixes_together(sync: Sync, logged: Callable[[], str]) -> None:
    """Each plan alone is small enough; what they come to is not."""
    sync.put("a/1", "a/2", "b/1", "b/2")

    night = sync.night(s3_prefix=["a/", "b/"], max_objects=3)

    assert night.state == "failed"
    assert sync.blobs() == {}
    assert "there are 4 objects to copy, but max_objects is 3" in logged()


def test_prefixes_from_a_task_are_never_rendered(sync: Sync) -> None:
    """They may be what others named."""
    sync.put("{{ 6 * 7 }}/{{ ds }}", "42/x")

    night = sync.night(listed=["{{ 6 * 7 }}/"])

    assert night.state == "success"
    assert night.run.labels("s3_to_azure.plan") == ["{{ 6 * 7 }}/"]
    assert sync.blobs() == {"{{ 6 * 7 }}/{{ ds }}": b"{{ 6 * 7 }}/{{ ds }}"}
    assert night.report["source"] == f"s3://{sync.bucket.name}/{{{{ 6 * 7 }}}}/"


@pytest.mark.parametrize(("others", "copied"), [([], ["b/1"]), (["c/"], ["b/1", "c/1"])])
def test_a_prefix_may_be_a_param_of_the_dag(sync: Sync, others: list[str], copied: list[str]) -> None:
    """As an argument of a ``@dag`` function is, alone or in a list."""
    sync.put("a/1", "b/1", "c/1")
    with DAG(f"sync_{sync.container.container_name}", params={"prefix": "a/"}) as dag:
        prefix: Any = dag.param("prefix")
        s3_to_azure_sync(**sync.group_arguments(s3_prefix=[prefix, *others] if others else prefix))

    night = sync.carry_out(dag, {"prefix": "b/"})

    assert night.state == "success"
    assert sorted(sync.blobs()) == copied


def test_no_prefixes_skip_the_whole_group(sync: Sync) -> None:
    """A task that found nothing to do has nothing reported of it either."""
    sync.put("a")

    night = sync.night(listed=[])

    assert night.state == "success"
    assert {name: state for name, state in night.states().items() if name != "list_prefixes"} == {
        "plan": "skipped",
        "batches": "skipped",
        "copy": "skipped",
        "report": "skipped",
    }
    assert sync.blobs() == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param({"s3_prefix": ["a/", "b/", "a/1"]}, "prefixes 'a/' and 'a/1' overlap", id="within"),
        pytest.param({"s3_prefix": ["", "a/"]}, "prefixes '' and 'a/' overlap", id="all"),
        pytest.param({"s3_prefix": ["a/", "a/"]}, "prefixes 'a/' and 'a/' overlap", id="twice"),
        pytest.param(
            {"s3_prefix": ["a/", "b/"], "blob_template": "{name}"},
            "nothing was copied: let blob_template have {key}, or {folder} and {name}",
            id="names",
        ),
    ],
)
def test_prefixes_that_meet_are_refused(
    sync: Sync, logged: Callable[[], str], arguments: dict[str, Any], message: str
) -> None:
    """In their keys, or in their blobs: nothing is copied."""
    sync.put("a/1", "b/1")

    night = sync.night(**arguments)

    assert night.state == "failed"
    assert night.states()["batches"] == "failed"
    assert message in logged().replace("\n  ", " ")
    assert sync.blobs() == {}


def test_one_failed_plan_of_several_fails_the_run(sync: Sync, logged: Callable[[], str]) -> None:
    """Nothing is copied of the others, and nothing is reported as done."""
    sync.put("a/1", "b/1")

    night = sync.night(s3_prefix=["a/", "b/"], strip_prefix="a/")

    assert night.state == "failed"
    assert night.states() == {
        "plan[0]": "success",
        "plan[1]": "failed",
        "batches": "upstream_failed",
        "copy": "upstream_failed",
        "report": "failed",
    }
    assert sync.blobs() == {}
    assert "task s3_to_azure.batches made no plan, so nothing was copied" in logged()


def test_more_batches_than_airflow_maps_over_are_joined() -> None:
    """Neighbours of one plan, until they fit; every line of each manifest stays in exactly one of them."""
    batches = [
        BatchReference.of(
            folder,
            index,
            ManifestRange(index * 10, index * 10 + 10, 1, 7, key, key, key),
            prefix="",
            etag='"1"',
            digest=key,
        )
        for folder in ("plan-0", "plan-1")
        for index, key in enumerate(f"{folder}/in/{n}" for n in range(5))
    ]

    joined = joined_batches(batches, most=6)

    assert [(one.folder, one.index, one.start, one.stop, one.objects, one.size) for one in joined] == [
        ("plan-0", 0, 0, 20, 2, 14),
        ("plan-0", 2, 20, 40, 2, 14),
        ("plan-0", 4, 40, 50, 1, 7),
        ("plan-1", 0, 0, 20, 2, 14),
        ("plan-1", 2, 20, 40, 2, 14),
        ("plan-1", 4, 40, 50, 1, 7),
    ]
    assert joined[0].label == "plan-0/in/ (2 objects, 14 B)"
    assert joined[0].ranges == ((10, 1, "plan-0/in/0"), (20, 1, "plan-0/in/1"))
