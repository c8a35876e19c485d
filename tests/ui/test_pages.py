"""The pages in a browser, over runs of a started Airflow; and the parts that its API shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from airflow_s3_azure.sync.references import BatchReference
from tests.conftest import needs_airflow_3_3
from tests.ui.stage import (
    ARCHIVE,
    BROKEN,
    CONTAINER,
    DRY,
    EXPORTS,
    GROUP,
    INVOICES,
    KEYS,
    MEDIA,
    MIRROR,
    MISSING_KEY,
    OTHER,
    REFUSED,
)

if TYPE_CHECKING:
    from tests.ui.stage import Stage
    from tests.ui.visit import Visit

    Visiting = Callable[..., Visit]

# Its stage waits for the progress that Airflow keeps since 3.3.
pytestmark = [pytest.mark.servers, pytest.mark.airflow, needs_airflow_3_3]

COPY, PLAN, REPORT = (f"{GROUP}.{name}" for name in ("copy", "plan", "report"))


def _size_text(size: float) -> str:
    from airflow_s3_azure.engine.progress import size_text

    return size_text(size)


def _day(day: date) -> str:
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    return f"{day.day} {months[day.month - 1]} {day.year}"


def _exports_runs(stage: Stage) -> list[tuple[date, str]]:
    """Return the runs of the nightly DAG by the day of their data."""
    found = {name.partition(" ")[2]: run for name, run in stage.runs.items() if name.startswith(f"{EXPORTS} ")}
    return sorted((date.fromisoformat(day), run) for day, run in found.items())


def _ledger(stage: Stage, dag_id: str, run_id: str) -> list[dict[str, Any]]:
    return stage.rows(stage.airflow.xcom(dag_id, run_id, REPORT))


def _copied_size(rows: list[dict[str, Any]]) -> int:
    return sum(row["size"] for row in rows if row["status"] == "copied")


# What needs no browser


def test_airflow_lists_every_part(stage: Stage) -> None:
    """Airflow silently drops a part that it does not accept, so the list proves it."""
    plugins = stage.airflow.api("GET", "/plugins")["plugins"]
    errors = stage.airflow.api("GET", "/plugins/importErrors")["import_errors"]
    (plugin,) = [one for one in plugins if one["name"] == "s3_to_azure"]

    assert errors == []
    assert {(app["name"], app["destination"]) for app in plugin["react_apps"]} == {
        ("Transfer", "dag_run"),
        ("Transfers", "dag"),
        ("S3 → Azure", "nav"),
        ("S3 → Azure, last night", "dashboard"),
    }
    assert [app["url_prefix"] for app in plugin["fastapi_apps"]] == ["/s3-to-azure"]


def test_each_task_links_to_its_source_its_account_and_its_ledger(stage: Stage) -> None:
    """Also a task that failed; Azurite has no portal, so the link leads to the container."""
    run = stage.runs[INVOICES]
    tasks = stage.airflow.task_instances(INVOICES, run)
    failed = next(task["map_index"] for task in tasks if task["task_id"] == COPY and task["state"] == "failed")
    container = f"{stage.refusing.url}/{stage.azure.account}/{CONTAINER}"

    def links(task: str, map_index: int = -1) -> dict[str, str]:
        path = f"/dags/{INVOICES}/dagRuns/{run.replace('+', '%2B')}/taskInstances/{task}/links"
        return dict(stage.airflow.api("GET", path, map_index=map_index)["extra_links"])

    plan, copy, report = links(PLAN), links(COPY, failed), links(REPORT)
    for found in (plan, copy, report):
        assert found["Amazon S3 console"].startswith("https://s3.console.aws.amazon.com/s3/buckets/acme-invoices")
        assert found["Azure portal"] == container
    ledger = stage.airflow.xcom(INVOICES, run, REPORT)["ledger"]
    assert plan["Ledger"] == report["Ledger"] == ledger
    assert copy["Ledger"] == f"{ledger}{failed:05d}.jsonl.gz"


def test_a_running_batch_reports_its_progress(stage: Stage) -> None:
    """Through Airflow's task state store, which anyone who may see the task may read."""
    run = stage.runs[MEDIA]
    running = [
        task["map_index"]
        for task in stage.airflow.task_instances(MEDIA, run)
        if task["task_id"] == COPY and task["state"] == "running"
    ]
    reported = [stage.progress(MEDIA, run, COPY, index) for index in running]

    assert reported
    for one in reported:
        assert one["all_objects"] == stage.scale.media_batch
        assert one["all_bytes"] == one["all_objects"] * stage.scale.media_size
        assert 0 <= one["bytes"] < one["all_bytes"]
        assert one["current"].startswith("2026/11/reel-")


