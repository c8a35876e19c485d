"""Large deployments: every sync is visible or counted, in few requests, and polling stays slow."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.ui.fake_airflow import PAGE, FakeAirflow
from tests.ui.scenes import COPY, MIB, REPORT, batches, many_syncs, midnight, nightly, report

if TYPE_CHECKING:
    from tests.ui.visit import FakeVisit

    Show = Callable[..., FakeVisit]

pytestmark = pytest.mark.airflow

MOST_REQUESTS = 30


def _dags(visit: FakeVisit) -> list[str | None]:
    """Return the DAGs of all cards and lines, in their order."""
    found = visit.page.locator('[data-testid="sync-card"], [data-testid="sync-line"]').all()
    return [one.get_attribute("data-dag") for one in found]


def test_one_busy_dag_hides_no_sync(fake: FakeAirflow, show: Show) -> None:
    """The newest 100 reports are all of one DAG; the other 45 syncs are on the page too, failures first."""
    many_syncs(fake)

    visit = show("all")

    dags = _dags(visit)
    assert len(dags) == len(set(dags)) == 46
    assert dags[:2] == ["sync_07_to_azure", "sync_27_to_azure"]
    assert [visit.figure(f"total-{name}") for name in ("syncs", "bad", "good")] == ["46", "2", "44"]
    assert len(fake.requests) <= MOST_REQUESTS


def test_the_totals_do_not_depend_on_how_many_syncs_are_shown(fake: FakeAirflow, show: Show) -> None:
    """A click requests the data of the syncs that it adds, and leaves the rest of the page as it is."""
    many_syncs(fake)
    visit = show("all")
    names = ("syncs", "bad", "running", "good", "bytes", "rate")
    before = [visit.figure(f"total-{name}") for name in names]
    cards = visit.page.get_by_test_id("sync-card")
    first = cards.count()
    fake.requests.clear()

    visit.page.evaluate(_WATCH_CARDS)
    visit.page.get_by_test_id("more").click()
    cards.nth(2 * first - 1).wait_for()
    visit.settle()

    assert [visit.figure(f"total-{name}") for name in names] == before
    assert visit.page.evaluate("window.fewest") >= first, "the page was never emptied"
    assert len(_dags(visit)) == 46
    assert len([one for one in fake.requests if "/details" in one]) == first
    assert len(fake.requests) <= 3 * first


def test_a_running_sync_is_polled_in_one_request_and_ever_more_rarely(fake: FakeAirflow, show: Show) -> None:
    """Only the newest reports are requested again; while nothing changes the pauses grow to a minute."""
    many_syncs(fake)
    fake.add_run("sync_03_to_azure", midnight(fake), state="running")
    visit = show("all", clock=True)
    fake.requests.clear()

    for _ in range(24):
        visit.page.clock.run_for(15_000)
        visit.settle()

    assert 4 <= len(fake.requests) <= 9, "in six minutes"
    assert all(one.startswith("dags/~/dagRuns/~/taskInstances?") for one in fake.requests)


def test_the_home_row_counts_all_syncs_and_moves_nothing(fake: FakeAirflow, show: Show) -> None:
    """Its height is fixed from the first paint, on one line; syncs that are not named are counted."""
    many_syncs(fake)
    for width in (800, 1280, 1920):
        fake.requests.clear()
        visit = show("home", width=width)
        row = visit.page.get_by_test_id("home-row")

        assert visit.page.get_by_test_id("home-counts").inner_text().split() == [
            "✕",
            "2",
            "failed",
            "✓",
            "44",
            "succeeded",
        ]
        named = row.locator("[data-dag]").count()
        more = visit.page.get_by_test_id("home-more").inner_text()
        assert more == (f"{46 - named} more" if named else "all 46 syncs")
        assert row.bounding_box()["height"] == 44  # type: ignore[index]
        assert len(fake.requests) <= MOST_REQUESTS


def test_a_home_page_without_syncs_has_the_same_row(show: Show) -> None:
    """So nothing moves there either."""
    row = show("home").page.get_by_test_id("home-row")

    assert row.inner_text().split("\n")[-1] == "No sync has run yet."
    assert row.bounding_box()["height"] == 44  # type: ignore[index]


def test_a_thousand_batches_take_few_requests(fake: FakeAirflow, show: Show) -> None:
    """Eleven pages of tasks, and the results of visible rows; the last row is one scroll away, filters find the failed one."""
    run = batches(fake, "exports", ["success"] * 500 + ["failed"] + ["success"] * 499)

    visit = show("run", "exports", run)

    page = visit.page
    assert page.get_by_role("table", name="The batches").get_attribute("aria-rowcount") == "1001"
    assert page.get_by_test_id("batch").count() < 40
    assert "1,000 batches" in (page.get_by_test_id("batch-map").get_attribute("aria-label") or "")
    assert len([one for one in fake.requests if "/taskInstances?" in one]) == 11
    assert len(fake.requests) <= MOST_REQUESTS
    assert visit.figure("copied") == "99,999"
    page.evaluate(_SCROLL_TO_THE_END)
    assert page.get_by_test_id("batch").last.get_attribute("data-index") == "999"
    page.get_by_role("button", name="failed 1").click()
    assert [row.get_attribute("data-index") for row in page.get_by_test_id("batch").all()] == ["500"]


def test_a_large_run_shows_its_numbers_before_all_of_its_batches_are_read(fake: FakeAirflow, show: Show) -> None:
    """Three requests after the run and the first page of tasks; what depends on all batches follows."""
    run = batches(fake, "exports", ["success"] * 1_000)
    fake.held = "offset=100"

    visit = show("run", "exports", run, settle=False)

    assert visit.figure("copied") == "100,000"
    assert visit.page.get_by_test_id("batches").count() == 0
    assert len([one for one in fake.requests if "offset=" not in one or "offset=0" in one]) == 5
    fake.released.set()
    visit.settle()
    assert visit.page.get_by_role("table", name="The batches").get_attribute("aria-rowcount") == "1001"


@pytest.mark.parametrize(
    ("view", "held", "figure", "value"),
    [
        ("dag", "return_value", "total-bad", "1"),
        ("all", "/details", "total-syncs", "46"),
        ("home", "/details", "home-counts", "✕ 2 failed ✓ 44 succeeded"),
    ],
)
def test_first_numbers_do_not_wait_for_details(
    fake: FakeAirflow, show: Show, view: str, held: str, figure: str, value: str
) -> None:
    """The states of all runs or syncs are there while the reports and DAGs of single ones are not."""
    many_syncs(fake)
    fake.held = held

    visit = show(view, "sync_07_to_azure", settle=False)

    visit.page.get_by_test_id(figure).wait_for()
    assert " ".join(visit.figure(figure).split()) == value
    fake.released.set()
    visit.settle()
    assert " ".join(visit.figure(figure).split()) == value


def test_a_run_that_ends_while_it_is_read_is_read_again(
    fake: FakeAirflow, show: Show, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing polls a run that has ended, so its tasks must not be those from before its end."""
    run = batches(fake, "exports", ["success"])
    copy = next(one for one in fake.tasks if one["task_id"] == COPY)
    copy["state"] = "running"
    find = fake.find

    def find_and_end(parts: list[str], query: dict[str, list[str]]) -> Any:
        found = find(parts, query)
        if parts[-1] == "taskInstances":
            copy["state"] = "success"
        return found

    monkeypatch.setattr(fake, "find", find_and_end)

    visit = show("run", "exports", run)

    assert visit.page.get_by_test_id("batch").get_attribute("data-state") == "done"
    assert len([one for one in fake.requests if "/taskInstances?" in one]) == 2


