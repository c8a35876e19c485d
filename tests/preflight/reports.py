"""Reports without a run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow_s3_azure.preflight.finding import Status
from airflow_s3_azure.preflight.preflight_report import CheckResult, PreflightReport

_MORE: dict[Status, dict[str, str]] = {
    "green": {},
    "amber": {"consequence": "what follows"},
    "red": {
        "remedy": "what to do",
        "action": "s3:GetObject",
        "policy": '{"Effect": "Allow"}',
        "request_id": "REQUEST-1",
    },
    "skipped": {},
}


def result(status: Status, name: str = "", **fields: Any) -> CheckResult:
    """Return a result with the fields that this status has."""
    given = {"detail": "what was found", "proves": "what is proven", **_MORE[status], **fields}
    return CheckResult(name=name or f"{status}-check", service="S3", status=status, **given)


def report_of(*results: CheckResult, **fields: Any) -> PreflightReport:
    """Return a report of these results."""
    given = {
        "source": "s3://acme/exports/",
        "destination": "https://acme.blob.core.windows.net/landing",
        "started_at": datetime(2026, 11, 28, tzinfo=UTC),
        "seconds": 41.0,
        "requests": 70,
        "bytes_sent": 9 * 2**20,
        **fields,
    }
    return PreflightReport(results, **given)
