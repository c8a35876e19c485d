"""The tab of a run that is a preflight."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.ui.fake_airflow import FakeAirflow
from tests.ui.scenes import midnight, preflight

if TYPE_CHECKING:
    from tests.ui.visit import FakeVisit

    Show = Callable[..., FakeVisit]

pytestmark = pytest.mark.airflow

POLICY = '{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::acme/exports/*"}'
RED = {
    "status": "red",
    "detail": "S3 returned 403 AccessDenied for evil\x1b[31m\u202egpj.exe",
    "remedy": "allow s3:GetObject on the keys",
    "action": "s3:GetObject",
    "policy": POLICY,
    "request_id": "REQUEST-1",
}
AMBER = {"status": "amber", "detail": "hierarchical namespace", "consequence": "no blob index tags"}


def _checked(fake: FakeAirflow, state: str, found: dict[str, Any] | None) -> str:
    """Add a run with one preflight, and return its id."""
    fake.add_dag("preflights")
    run = fake.add_run("preflights", midnight(fake, 1), state=state)
    fake.tasks.clear()
    fake.add_task("preflights", run, "preflight", state=state)
    if found is not None:
        fake.xcoms[("preflights", run, "preflight", -1, "return_value")] = found
    return run


def test_a_preflight_shows_its_counts_and_every_check(fake: FakeAirflow, show: Show) -> None:
    """And nothing of a copy."""
    found = preflight({"azure-account": AMBER, "s3-key": {"status": "skipped", "detail": "not wanted"}})

    visit = show("run", "preflights", _checked(fake, "success", found))

    assert [visit.figure(name) for name in ("red", "amber", "green", "skipped")] == ["0", "1", "26", "1"]
    rows = visit.page.get_by_test_id("check")
    shown = [row.get_attribute("data-name") for row in rows.all()]
    assert sorted(map(str, shown)) == sorted(one["name"] for one in found["checks"])
    account = visit.page.locator('[data-name="azure-account"]').inner_text()
    assert "hierarchical namespace" in account
    assert "Consequence: no blob index tags" in account
    assert visit.page.get_by_test_id("guardrails").inner_text() == "No guardrails are in force."
    assert visit.page.get_by_test_id("sync").count() == 0
    assert "copied nothing" not in visit.page.inner_text("body")


def test_a_red_check_comes_first_with_what_to_do(fake: FakeAirflow, show: Show) -> None:
    """The missing action, the line of the policy and the request; and a text cannot change what is around it."""
    guardrails = {"allowed_sources": ["s3://acme/*", "s3://b/*"], "allow_delete": False}
    found = preflight({"s3-range": RED, "s3-head": AMBER}, guardrails=guardrails, left=["x/blob"])

    visit = show("run", "preflights", _checked(fake, "failed", found))

    rows = visit.page.get_by_test_id("check")
    assert [rows.nth(at).get_attribute("data-name") for at in range(3)] == ["s3-range", "s3-head", "s3-connection"]
    text = rows.first.inner_text()
    assert r"403 AccessDenied for evil\x1b[31m\u202egpj.exe" in text
    assert "What to do: allow s3:GetObject on the keys" in text
    assert "Missing action: s3:GetObject" in text
    assert "Request: REQUEST-1" in text
    assert rows.first.get_by_test_id("policy").inner_text() == POLICY
    assert rows.first.locator('[data-state="failed"]').count() == 1
    assert visit.page.get_by_test_id("guardrails").inner_text() == (
        "Guardrails in force: allowed_sources = s3://acme/*, s3://b/*; allow_delete = false"
    )
    assert "x/blob" in visit.page.get_by_test_id("left").inner_text()


def test_a_preflight_that_failed_without_results_shows_its_error(fake: FakeAirflow, show: Show) -> None:
    """From its log."""
    run = _checked(fake, "failed", None)
    error = {"exc_type": "AirflowFailException", "exc_value": "ConfigurationError: skip names 'x', which is no check"}
    fake.logs[("preflights", run, "preflight", -1)] = [{"event": "failed", "level": "error", "error_detail": [error]}]

    visit = show("run", "preflights", run)

    shown = visit.page.get_by_test_id("failures").inner_text()
    assert "The preflight failed before its checks." in shown
    assert "ConfigurationError: skip names 'x', which is no check" in shown


def test_a_preflight_that_runs_says_how_long_it_takes(fake: FakeAirflow, show: Show) -> None:
    """It has no results yet."""
    visit = show("run", "preflights", _checked(fake, "running", None))

    section = visit.page.get_by_test_id("preflight")
    assert section.locator('[data-state="running"]').count() == 1
    assert "The checks take about a minute." in section.inner_text()
