"""The tab of a run that audits a container."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.ui.fake_airflow import FakeAirflow
from tests.ui.scenes import MIB, audit, midnight

if TYPE_CHECKING:
    from tests.ui.visit import FakeVisit

    Show = Callable[..., FakeVisit]

pytestmark = pytest.mark.airflow

HOSTILE = "evil\x1b[31m\u202egpj.exe"
SHOWN = r"evil\x1b[31m\u202egpj.exe"


def _audited(fake: FakeAirflow, state: str | None, found: dict[str, Any] | None) -> str:
    """Add a run with one audit, and return its id."""
    fake.add_dag("audits")
    run = fake.add_run("audits", midnight(fake, 1), state=state if state in ("success", "failed") else "running")
    fake.tasks.clear()
    fake.add_task("audits", run, "audit", state=state)
    if found is not None:
        fake.xcoms[("audits", run, "audit", -1, "return_value")] = found
    return run


def test_an_audit_shows_its_counts_and_its_ledger(fake: FakeAirflow, show: Show) -> None:
    """And nothing of a copy."""
    found = audit(1_204, unrecorded=7, read=12, bytes_read=3 * MIB)
    run = _audited(fake, "success", found)

    visit = show("run", "audits", run)

    names = ("intact", "changed", "missing-blobs", "unknown", "read", "unrecorded")
    assert [visit.figure(name) for name in names] == ["1,204", "0", "0", "0", "12", "7"]
    section = visit.page.get_by_test_id("audit")
    assert "3.0 MiB" in section.inner_text()
    assert section.locator('[data-state="success"]').count() == 1
    links = [link.get_attribute("href") for link in section.get_by_role("link").all()]
    assert links[:2] == [found["destination"], found["ledger"]]
    assert str(links[2]).endswith(f"/runs/{run}/tasks/audit")
    assert visit.page.get_by_test_id("sync").count() == 0
    assert "copied nothing" not in visit.page.inner_text("body")


def test_changed_missing_and_unknown_blobs_are_named(fake: FakeAirflow, show: Show) -> None:
    """Each with its reason; how many more there are; and a name cannot change what is around it."""
    failures = [
        {"blob": HOSTILE, "key": None, "status": "changed", "reason": "its content has another CRC-64"},
        {"blob": "in/b", "key": "in/b", "status": "missing", "reason": "there is no blob of this name"},
    ]
    unknowns = [{"blob": "cold", "key": "cold", "status": "unknown", "reason": "it is in the archive tier"}]
    found = audit(5, changed=11, missing=1, unknown=1, failures=failures, unknowns=unknowns)

    visit = show("run", "audits", _audited(fake, "failed", found))

    shown = visit.page.get_by_test_id("failures").inner_text()
    assert f"{SHOWN}\n\nchanged: its content has another CRC-64" in shown
    assert "in/b\n\nmissing: there is no blob of this name" in shown
    assert "cold\n\nunknown: it is in the archive tier" in visit.page.get_by_test_id("unknowns").inner_text()
    text = visit.page.get_by_test_id("audit").inner_text()
    assert "Changed and missing blobs (12)" in text
    assert "10 more are in the ledger." in text
    assert visit.page.locator('[data-state="failed"]').count() == 1


def test_an_audit_that_failed_without_totals_shows_its_error(fake: FakeAirflow, show: Show) -> None:
    """From its log."""
    run = _audited(fake, "failed", None)
    error = {"exc_type": "AirflowFailException", "exc_value": "UntrustedFile: the ledger was changed after the run"}
    fake.logs[("audits", run, "audit", -1)] = [{"event": "failed", "level": "error", "error_detail": [error]}]

    visit = show("run", "audits", run)

    shown = visit.page.get_by_test_id("failures").inner_text()
    assert "The audit failed, so there are no totals." in shown
    assert "UntrustedFile: the ledger was changed after the run" in shown
    assert visit.page.get_by_test_id("intact").count() == 0


def test_an_audit_that_runs_has_no_numbers_yet(fake: FakeAirflow, show: Show) -> None:
    """Its log has those so far."""
    visit = show("run", "audits", _audited(fake, "running", None))

    section = visit.page.get_by_test_id("audit")
    assert section.locator('[data-state="running"]').count() == 1
    assert "The totals are known when the audit has ended." in section.inner_text()