def test_two_hundred_prefixes_are_one_request(fake: FakeAirflow, show: Show) -> None:
    """All plans are in one XCom of the task that put them together."""
    run = batches(fake, "exports", ["success"] * 5, prefixes=200)

    visit = show("run", "exports", run)

    assert len(fake.requests) <= MOST_REQUESTS
    places = visit.page.get_by_test_id("places").inner_text()
    assert "s3://acme/exports/0/" in places
    assert "and 195 more prefixes" in places


def test_many_failed_batches_have_their_summaries(fake: FakeAirflow, show: Show) -> None:
    """Those not read yet are counted, and not shown as silent; a click reads the next ones."""
    failed = [{"key": f"exports/bad-{n}", "error": "no", "batch": n} for n in range(10)]
    run = batches(fake, "exports", ["failed"] * 40 + ["success"] * 10, failed=40, failures=failed)
    visit = show("run", "exports", run)

    assert "without a summary" not in visit.area.inner_text()
    assert len(fake.requests) <= MOST_REQUESTS
    names = visit.page.get_by_test_id("failures").locator("code")
    before = names.count()
    assert before >= 10
    visit.page.get_by_test_id("more-errors").click()
    visit.page.get_by_text("exports/bad-14", exact=True).wait_for()
    assert names.count() > before
    assert "without a summary" not in visit.area.inner_text()


