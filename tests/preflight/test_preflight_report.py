"""The results of a preflight as values: worst status, counts, JSON and the error of a red one."""

from __future__ import annotations

import json

import pytest

from airflow_s3_azure.engine.errors import PreflightFailed
from airflow_s3_azure.preflight.catalog import CHECKS, NAMES
from airflow_s3_azure.preflight.finding import Status
from airflow_s3_azure.preflight.preflight_options import OPTIONAL
from tests.preflight.reports import report_of, result


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (["green", "skipped"], "green"),
        (["green", "amber", "skipped"], "amber"),
        (["amber", "red", "green"], "red"),
        ([], "green"),
    ],
)
def test_the_status_is_the_worst_of_a_check_that_was_run(statuses: list[Status], expected: Status) -> None:
    """A check that was not run proves nothing, and breaks nothing."""
    assert report_of(*(result(status) for status in statuses)).status == expected


def test_a_report_is_json() -> None:
    """As XCom holds it."""
    found = json.loads(json.dumps(report_of(result("red"), result("amber"), result("amber")).as_json()))

    assert found["counts"] == {"red": 1, "amber": 2, "skipped": 0, "green": 0}
    assert [one["status"] for one in found["checks"]] == ["red", "amber", "amber"]
    assert found["checks"][0].keys() == {
        *("name", "service", "status", "proves", "detail", "consequence"),
        *("remedy", "action", "policy", "request_id", "seconds"),
    }


def test_the_error_of_a_red_preflight_has_what_to_do() -> None:
    """For each check that is red, and no other; it is never retried."""
    with pytest.raises(PreflightFailed) as raised:
        report_of(result("red"), result("amber"), result("green")).raise_failures()

    assert str(raised.value) == (
        '1 of 3 checks are red:\n  red-check: what was found\n    what to do\n    policy: {"Effect": "Allow"}'
    )
    assert not raised.value.retryable


def test_a_report_without_a_red_check_raises_nothing() -> None:
    """Amber is no failure."""
    report_of(result("amber"), result("skipped")).raise_failures()


def test_each_check_explains_itself() -> None:
    """A name of its own, what it proves, and either a remedy or the consequence of a missing feature."""
    assert len(set(NAMES)) == len(CHECKS) == 28
    assert [one.name for one in CHECKS if not one.proves] == []
    assert [one.name for one in CHECKS if not one.remedy and not one.consequence] == ["azure-block-id-length"]
    before: set[str] = set()
    for one in CHECKS:
        assert set(one.needs) <= before, f"{one.name} runs before what it needs"
        before.add(one.name)
    assert set(OPTIONAL) < set(NAMES)
