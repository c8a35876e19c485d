"""Runs the checks one after the other, whatever each of them finds, and removes what they wrote."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from airflow_s3_azure.engine.errors import (
    Cancelled,
    ConfigurationError,
    DestinationAccessDenied,
    S3ToAzureError,
    SourceAccessDenied,
    TransferError,
)
from airflow_s3_azure.engine.quoting import get_logger, printable_error, request_id
from airflow_s3_azure.preflight.catalog import CHECKS, NAMES
from airflow_s3_azure.preflight.check import Check
from airflow_s3_azure.preflight.finding import Finding, amber, red, skipped
from airflow_s3_azure.preflight.preflight_report import CheckResult, PreflightReport
from airflow_s3_azure.preflight.subject import Subject

log = get_logger(__name__)

_DENIED = (SourceAccessDenied, DestinationAccessDenied)


def run(subject: Subject, *, source: str, destination: str, guardrails: Mapping[str, Any]) -> PreflightReport:
    """Run all checks, and remove the blobs that they wrote, also if this is cancelled or fails.

    :param source: its name for the report
    :param destination: its name for the report, until the container is open
    :param guardrails: for the report
    :raises ConfigurationError: if ``skip`` names a check that does not exist
    :raises Cancelled: between two checks
    """
    check_names(subject.options.skip)
    started_at, started = datetime.now(UTC), time.monotonic()
    results: dict[str, CheckResult] = {}
    left: list[str] = []
    try:
        for check in CHECKS:
            subject.cancellation.check()
            results[check.name] = _run(check, subject, results)
            log.debug("%s: %s", check.name, results[check.name].status)
    finally:
        if subject.container is not None:
            left = subject.workspace.remove(subject.blobs)
    return PreflightReport(
        tuple(results.values()),
        source,
        destination if subject.container is None else subject.blobs.url,
        started_at,
        round(time.monotonic() - started, 1),
        subject.s3.count + subject.azure.count,
        subject.azure.sent,
        guardrails,
        tuple(left),
    )


def check_names(skip: Collection[str]) -> None:
    """Check the names of checks that are not to be run.

    :raises ConfigurationError: if there is no such check
    """
    unknown = [name for name in skip if name not in NAMES]
    if unknown:
        raise ConfigurationError(
            f"skip names {', '.join(map(repr, unknown))}, which is no check of the preflight; it has {', '.join(NAMES)}"
        )


def _run(check: Check, subject: Subject, results: Mapping[str, CheckResult]) -> CheckResult:
    started = time.monotonic()
    failed_id = ""
    is_denied = False
    try:
        finding = _reason_to_skip(check, subject, results) or check.run(subject)
    except Cancelled:
        raise
    except S3ToAzureError as error:
        is_denied = isinstance(error, _DENIED)
        failed_id = (error.request_id or "") if isinstance(error, TransferError) else ""
        text = printable_error(error.message if isinstance(error, TransferError) else str(error))
        finding = amber(text, check.consequence) if check.consequence else red(text)
    except Exception as error:  # the other checks still have something to show
        log.exception("check %s of the preflight", check.name)
        finding = red(f"the check itself failed: {type(error).__name__}")
    return _result(
        check, finding, subject, is_denied=is_denied, failed_id=failed_id, seconds=time.monotonic() - started
    )


def _reason_to_skip(check: Check, subject: Subject, results: Mapping[str, CheckResult]) -> Finding | None:
    if check.name in subject.options.skip:
        return skipped("it is in skip")
    if check.name in subject.forbidden:
        return skipped(subject.forbidden[check.name])
    if (cause := _missing(check, results)) is not None:
        return skipped(f"it needs {cause.name}")
    if subject.is_exhausted():
        return skipped("the limit of requests or bytes of a preflight is used up")
    return None


def _missing(check: Check, results: Mapping[str, CheckResult]) -> Check | None:
    """Return the first check that this one needs, directly or not, and that is red or skipped; None: there is none."""
    for needed in (one for one in CHECKS if one.name in check.needs):
        if results[needed.name].status in ("red", "skipped"):
            return _missing(needed, results) or needed
    return None


def _result(
    check: Check, finding: Finding, subject: Subject, *, is_denied: bool, failed_id: str, seconds: float
) -> CheckResult:
    is_red = finding.status == "red"
    permission = check.permission if is_denied else None
    if is_red and not failed_id:
        failed_id = _last_id(check, subject)
    return CheckResult(
        name=check.name,
        service=check.service,
        status=finding.status,
        proves=check.proves,
        detail=finding.detail,
        consequence=finding.consequence,
        remedy=check.remedy if is_red else "",
        action="" if permission is None else permission.action,
        policy="" if permission is None else permission.policy_line(*_names(subject)),
        request_id=failed_id,
        seconds=round(seconds, 3),
    )


def _names(subject: Subject) -> tuple[str, str]:
    bucket = "" if subject.bucket is None else subject.source.bucket
    return bucket, subject.options.s3_prefix


def _last_id(check: Check, subject: Subject) -> str:
    exchanges = subject.s3 if check.service == "S3" else subject.azure
    return (request_id(exchanges.last.headers) or "") if exchanges.count else ""