def test_a_batch_is_named_by_what_it_copies_and_its_log_is_folded(stage: Stage) -> None:
    """Also if it fails; the hooks' lines about connections are folded, those of the copy are not."""
    run = stage.runs[INVOICES]
    tasks = [task for task in stage.airflow.task_instances(INVOICES, run) if task["task_id"] == COPY]
    references = stage.airflow.xcom(INVOICES, run, PLAN)

    assert [task["rendered_map_index"] for task in tasks] == [
        BatchReference.from_json(one, "").label for one in references
    ]
    log = stage.airflow.logs(INVOICES, run, COPY, map_index=0)
    folded, unfolded = log.partition("::group::Connections")[2].split("::endgroup::", 1)
    assert "batch 0:" not in folded
    assert "batch 0:" in unfolded


_SHAPES = [
    ("dags", {}, "dags"),
    ("dags/{dag}/details", {}, None),
    ("dags/{dag}/dagRuns", {"order_by": "-run_after"}, "dag_runs"),
    ("dags/~/dagRuns", {"run_type": "manual", "dag_id_prefix_pattern": "{dag}|other"}, "dag_runs"),
    (
        "dags/{dag}/dagRuns/{run}/taskInstances",
        {"operator": "S3ToAzureCopyBatchOperator", "order_by": "map_index"},
        "task_instances",
    ),
    ("dags/~/dagRuns/~/taskInstances", {"operator": "S3ToAzureReportOperator"}, "task_instances"),
    ("dags/{dag}/dagRuns/{run}/taskInstances/~/xcomEntries", {"xcom_key": "return_value"}, "xcom_entries"),
    ("dags/{dag}/dagRuns/{run}/taskInstances/s3_to_azure.report/xcomEntries/return_value", {}, None),
    ("assets/events", {"source_dag_id": "{dag}", "timestamp_gte": "2026-01-01T00:00:00Z"}, "asset_events"),
]


@pytest.mark.parametrize(("path", "query", "key"), _SHAPES)
def test_the_fake_airflow_has_the_shapes_of_the_real_one(
    stage: Stage, path: str, query: dict[str, str], key: str | None
) -> None:
    """The real one has every field of the fake's responses, of the same type, and accepts the same filters."""
    from tests.ui.fake_airflow import FakeAirflow
    from tests.ui.scenes import batches

    def read(dag: str, run: str, get: Callable[[str, dict[str, str]], Any]) -> Any:
        filled = {name: value.format(dag=dag) for name, value in query.items()}
        found = get(path.format(dag=dag, run=run), filled)
        return found if key is None else found[key]

    fake = FakeAirflow()
    run = batches(fake, INVOICES, ["success"])
    fake.runs[-1]["run_type"] = "manual"
    made = read(INVOICES, run, lambda where, given: fake.find(where.split("/"), {n: [v] for n, v in given.items()}))
    day_run = next(run for _, run in _exports_runs(stage) if run.startswith("scheduled"))
    dag, real_run = (INVOICES, stage.runs[INVOICES]) if "manual" in query.values() else (EXPORTS, day_run)
    found = read(dag, quote(real_run, safe=""), lambda where, given: stage.airflow.api("GET", f"/{where}", **given))

    for expected, real in [(made, found)] if key is None else [(made[0], found[0])]:
        assert expected.keys() <= real.keys()
        for name, value in expected.items():
            # A duration is written as an int where it is a whole number of seconds.
            kinds = (int, float) if type(value) in (int, float) else type(value)
            assert real[name] is None or value is None or isinstance(real[name], kinds), name
    if "operator" in query:
        assert {one["operator"] for one in found} == {query["operator"]}
    if query.get("order_by") == "map_index":
        assert [one["map_index"] for one in found] == list(range(len(found)))
    if "xcom_key" in query:
        assert {one["key"] for one in found} == {query["xcom_key"]}
    if "source_dag_id" in query or "dag_id_prefix_pattern" in query:
        assert {one.get("source_dag_id", one.get("dag_id")) for one in found} == {dag}


