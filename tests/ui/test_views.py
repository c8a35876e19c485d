"""The pages in rare states, and with hostile texts in keys and errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from tests.ui.fake_airflow import GROUP, FakeAirflow
from tests.ui.scenes import COPY, MIB, PLAN, REPORT, batches, cost, midnight, nightly, plan, report

if TYPE_CHECKING:
    from tests.ui.visit import FakeVisit

    Show = Callable[..., FakeVisit]

pytestmark = pytest.mark.airflow

HOSTILE = "evil\x1b[31m\u202egpj.exe\u2066\x00\n::group::x"
SHOWN = r"evil\x1b[31m\u202egpj.exe\u2066\x00\n::group::x"


def _error(kind: str, text: str) -> dict[str, Any]:
    """Return a line of a log, as Airflow stores it."""
    return {
        "event": "Task failed with exception",
        "level": "error",
        "error_detail": [{"exc_type": kind, "exc_value": text}],
    }


# Dry runs


def test_a_dry_run_shows_what_it_would_copy_and_for_how_much(fake: FakeAirflow, show: Show) -> None:
    """Objects, bytes, requests and price; it selected keys, so there is no warning that it did not."""
    fake.add_dag("exports")
    price = cost(6, 6 * MIB, 0.54)
    summary = report(0, 0, objects=0, unchanged=0, dry_run=True, cost=price, copied_bytes=0)
    run = fake.add_run("exports", midnight(fake, 1), report=summary)
    fake.add_task("exports", run, "plan")
    fake.xcoms[("exports", run, PLAN, -1, "plan")] = plan(6, 6 * MIB, dry_run=True, cost=price)
    fake.xcoms[("exports", run, PLAN, -1, "return_value")] = []

    visit = show("run", "exports", run)

    names = ("to-copy", "cost-bytes", "cost-s3", "cost-azure", "cost-price")
    assert [visit.figure(name) for name in names] == ["6", "6.0 MiB", "6", "6", "0.54"]
    assert visit.page.get_by_test_id("no-keys").count() == 0
    assert visit.page.locator('[data-state="dry"]').inner_text().split("\n") == ["○", "dry run: nothing was copied"]


@pytest.mark.parametrize("state", ["failed", "success", None])
def test_a_dry_run_counts_for_nothing(fake: FakeAirflow, show: Show, state: str | None) -> None:
    """It leaves its day as it is: failed, succeeded, or without data; and it is in no total."""
    nightly(fake, "exports", 5)
    fake.add_dag("exports")
    day = midnight(fake, 6)
    if state:
        fake.add_run("exports", day, state=state, report=report(3, failed=int(state == "failed")))
    dry = report(0, 0, dry_run=True, cost=cost(3, MIB))
    fake.add_run("exports", day, kind="manual", report=dry, ran=fake.now - timedelta(hours=1))

    visit = show("dag", "exports")

    cell = visit.page.locator(f'li[data-day="{day:%Y-%m-%d}"]')
    assert cell.get_attribute("data-state") == (state or "dry")
    assert visit.figure("total-runs") == ("6" if state else "5")
    assert visit.figure("total-bad") == ("1" if state == "failed" else "0")
    readout = visit.page.get_by_test_id("runs-chart").get_by_role("link").all()
    assert any("dry run; would copy 3 objects" in str(one.get_attribute("aria-label")) for one in readout)

    if state != "failed":
        return
    home = show("home")
    assert home.page.locator('[data-dag="exports"]').get_attribute("data-state") == "success"
    card = show("all").page.get_by_test_id("sync-card")
    assert card.get_attribute("data-state") == "success"


# Failures


def test_a_failed_plan_shows_its_error_and_links_to_its_log(fake: FakeAirflow, show: Show) -> None:
    """Not only that it failed."""
    fake.add_dag("exports")
    run = fake.add_run("exports", midnight(fake, 1), state="failed")
    fake.add_task("exports", run, "plan", state="failed")
    fake.logs[("exports", run, PLAN, -1)] = [
        {"event": "listing", "level": "info"},
        _error("AirflowFailException", "bucket 'acme' does not exist; check s3_bucket"),
    ]

    visit = show("run", "exports", run)

    failure = visit.page.get_by_test_id("failure").first
    assert "The plan failed, so nothing was copied." in failure.inner_text()
    assert "bucket 'acme' does not exist; check s3_bucket" in failure.inner_text()
    assert visit.page.get_by_test_id("copied").count() == 0, "no numbers of what was never begun"
    assert str(failure.get_by_role("link").get_attribute("href")).endswith(f"/runs/{run}/tasks/{PLAN}")


@pytest.mark.parametrize(
    ("kind", "title", "has_code"),
    [
        ("object", "This DAG copies single objects", True),
        ("audit", "This DAG audits a container", False),
        ("preflight", "This DAG checks a bucket and a container", False),
    ],
)
def test_a_dag_without_a_sync_says_where_its_results_are(
    fake: FakeAirflow, show: Show, kind: str, title: str, has_code: bool
) -> None:
    """Also an audit and a preflight: the tabs of their runs have them. A text that announces code is followed by it."""
    fake.add_dag("other")
    run = fake.add_run("other", midnight(fake, 1), report=None)
    fake.tasks.clear()
    fake.add_task("other", run, kind)

    empty = show("dag", "other").page.get_by_test_id("empty")

    text = empty.inner_text()
    assert title in text
    assert "The tab Transfer of each run" in text
    assert ("s3_to_azure_sync(" in text) is has_code
    assert text.count(":") == (1 if has_code else 0)


def test_failed_copies_of_single_objects_show_their_errors(fake: FakeAirflow, show: Show) -> None:
    """Each with its key and its log; more than five on request."""
    fake.add_dag("keys")
    run = fake.add_run("keys", midnight(fake, 1), state="failed", report=None)
    fake.tasks.clear()
    for index in range(7):
        fake.add_task("keys", run, "object", state="failed", map_index=index, fields={"s3_key": f"a/{index}.csv"})
        fake.logs[("keys", run, "object", index)] = [_error("SourceNotFound", f"no object {index}")]

    visit = show("run", "keys", run)

    failures = visit.page.get_by_test_id("failure")
    texts = [" ".join(one.inner_text().split()) for one in failures.all()]
    assert texts == [f"a/{n}.csv SourceNotFound: no object {n} its log" for n in range(5)]
    visit.page.get_by_test_id("more-errors").click()
    visit.page.get_by_text("no object 6").wait_for()


def test_without_the_permission_to_read_logs_the_link_remains(fake: FakeAirflow, show: Show) -> None:
    """The page names the task that failed."""
    fake.forbidden.add("/logs/")
    fake.add_dag("exports")
    run = fake.add_run("exports", midnight(fake, 1), state="failed")
    fake.add_task("exports", run, "plan", state="failed")

    visit = show("run", "exports", run, forbidden=True)

    assert visit.page.get_by_role("link", name="log of the plan").is_visible()


def test_a_batch_that_was_marked_as_success_is_named_and_retried(fake: FakeAirflow, show: Show) -> None:
    """With its missing keys; Retry clears it, although its state is success."""
    missing: list[dict[str, Any]] = [{"key": f"exports/{n}", "blob": f"exports/{n}", "batch": 1} for n in range(3)]
    run = batches(
        fake, "exports", ["success"] * 3, run_state="failed", missing=3, incomplete_batches=[1], missing_keys=missing
    )
    next(one for one in fake.tasks if one["task_id"] == REPORT)["state"] = "failed"

    visit = show("run", "exports", run)

    text = visit.page.get_by_test_id("failures").inner_text()
    assert "Batch 1, exports/2026/11/21/part-00001 (100 objects, 100 MiB), was marked as a success" in text
    assert all(one["key"] in text for one in missing)
    assert visit.page.locator('[data-testid="batch"][data-index="1"]').get_attribute("data-state") == "missing"
    assert visit.figure("failed") == "0"
    visit.page.get_by_role("button", name="Retry 1 incomplete batch").click()
    visit.page.get_by_test_id("confirm").click()
    visit.page.get_by_test_id("notice").get_by_text("Airflow runs 1 incomplete batch again").wait_for()
    ((path, body),) = fake.posted
    assert (path, body["task_ids"]) == ("dags/exports/clearTaskInstances", [[COPY, 1]])


def test_a_pending_deletion_is_shown_with_its_blobs_and_a_link(fake: FakeAirflow, show: Show) -> None:
    """Their number, their names, and where to decide."""
    fake.add_dag("mirror")
    run = fake.add_run("mirror", midnight(fake, 1), state="running")
    fake.add_task("mirror", run, "plan")
    fake.xcoms[("mirror", run, PLAN, -1, "plan")] = plan(0, 0, extra=32)
    fake.xcoms[("mirror", run, PLAN, -1, "return_value")] = []
    task = fake.add_task("mirror", run, "approve_delete", state="awaiting_input")
    body = (
        "**32 blobs** were copied from S3, and their keys are gone:\n\n* `exports/old.csv`\n* `exports/\u202eolder.csv`"
    )
    fake.approvals.append({"subject": "Delete?", "body": body, "options": ["Approve", "Reject"], "task_instance": task})

    visit = show("run", "mirror", run)

    approval = visit.page.get_by_test_id("approval")
    assert "Waiting for approval to delete 32 blobs" in approval.inner_text()
    assert "• exports/old.csv" in approval.inner_text()
    assert r"• exports/\u202eolder.csv" in approval.inner_text()
    href = approval.get_by_role("link", name="Approve or reject…").get_attribute("href")
    assert str(href).endswith(f"/runs/{run}/tasks/{GROUP}.approve_delete/required_actions")


def test_keys_of_archived_objects_are_named(fake: FakeAirflow, show: Show) -> None:
    """Beside the other skipped keys, with what to do."""
    skips = [{"key": "cold", "reason": "archived in storage class GLACIER"}]
    run = batches(fake, "exports", ["success"], skipped=3, archived=2, skips=skips)

    visit = show("run", "exports", run)

    assert (
        visit.page.get_by_test_id("archived").inner_text()
        == "2 keys of archived objects: restore them in S3, or set archived='restore', to copy them."
    )


# Names and texts from outside


def test_control_and_direction_characters_are_escaped(fake: FakeAirflow, show: Show) -> None:
    """In keys, labels, errors and reasons; in texts, in tooltips and for screen readers."""
    failed = [{"key": HOSTILE, "error": f"DestinationWriteError: {HOSTILE}", "batch": 0}]
    run = batches(
        fake, "exports", ["failed", "success"], label=HOSTILE + " {index}", failed=1, failures=failed, skipped=1,
        skips=[{"key": HOSTILE, "reason": HOSTILE}],
    )  # fmt: skip
    fake.xcoms[("exports", run, COPY, 0, "return_value")]["failures"] = failed

    visit = show("run", "exports", run)

    text = visit.area.inner_text()
    assert visit.page.get_by_test_id("failures").locator("code").first.inner_text() == SHOWN
    assert SHOWN in visit.page.get_by_test_id("skips").inner_text()
    html = visit.area.inner_html()
    for character in "\x00\x1b\u202e\u2066":
        assert character not in text
        assert character not in html


@pytest.mark.parametrize(
    "ledger",
    ["javascript:alert(1)", "https://elsewhere.example/ledger/", "https://u:p@acme.blob.core.windows.net/x", "data:,x"],
)
def test_a_ledger_elsewhere_is_not_linked_to(fake: FakeAirflow, show: Show, ledger: str) -> None:
    """Only one in the container's own account, by http or https."""
    run = batches(fake, "exports", ["success"], ledger=ledger)

    visit = show("run", "exports", run)

    assert visit.page.get_by_test_id("places").get_by_role("link", name="ledger").count() == 0