def test_a_run_with_many_running_batches_is_polled_once_per_second_at_most(fake: FakeAirflow, show: Show) -> None:
    """The progress of all of them is read in turns."""
    run = batches(fake, "exports", ["running"] * 32 + [None] * 968)
    for index in range(32):
        fake.progress[("exports", run, COPY, index)] = {
            "bytes": MIB,
            "all_bytes": 100 * MIB,
            "objects": 1,
            "all_objects": 100,
            "bytes_per_second": MIB,
            "seconds_left": 99,
            "current": "k",
        }
    visit = show("run", "exports", run, clock=True)
    fake.requests.clear()

    for _ in range(12):
        visit.page.clock.run_for(10_000)
        visit.settle()

    assert 20 <= len(fake.requests) <= 120
    polled = {match[1] for one in fake.requests if (match := re.search(r"state-store\?map_index=(\d+)", one))}
    assert len(polled) == 32


def test_fifty_runs_take_their_numbers_from_one_response(fake: FakeAirflow, show: Show) -> None:
    """Asset events have the reports of all good runs; only failed ones are requested one by one."""
    nightly(fake, "exports", 90, state="failed", report=report(3, failed=2))

    visit = show("dag", "exports")

    assert visit.figure("total-runs") == "50"
    assert len(fake.requests) <= 12
    assert len([one for one in fake.requests if "return_value?map_index" in one]) == 1


def test_without_the_permission_for_assets_the_newest_reports_are_read(fake: FakeAirflow, show: Show) -> None:
    """The page counts the runs without numbers; a click reads more."""
    fake.forbidden.add("assets/events")
    nightly(fake, "exports", 60)

    visit = show("dag", "exports", forbidden=True)

    assert len(fake.requests) <= MOST_REQUESTS
    assert visit.page.get_by_text("Without the numbers of 40 runs.").is_visible()
    visit.page.get_by_role("button", name="Load more").click()
    visit.page.get_by_text("Without the numbers of 30 runs.").wait_for()


def test_a_dag_that_runs_all_the_time_has_a_shorter_calendar(fake: FakeAirflow, show: Show) -> None:
    """Days whose runs were not read are not shown, so none of them is shown as missing."""
    fake.add_dag("busy", schedule="*/5 * * * *")
    for back in range(900, 0, -1):
        start = fake.now - timedelta(minutes=5 * back)
        fake.add_run("busy", start, report=report(1), ran=start + timedelta(minutes=5))

    visit = show("dag", "busy")

    days = visit.page.get_by_test_id("calendar").locator("li[data-day]")
    assert 1 <= days.count() <= 3
    assert {day.get_attribute("data-state") for day in days.all()} == {"success"}
    assert len(fake.requests) <= MOST_REQUESTS


def test_airflow_3_2_pages_through_the_newest_reports(fake: FakeAirflow, show: Show) -> None:
    """Its patterns take one DAG only, so a busy DAG may hide others there; the page counts the DAGs that were not checked."""
    fake.version = "3.2.1"
    many_syncs(fake)

    visit = show("all")

    assert len(_dags(visit)) == 46
    assert visit.page.get_by_test_id("unchecked").inner_text().startswith("30 DAGs")
    assert len([one for one in fake.tasks if one["task_id"] == REPORT]) > PAGE * 10


_WATCH_CARDS = """() => {
  const count = () => document.querySelectorAll('[data-testid="sync-card"]').length;
  window.fewest = count();
  new MutationObserver(() => { window.fewest = Math.min(window.fewest, count()); }).observe(document.body, { childList: true, subtree: true });
}"""

_SCROLL_TO_THE_END = """async () => {
  const list = document.querySelector('[data-testid="batches"] [role="rowgroup"]');
  list.scrollTop = list.scrollHeight;
  while (!document.querySelector('[data-testid="batch"][data-index="999"]')) {
    await new Promise((resolve) => requestAnimationFrame(resolve));
  }
}"""