# A run


@pytest.mark.parametrize("user", ["ada", "vera"])
def test_the_numbers_of_a_run_are_the_ledgers(stage: Stage, visit: Visiting, user: str) -> None:
    """For an administrator, and for a viewer."""
    day, run = next(one for one in _exports_runs(stage) if one[0] != stage.failed_day)
    rows = _ledger(stage, EXPORTS, run)
    counts = Counter(row["status"] for row in rows)

    guest = visit(user)
    guest.run(EXPORTS, run)
    guest.page.get_by_test_id("sync").wait_for()

    assert counts["copied"] == len(rows) > 0, day
    assert [guest.figure(name) for name in ("copied", "unchanged", "skipped", "failed")] == [
        str(counts["copied"]),
        "0",
        "0",
        "0",
    ]
    assert guest.page.get_by_text(_size_text(_copied_size(rows)), exact=True).first.is_visible()
    assert guest.figure("verified") == "100 %"
    assert guest.page.get_by_test_id("retry").count() == 0
    assert guest.page.get_by_test_id("batch").count() == len(
        {task["map_index"] for task in stage.airflow.task_instances(EXPORTS, run) if task["task_id"] == COPY}
    )


def test_mapped_copies_of_single_objects_have_their_rows(stage: Stage, visit: Visiting) -> None:
    """A DAG without a sync shows what each of its copies did, by its key, and why one failed, from its log."""
    guest = visit("vera")
    guest.run(KEYS, stage.runs[KEYS])
    rows = guest.page.get_by_test_id("batch")
    rows.first.wait_for()
    failure = guest.page.get_by_test_id("failure").first
    failure.wait_for()

    assert (guest.figure("objects-copied"), guest.figure("objects-failed")) == ("2", "1")
    assert [row.get_by_role("cell").nth(1).get_by_role("link").get_attribute("title") for row in rows.all()] == [
        MISSING_KEY,
        "2026/11/invoice-0001.pdf",
        "2026/11/invoice-0002.pdf",
    ]
    assert failure.locator("code").inner_text() == MISSING_KEY
    assert "SourceNotFound" in failure.inner_text() or "not found" in failure.inner_text()


def test_a_failed_plan_shows_the_error_of_its_log(stage: Stage, visit: Visiting) -> None:
    """The message of the exception, as Airflow's log has it."""
    guest = visit("vera")
    guest.run(BROKEN, stage.runs[BROKEN])
    failure = guest.page.get_by_test_id("failure").first
    failure.wait_for()

    assert "The plan failed, so nothing was copied." in failure.inner_text()
    assert "acme-nothing" in failure.inner_text()
    assert failure.get_by_role("link", name="log of the plan").is_visible()


def test_a_pending_deletion_is_shown(stage: Stage, visit: Visiting) -> None:
    """With the number of blobs and Airflow's question; the link leads to its form."""
    guest = visit()
    guest.run(MIRROR, stage.runs[MIRROR])
    approval = guest.page.get_by_test_id("approval")
    approval.wait_for()

    assert "Waiting for approval to delete 2 blobs" in approval.inner_text()
    assert "mirror/" in approval.inner_text()
    approval.get_by_role("link").click()
    guest.page.get_by_text("Delete blobs whose S3 key is gone?").first.wait_for()


def test_a_dry_run_shows_its_cost(stage: Stage, visit: Visiting) -> None:
    """The plan's objects, bytes and price."""
    report = stage.airflow.xcom(EXPORTS, stage.runs[DRY], REPORT)
    guest = visit("vera")
    guest.run(EXPORTS, stage.runs[DRY])
    guest.page.get_by_test_id("to-copy").wait_for()

    cost = report["cost"]
    assert cost["objects"] >= 1
    assert guest.figure("to-copy") == f"{cost['objects']:,}"
    assert guest.figure("cost-bytes") == _size_text(cost["bytes"])
    assert guest.figure("cost-price") == f"{cost['egress_price']:,.2f}"
    assert guest.page.get_by_test_id("no-keys").count() == 0