# Numbers and names


def test_a_night_without_changes_shows_nothing_new(fake: FakeAirflow, show: Show) -> None:
    """On every page, without a red number."""
    nightly(fake, "exports", 3, report=report(0, 0, objects=9, unchanged=9))
    run = fake.runs[-1]["dag_run_id"]
    fake.add_task("exports", run, "plan")
    fake.xcoms[("exports", run, PLAN, -1, "plan")] = plan(9, 0)

    assert show("run", "exports", run).page.get_by_test_id("quiet").inner_text() == "nothing new"
    assert "nothing new" in show("all").page.get_by_test_id("sync-card").inner_text()
    assert "nothing new" in show("home").page.get_by_test_id("home-row").inner_text()
    last = show("dag", "exports").page.get_by_test_id("runs-chart").get_by_role("link").last
    assert "; nothing new, 9 unchanged" in str(last.get_attribute("aria-label"))


def test_runs_of_one_day_are_distinguished_by_their_time(fake: FakeAirflow, show: Show) -> None:
    """Every other run has only its day. The time is named as the run's, which may be on another day than its data."""
    nightly(fake, "exports", 3)
    day = midnight(fake, 2)
    fake.add_run("exports", day, kind="manual", report=report(), ran=day + timedelta(days=1, hours=9, minutes=5))

    links = show("dag", "exports").page.get_by_test_id("runs-chart").get_by_role("link").all()

    names = [str(one.get_attribute("aria-label")).split(":")[0].split(", ")[1:] for one in links]
    assert [bool(one) and one[0].startswith("ran ") for one in names] == [False, True, True, False]


