"""Deployments for the fake Airflow: as large as real ones, or as odd."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow_s3_azure.preflight.catalog import CHECKS
from tests.ui.fake_airflow import GROUP, FakeAirflow, Item

MIB = 1024 * 1024
PLAN, BATCHES, COPY, REPORT = (f"{GROUP}.{name}" for name in ("plan", "batches", "copy", "report"))


def report(copied: int = 10, size: int = 10 * MIB, **values: Any) -> Item:
    """Return the report of a good run."""
    return {
        "source": "s3://acme/exports/",
        "destination": "https://acme.blob.core.windows.net/landing/exports/",
        "ledger": "https://acme.blob.core.windows.net/landing/_s3_to_azure/dag/run/group/time/ledger/",
        "objects": copied,
        "copied": copied,
        "unchanged": 0,
        "skipped": 0,
        "failed": 0,
        "archived": 0,
        "deleted": 0,
        "missing": 0,
        "copied_bytes": size,
        "bytes_read": size,
        "seconds": 60.0,
        "copy_seconds": 20.0,
        "bytes_per_second": round(size / 20),
        "verified": {"crc64nvme": copied} if copied else {},
        "failures": [],
        "skips": [],
        "incomplete_batches": [],
        "missing_keys": [],
        "dry_run": False,
        **values,
    }


def audit(intact: int = 10, **values: Any) -> Item:
    """Return the totals of an audit."""
    container = "https://acme.blob.core.windows.net/landing/"
    return {
        "destination": container,
        "ledger": f"{container}_s3_to_azure/audits/run/audit/time/audit.jsonl",
        "compare_with": "ledger",
        "runs": [],
        "run_count": 1,
        "objects": intact,
        "intact": intact,
        "changed": 0,
        "missing": 0,
        "unknown": 0,
        "unrecorded": 0,
        "read": 0,
        "bytes_read": 0,
        "failures": [],
        "unknowns": [],
        "seconds": 12.5,
        **values,
    }


def preflight(found: dict[str, Item] | None = None, **values: Any) -> Item:
    """Return the results of a preflight: all checks green, except those that are ``found`` otherwise, by name."""
    checks = [
        {
            "name": check.name,
            "service": check.service,
            "status": "green",
            "proves": check.proves,
            "detail": "it does",
            "consequence": "",
            "remedy": "",
            "action": "",
            "policy": "",
            "request_id": "",
            "seconds": 0.1,
            **(found or {}).get(check.name, {}),
        }
        for check in CHECKS
    ]
    statuses = [one["status"] for one in checks]
    return {
        "status": next((status for status in ("red", "amber") if status in statuses), "green"),
        "counts": {status: statuses.count(status) for status in ("red", "amber", "skipped", "green")},
        "source": "s3://acme/exports/",
        "destination": "https://acme.blob.core.windows.net/landing",
        "guardrails": {},
        "checks": checks,
        "left": [],
        "requests": 71,
        "bytes_sent": 9 * MIB,
        "started_at": "2026-11-21T00:00:00+00:00",
        "seconds": 41.2,
        **values,
    }


def plan(objects: int, size: int, **values: Any) -> Item:
    """Return the totals of a plan that copies all of its objects."""
    return {
        "source": "s3://acme/exports/",
        "destination": "https://acme.blob.core.windows.net/landing/exports/",
        "ledger": "https://acme.blob.core.windows.net/landing/_s3_to_azure/dag/run/group/time/ledger/",
        "objects": objects,
        "counts": {"copy": objects, "unchanged": 0, "skipped": 0},
        "size": size,
        "extra": 0,
        "dry_run": False,
        "cost": cost(objects, size),
        **values,
    }


def cost(objects: int, size: int, price: float | None = None) -> Item:
    """Return the cost of a plan."""
    return {
        "objects": objects,
        "bytes": size,
        "s3_requests": objects,
        "azure_requests": objects,
        "egress_gib": round(size / 1024**3, 3),
        "egress_price": price,
    }


def midnight(airflow: FakeAirflow, days: int = 0) -> datetime:
    """Return the beginning of the day so many days ago, in UTC."""
    return airflow.now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)


def nightly(airflow: FakeAirflow, dag_id: str, days: int = 90, **last: Any) -> str:
    """Add a DAG that ran every night, and return its newest run.

    :param last: of its newest run
    """
    airflow.add_dag(dag_id)
    run_id = ""
    for back in range(days, 0, -1):
        values = {"report": report(back % 7 + 1, (back % 9 + 1) * 60 * MIB), **(last if back == 1 else {})}
        run_id = airflow.add_run(dag_id, midnight(airflow, back), **values)
    return run_id


def many_syncs(airflow: FakeAirflow, syncs: int = 46, failed: int = 2, others: int = 30) -> None:
    """Add one DAG that runs every five minutes, many that ran each night, some of which failed, and DAGs without a sync."""
    airflow.add_dag("every_five_minutes", schedule="*/5 * * * *")
    for back in range(600, 0, -1):
        start = airflow.now - timedelta(minutes=5 * back)
        airflow.add_run("every_five_minutes", start, report=report(1, MIB), ran=start + timedelta(minutes=5))
    for number in range(syncs - 1):
        bad = number % 20 == 7 and number // 20 < failed
        last: dict[str, Any] = {"state": "failed", "report": report(3, failed=2, objects=5)} if bad else {}
        nightly(airflow, f"sync_{number:02d}_to_azure", **last)
    for number in range(others):
        airflow.add_dag(f"other_{number:02d}")


def batches(
    airflow: FakeAirflow,
    dag_id: str,
    states: Sequence[str | None],
    *,
    objects: int = 100,
    size: int = 100 * MIB,
    prefixes: int = 0,
    label: str = "exports/2026/11/21/part-{index:05d}",
    run_state: str | None = None,
    **values: Any,
) -> str:
    """Add a run with one batch for each state, and return its id. Of each failed batch, one key failed.

    :param prefixes: plans that were put together; 0: one plan
    :param values: of its report
    """
    if dag_id not in airflow.dags:
        airflow.add_dag(dag_id)
    ended = all(state in ("success", "failed") for state in states)
    state = run_state or ("running" if not ended else "failed" if "failed" in states else "success")
    bad = [index for index, one in enumerate(states) if one == "failed"]
    copied = len(states) * objects - len(bad)
    totals: Item = {
        "copied": copied,
        "size": len(states) * size,
        "objects": len(states) * objects,
        "failed": len(bad),
        "failures": [{**_failure(index), "batch": index} for index in bad[:10]],
    }
    summary = report(**{**totals, **values}) if ended else None
    run_id = airflow.add_run(dag_id, midnight(airflow, 1), state=state, report=summary)
    for index in range(prefixes):
        airflow.add_task(dag_id, run_id, "plan", map_index=index, label=f"exports/{index}/")
    planner = BATCHES if prefixes else PLAN
    airflow.add_task(dag_id, run_id, "batches" if prefixes else "plan")
    one = plan(len(states) * objects, len(states) * size)
    total = (
        {"plans": [plan(objects, size, source=f"s3://acme/exports/{n}/") for n in range(prefixes)]} if prefixes else one
    )
    airflow.xcoms[(dag_id, run_id, planner, -1, "plan")] = total
    references: list[Item] = [
        {"what": label.format(index=n), "prefix": "", "size": size, "lines": ["etag", 0, 1, objects, "digest"]}
        for n in range(len(states))
    ]
    airflow.xcoms[(dag_id, run_id, planner, -1, "return_value")] = references
    for index, one_state in enumerate(states):
        airflow.add_task(
            dag_id,
            run_id,
            "copy",
            state=one_state,
            map_index=index,
            label=f"{label.format(index=index)} ({objects} objects, 100 MiB)",
        )
        if one_state in ("success", "failed"):
            has_failed = one_state == "failed"
            airflow.xcoms[(dag_id, run_id, COPY, index, "return_value")] = {
                "objects": objects,
                "size": size,
                "copied": objects - has_failed,
                "unchanged": 0,
                "skipped": 0,
                "failed": int(has_failed),
                "copied_bytes": size,
                "seconds": 12.5,
                "failures": [_failure(index)] if has_failed else [],
            }
    return run_id


def _failure(batch: int) -> Item:
    return {"key": f"exports/bad-{batch}", "blob": f"exports/bad-{batch}", "error": "DestinationWriteError: no"}