def test_a_run_without_transfers_shows_how_to_add_one(stage: Stage, visit: Visiting) -> None:
    """Every DAG has the tabs, also those that have nothing to do with us."""
    guest = visit()
    guest.run(OTHER, stage.runs[OTHER])
    empty = guest.page.get_by_test_id("empty")
    empty.wait_for()
    assert "s3_to_azure_sync(" in empty.inner_text()

    guest.dag(OTHER)
    empty.wait_for()
    assert "This DAG has no S3 → Azure sync" in empty.inner_text()

    guest.dag(ARCHIVE)
    empty.wait_for()
    assert "The DAG is paused" in empty.inner_text()


def test_a_failed_run_names_its_keys_and_a_viewer_learns_who_can_retry(stage: Stage, visit: Visiting) -> None:
    """The failed key links to the log of the batch that it was in."""
    run = stage.runs[INVOICES]
    report = stage.airflow.xcom(INVOICES, run, REPORT)
    guest = visit("vera")
    guest.run(INVOICES, run)
    page = guest.page
    failure = page.get_by_test_id("failure").first
    failure.wait_for()

    assert (guest.figure("failed"), guest.figure("skipped")) == (str(report["failed"]), str(report["skipped"]))
    assert failure.locator("code").inner_text() == REFUSED
    assert "Azure returned 400 InvalidInput" in failure.inner_text()
    tasks = stage.airflow.task_instances(INVOICES, run)
    (failed,) = [task["map_index"] for task in tasks if task["task_id"] == COPY and task["state"] == "failed"]
    link = failure.get_by_role("link", name=f"log of batch {failed}").get_attribute("href")
    assert link is not None
    assert link.endswith(f"/runs/{run}/tasks/{COPY}/mapped/{failed}")

    page.get_by_test_id("retry").click()
    page.get_by_test_id("confirm").click()
    page.get_by_test_id("retry-error").wait_for()
    assert "ask someone who may edit the DAG" in page.get_by_test_id("retry-error").inner_text()
    guest.expect_refusal(403)


def test_retry_copies_what_was_missing_and_nothing_else(stage: Stage, visit: Visiting) -> None:
    """Also of a batch that a user marked as success; the page then follows the run to its end."""
    run = stage.runs[INVOICES]
    _mark_as_success(stage, INVOICES, run)
    container = stage.azure.container_client(CONTAINER)

    def blobs() -> dict[str, str]:
        return {blob.name: blob.etag for blob in container.list_blobs("invoices/")}

    before = blobs()
    stage.heal()
    guest = visit()
    guest.run(INVOICES, run)
    page = guest.page
    page.get_by_test_id("retry").click()
    page.get_by_test_id("confirm").click()
    page.get_by_test_id("notice").get_by_text("runs 1 incomplete batch again").wait_for()
    page.locator('[data-testid="transfer"][data-run-state="success"]').wait_for(timeout=RUN_TIMEOUT)

    after = blobs()
    assert {name for name in after if after[name] != before.get(name)} == {f"invoices/{REFUSED}"}
    assert before.items() <= after.items()
    counts = Counter(row["status"] for row in _ledger(stage, INVOICES, run))
    assert (guest.figure("copied"), guest.figure("failed")) == (str(counts["copied"]), "0")
    assert page.get_by_test_id("failures").count() == 0
    assert page.get_by_test_id("retry").count() == 0
    tries = {
        task["map_index"]: task["try_number"]
        for task in stage.airflow.task_instances(INVOICES, run)
        if task["task_id"] == COPY
    }
    assert sorted(tries.values()) == [1] * (len(tries) - 1) + [2]


# Many runs