def test_a_day_has_one_date_on_all_pages(fake: FakeAirflow, show: Show) -> None:
    """That of the data, in the DAG's time zone, also of a manual run."""
    fake.add_dag("berlin", zone="Europe/Berlin")
    start = midnight(fake, 3).replace(hour=23)
    run = fake.add_run("berlin", start, kind="manual", report=report(), ran=fake.now)
    fake.runs[-1]["logical_date"] = fake.now.isoformat()
    next(one for one in fake.tasks if one["dag_run_id"] == run)["logical_date"] = fake.now.isoformat()
    day = midnight(fake, 2)
    short = f"{day.day} {day:%b}"

    assert short in show("home").page.locator('[data-dag="berlin"]').inner_text()
    assert f"{short} {day.year}" in show("all").page.get_by_test_id("sync-card").inner_text()
    assert f"{short} {day.year}" in show("dag", "berlin").page.get_by_test_id("runs-table").inner_text()


@pytest.mark.parametrize(("runs", "one_day"), [(25, False), (50, False), (12, True)])
def test_labels_of_a_chart_do_not_touch(fake: FakeAirflow, show: Show, runs: int, one_day: bool) -> None:
    """Those of runs with a time are long, and the newest one ends where the chart does."""
    fake.add_dag("hourly", schedule="0 * * * *")
    for back in range(runs, 0, -1):
        start = fake.now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=back)
        data = midnight(fake, 2) if one_day else start
        fake.add_run("hourly", data, report=report(1), ran=start + timedelta(hours=1))

    visit = show("dag", "hourly", width=800)

    names = visit.page.get_by_test_id("runs-chart").locator("text").filter(has_text=re.compile(r"\d\d:00$")).all()
    boxes: list[Any] = [one.bounding_box() for one in names]
    spans = sorted((box["x"], box["x"] + box["width"]) for box in boxes)
    assert len(spans) > 2
    assert all(one[1] + 4 <= following[0] for one, following in pairwise(spans))