def test_the_history_of_a_dag_is_that_of_its_ledgers(stage: Stage, visit: Visiting) -> None:
    """Runs in the order of their data, backfills marked; totals that add up; days that are missing or failed."""
    runs = _exports_runs(stage)
    ledgers = {day: _ledger(stage, EXPORTS, run) for day, run in runs}
    guest = visit("vera")
    guest.dag(EXPORTS)
    page = guest.page
    page.get_by_test_id("runs-chart").get_by_role("link").first.wait_for()

    size = sum(map(_copied_size, ledgers.values()))
    assert guest.figure("total-bytes") == _size_text(size)
    assert (guest.figure("total-runs"), guest.figure("total-bad")) == (str(len(runs)), "1")
    links = page.get_by_test_id("runs-chart").get_by_role("link").all()
    names = [(str(link.get_attribute("aria-label")), link) for link in links]
    assert ["dry run" in name for name, _ in names].count(True) == 1
    copies = [(name, link) for name, link in names if "dry run" not in name]
    for (day, run), (name, link) in zip(runs, copies, strict=True):
        rows = ledgers[day]
        copied = sum(row["status"] == "copied" for row in rows)
        assert name.startswith(_day(day)), name
        assert f"{copied} object{'' if copied == 1 else 's'} copied, {_size_text(_copied_size(rows))}" in name
        assert ("backfill" in name) == (day in stage.backfilled_days)
        assert ("failed;" in name) == (day == stage.failed_day)
        assert (link.get_attribute("href") or "").endswith(f"/dags/{EXPORTS}/runs/{run}/plugin/transfer")

    states = {
        day.get_attribute("data-day"): day.get_attribute("data-state")
        for day in page.get_by_test_id("calendar").locator("li[data-day]").all()
    }
    assert len(states) == 90
    assert {day for day, state in states.items() if state == "missing"} == {str(day) for day in stage.missing_days}
    assert {day for day, state in states.items() if state == "failed"} == {str(stage.failed_day)}
    assert sum(state == "success" for state in states.values()) == len(runs) - 1


def test_the_chart_is_reached_with_the_keyboard(stage: Stage, visit: Visiting) -> None:
    """One stop for Tab; arrows move among the runs and show their numbers; Enter opens the run."""
    runs = _exports_runs(stage)
    guest = visit()
    guest.dag(EXPORTS)
    page = guest.page
    links = page.get_by_test_id("runs-chart").get_by_role("link")
    links.first.wait_for()

    stops = [link.get_attribute("tabindex") for link in links.all()]
    assert stops == ["-1"] * (len(stops) - 1) + ["0"]
    links.last.focus()
    page.keyboard.press("Home")
    assert page.get_by_test_id("chart-readout").inner_text().startswith(_day(runs[0][0]))
    page.keyboard.press("ArrowRight")
    assert page.get_by_test_id("chart-readout").inner_text().startswith(_day(runs[1][0]))
    page.keyboard.press("Enter")
    page.get_by_test_id("transfer").wait_for()
    assert page.url.endswith(f"/runs/{runs[1][1]}/plugin/transfer")


def test_all_syncs_are_on_one_page_and_at_home(stage: Stage, visit: Visiting) -> None:
    """Each sync that ever ran is on the page, by its newest run; the home page counts them."""
    # The test of Retry, if it came before, has healed it.
    invoices = stage.airflow.wait_for_run(INVOICES, stage.runs[INVOICES], timeout=60)
    wanted = {EXPORTS: "success", MEDIA: "running", INVOICES: invoices, BROKEN: "failed", MIRROR: "running"}
    states = Counter(
        "good" if state == "success" else "bad" if state == "failed" else state for state in wanted.values()
    )
    guest = visit("vera")
    guest.all_transfers()
    page = guest.page
    page.get_by_test_id("sync-card").nth(len(wanted) - 1).wait_for()
    cards = page.get_by_test_id("sync-card").all()
    assert {card.get_attribute("data-dag"): card.get_attribute("data-state") for card in cards} == wanted
    assert guest.figure("total-syncs") == "5"
    assert {name: guest.figure(f"total-{name}") for name in states} == {name: str(n) for name, n in states.items()}

    guest.home()
    counts = page.get_by_test_id("home-counts")
    counts.wait_for()
    bad, running, good = (str(states[name]) for name in ("bad", "running", "good"))
    assert counts.inner_text().split() == ["✕", bad, "failed", "▸", running, "running", "✓", good, "succeeded"]


# All pages


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_have_contrast_and_controls_have_names(stage: Stage, visit: Visiting, theme: str) -> None:
    """Texts have the contrast that WCAG 2.2 AA requires, in both themes; every control has a name."""
    guest = visit(theme=theme)
    found = {}
    for name, go in {
        "run": lambda: guest.run(MEDIA, stage.runs[MEDIA]),
        "dag": lambda: guest.dag(EXPORTS),
        "all": guest.all_transfers,
    }.items():
        go()
        area = {"run": "transfer", "dag": "transfers", "all": "s3-to-azure"}[name]
        guest.page.get_by_test_id(area).wait_for()
        guest.page.locator(f'[data-testid="{area}"] [aria-busy="true"]').first.wait_for(state="detached")
        found[name] = guest.page.get_by_test_id(area).evaluate(_UNREADABLE)

    assert found == {"run": [], "dag": [], "all": []}


def test_days_follow_the_zone_of_the_dag(visit: Visiting) -> None:
    """A night of Berlin begins on the day before in UTC, also where summer time begins; hours are not days."""
    guest = visit()
    guest.all_transfers()
    guest.page.get_by_test_id("s3-to-azure").wait_for()

    assert guest.evaluate("format.js", "it.dayOf(given, 'Europe/Berlin')", "2026-11-20T23:00:00Z") == "2026-11-21"
    starts = "['2026-03-28', '2026-03-29', '2026-03-30', '2026-10-26'].map((day) => new Date(it.startOf(day, 'Europe/Berlin')).toISOString().slice(0, 16))"
    assert guest.evaluate("calendar_strip.js", starts) == [
        "2026-03-27T23:00",
        "2026-03-28T23:00",
        "2026-03-29T22:00",
        "2026-10-25T23:00",
    ]
    schedules = "given.map(it.runsEveryDay)"
    given = [
        "0 0 * * *",
        "30 */6 * * *",
        "@daily",
        "0 0 * * 1-5",
        "0 0 1 * *",
        "@weekly",
        "Never, external triggers only",
        None,
    ]
    assert guest.evaluate("history.js", schedules, given) == [True, True, True, False, False, False, False, False]


def test_sizes_and_times_are_written_as_in_the_log(visit: Visiting) -> None:
    """The same number reads the same on the page and in the log."""
    guest = visit()
    guest.all_transfers()
    guest.page.get_by_test_id("s3-to-azure").wait_for()
    sizes = [0, 1, 1023, 1024, 1024 * 99.97, 1024**2 - 1, 3.1 * 1024**3, 5 * 1024**4, 2**60]

    assert guest.evaluate("format.js", "given.map(it.bytes)", sizes) == [_size_text(size) for size in sizes]
    assert guest.evaluate("format.js", "given.map(it.duration)", [0.01, 4.2, 48.4, 200, 7500, 273_600]) == [
        "< 0.1 s",
        "4.2 s",
        "48 s",
        "3 min 20 s",
        "2 h 5 min",
        "3 d 4 h",
    ]
    shares = "[it.percent(999, 1000), it.percent(1, 1000), it.percent(0, 5), it.percent(5, 5), it.percent(1, 0)]"
    assert guest.evaluate("format.js", shares) == ["99.9 %", "< 1 %", "0 %", "100 %", "\u2013"]


# What changes the stage comes last


def test_a_running_run_is_polled_until_its_end(stage: Stage, visit: Visiting) -> None:
    """Bars move while it runs; nothing is requested while the page is hidden, nor after the end."""
    run = stage.runs[MEDIA]
    guest = visit()
    page = guest.page
    page.clock.install()
    guest.run(MEDIA, run)
    bar = page.get_by_test_id("sync-bar")
    page.get_by_test_id("batch-bar").first.wait_for()
    share = int(bar.get_attribute("aria-valuenow") or "")
    assert 0 < share < 100

    def is_ours(url: str) -> bool:
        return "operator=S3ToAzure" in url

    def polls(milliseconds: int) -> int:
        """Return how often our part of the page requests the run's tasks while time passes."""
        guest.requests.clear()
        page.clock.run_for(milliseconds)
        page.evaluate(_WAIT_FOR_RESPONSES)
        return sum(map(is_ours, guest.requests))

    with page.expect_request(lambda request: is_ours(request.url)):
        page.clock.run_for(40_000)
    page.evaluate(_HIDE, arg=True)
    polls(10_000)
    assert polls(60_000) == 0, "requested while the page was hidden"
    page.evaluate(_HIDE, arg=False)
    page.clock.resume()

    stage.go_on()
    page.locator('[data-testid="transfer"][data-run-state="success"]').wait_for(timeout=RUN_TIMEOUT)
    assert guest.figure("copied") == str(stage.scale.media)
    assert bar.count() == 0
    assert polls(120_000) == 0, "requested after the end"