def test_a_slow_copy_has_a_throughput(fake: FakeAirflow, show: Show) -> None:
    """One byte in twenty seconds is not 0 B/s."""
    run = batches(fake, "exports", ["success"], objects=1, size=1)

    assert show("run", "exports", run).figure("throughput") == "< 1 B/s"


def test_throughput_is_measured_while_copying(fake: FakeAirflow, show: Show) -> None:
    """Not over the hours between a failure and its retry."""
    summary: dict[str, Any] = {"seconds": 7200.0, "copy_seconds": 10.0, "bytes_per_second": 1}
    run = batches(fake, "exports", ["success"] * 2, size=50 * MIB, **summary)

    assert show("run", "exports", run).figure("throughput") == "10.0 MiB/s"
    assert show("dag", "exports").figure("total-rate") == "10.0 MiB/s"


@pytest.mark.parametrize(("width", "most"), [(800, 95), (1280, 1)])
def test_the_calendar_has_the_month_below_its_days(fake: FakeAirflow, show: Show, width: int, most: int) -> None:
    """In one row and in several, where each row has the date of its first day; no label touches the next one."""
    nightly(fake, "exports", 90)

    visit = show("dag", "exports", width=width)

    cells = visit.page.get_by_test_id("calendar").locator("li[data-day]").all()
    labels = [one for one in visit.page.get_by_test_id("calendar-label").all() if one.is_visible()]
    texts = [one.inner_text() for one in labels]
    days = [str(one.get_attribute("data-day")) for one in cells]
    months = {f"1 {date.fromisoformat(day):%b}" for day in days[7:] if day.endswith("-01")}
    assert months <= set(texts)
    boxes: list[Any] = [one.bounding_box() for one in labels]
    rows = sorted({round(box["y"]) for box in boxes})
    left = cells[0].bounding_box()["x"]  # type: ignore[index]
    assert len(rows) == (3 if width == 800 else 1)
    for y in rows:
        spans = sorted((box["x"], box["x"] + box["width"]) for box in boxes if round(box["y"]) == y)
        assert 0 <= spans[0][0] - left < most
        assert all(one[1] <= following[0] for one, following in pairwise(spans))
        assert spans[-1][1] <= width


def test_a_narrow_table_has_the_numbers_below_the_label(fake: FakeAirflow, show: Show) -> None:
    """It has no columns for them."""
    run = batches(fake, "exports", ["failed"])

    row = show("run", "exports", run, width=800).page.get_by_test_id("batch")

    row.get_by_text("100 objects · 100 MiB · 99 copied · 1 failed · 13 s", exact=True).wait_for()


def test_a_long_label_is_shortened_in_its_middle(fake: FakeAirflow, show: Show) -> None:
    """Both ends stay visible, and the whole is in the tooltip."""
    name = "exports/" + "very-long-folder/" * 12 + "orders-{index:04d}.parquet"
    run = batches(fake, "exports", ["success"] * 2, label=name)

    link = show("run", "exports", run, width=800).page.get_by_test_id("batch").first.get_by_role("link")

    tail = link.locator("span").last
    assert tail.inner_text() == "orders-0000.parquet"
    box, row = tail.bounding_box(), link.bounding_box()
    assert box is not None
    assert row is not None
    assert box["x"] + box["width"] <= row["x"] + row["width"] + 1
    assert name.format(index=0) in str(link.get_attribute("title"))


def test_axes_fit_their_data_and_one_is_one(fake: FakeAirflow, show: Show) -> None:
    """The largest value fills more than half of its axis; nouns agree with their number."""
    nightly(fake, "exports", 3)
    visit = show("dag", "exports")
    sizes = [539 * MIB, 1000 * MIB, 1023 * MIB, 3, 1, 7 * 1024]

    found = visit.evaluate("runs_chart.js", "given.map((one) => it.ceiling(one, 1024))", sizes)

    assert found == [600 * MIB, 1000 * MIB, 1024 * MIB, 3, 1, 8 * 1024]
    assert visit.evaluate("format.js", "[1, 2].map((many) => it.counted(many, 'failed batch'))") == [
        "1 failed batch",
        "2 failed batches",
    ]


@pytest.mark.parametrize("days", [1, 3])
def test_few_runs_use_the_full_width(fake: FakeAirflow, show: Show, days: int) -> None:
    """Their columns fill the chart."""
    nightly(fake, "exports", days)
    chart = show("dag", "exports").page.get_by_test_id("runs-chart")

    columns, whole = chart.locator("ol").bounding_box(), chart.bounding_box()

    assert columns is not None
    assert whole is not None
    assert columns["width"] > 0.85 * whole["width"]


def test_states_differ_by_more_than_color(fake: FakeAirflow, show: Show) -> None:
    """Each cell that is not a success has a sign, and the legend explains all, gray too."""
    fake.add_dag("exports")
    for back in (9, 8, 7, 5, 4, 3, 2, 1):
        fake.add_run("exports", midnight(fake, back), state="failed" if back == 5 else "success", report=report())
    visit = show("dag", "exports")
    calendar = visit.page.get_by_test_id("calendar")

    signs = {state: calendar.locator(f'li[data-state="{state}"]').first.inner_text() for state in ("failed", "missing")}

    assert signs == {"failed": "✕", "missing": "?"}
    legend = calendar.get_by_test_id("legend").inner_text().split("\n")
    assert [one for one in legend if len(one) > 1] == ["succeeded", "failed", "missing", "no run"]