def test_a_missing_day_is_backfilled_from_its_cell(stage: Stage, visit: Visiting) -> None:
    """A form with the day filled in; a viewer sees why not, an administrator gets the run."""
    missing = stage.missing_days[-1]

    def backfill(guest: Visit) -> None:
        guest.dag(EXPORTS)
        guest.page.locator(f'li[data-day="{missing}"] button').click()
        assert guest.page.get_by_label("From").input_value() == str(missing)
        assert guest.page.get_by_label("To", exact=True).input_value() == str(missing)
        guest.page.get_by_test_id("confirm").click()

    viewer = visit("vera")
    backfill(viewer)
    viewer.page.get_by_test_id("backfill-error").wait_for()
    assert "ask someone who may edit it" in viewer.page.get_by_test_id("backfill-error").inner_text()
    viewer.expect_refusal(403)

    admin = visit()
    # SQLite takes one writer at a time, and Airflow does not wait for its turn when it makes a backfill.
    admin.page.route("**/api/v2/backfills", _until_the_database_is_free)
    backfill(admin)
    admin.page.get_by_test_id("notice").get_by_text(f"Airflow creates the runs of {_day(missing)}.").wait_for()
    admin.page.locator(f'li[data-day="{missing}"][data-state="success"]').wait_for(timeout=RUN_TIMEOUT)
    runs = stage.airflow.api("GET", f"/dags/{EXPORTS}/dagRuns", run_type="backfill", limit=100)["dag_runs"]
    assert sorted(run["logical_date"][:10] for run in runs) == sorted(map(str, [*stage.backfilled_days, missing]))
    assert stage.missing_days[0] == missing - timedelta(days=1)


def _mark_as_success(stage: Stage, dag_id: str, run: str) -> None:
    """Mark the failed batch of a run as success, and let its report run again."""
    where = f"/dags/{dag_id}/dagRuns/{quote(run, safe='')}/taskInstances"
    tasks = stage.airflow.task_instances(dag_id, run)
    (failed,) = [task["map_index"] for task in tasks if task["task_id"] == COPY and task["state"] == "failed"]
    stage.airflow.api("PATCH", f"{where}/{COPY}/{failed}", new_state="success")
    body = {"dry_run": False, "dag_run_id": run, "task_ids": [REPORT], "only_failed": False, "reset_dag_runs": True}
    stage.airflow.api("POST", f"/dags/{dag_id}/clearTaskInstances", **body)
    assert stage.airflow.wait_for_run(dag_id, run, timeout=90) == "failed"
    assert stage.airflow.xcom(dag_id, run, REPORT)["incomplete_batches"] == [failed]


def _until_the_database_is_free(route: Any) -> None:
    for _ in range(100):
        response = route.fetch()
        if "Database is locked" not in response.text():
            break
    route.fulfill(response=response)


_WAIT_FOR_RESPONSES = """async () => {
  for (let turn = 0; turn < 5; turn += 1) await (await fetch('api/v2/version')).text();
}"""

RUN_TIMEOUT = 240_000
"""Milliseconds in which a run ends, also beside other tests."""

_HIDE = """(hidden) => {
  Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}"""

_UNREADABLE = """(root) => {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 1;
  const pen = canvas.getContext('2d', { willReadFrequently: true });
  const painted = (colours) => {
    pen.clearRect(0, 0, 1, 1);
    for (const one of colours) { pen.fillStyle = one; pen.fillRect(0, 0, 1, 1); }
    return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((value) => value / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const found = [];
    for (let one = element; one; one = one.parentElement) found.unshift(getComputedStyle(one).backgroundColor);
    return ['white', ...found];
  };
  const problems = [];
  const texts = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    const box = element.getBoundingClientRect();
    if (!texts.currentNode.data.trim() || box.width < 2 || box.height < 2) continue;
    const style = getComputedStyle(element);
    const ground = behind(element);
    const ink = element instanceof SVGElement ? style.fill : style.color;
    const [a, b] = [luminance(painted([...ground, ink])), luminance(painted(ground))].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && parseInt(style.fontWeight, 10) >= 700);
    if (ratio < (large ? 3 : 4.5)) problems.push(`${ratio.toFixed(2)}: ${texts.currentNode.data.trim()}`);
  }
  for (const one of root.querySelectorAll('a, button, [role="progressbar"], [role="img"], [role="table"], [tabindex="0"]')) {
    const name = one.getAttribute('aria-label') || one.textContent.trim() || document.getElementById(one.getAttribute('aria-labelledby'))?.textContent;
    if (!name && one.getAttribute('role') !== 'rowgroup') problems.push(`no name: ${one.outerHTML.slice(0, 120)}`);
  }
  return problems;
}"""
