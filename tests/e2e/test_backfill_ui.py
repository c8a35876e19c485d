"""The trigger forms and a backfill, by hand: a real browser drives the UI of a started Airflow."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT, Bucket, needs_airflow_3_3
from tests.servers import AirflowServer
from tests.ui.browsers import find_chromium

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient
    from playwright.sync_api import Locator, Page

    from tests.servers import AzureServer, S3Server

# Its clicks are those of the form of Airflow 3.3.
pytestmark = [pytest.mark.servers, pytest.mark.airflow, needs_airflow_3_3]

NIGHTLY, HISTORY, KEYS = "s3_to_azure_nightly", "s3_to_azure_history", "s3_to_azure_keys"
DAYS = ("2026-03-28", "2026-03-29")
MAX_SECONDS = 30
"""Seconds in which the browser finds an element, on a busy machine."""


@pytest.fixture(scope="module")
def chromium() -> str:
    """The machine's Chromium: playwright's own download is not needed."""
    found = find_chromium()
    if found is None:
        pytest.skip("there is no Chromium: install Debian's package `chromium`, or name one in UI_CHROMIUM")
    return found


@pytest.fixture(scope="module")
def bucket(s3_server: S3Server) -> Bucket:
    """A bucket with a key for each of a few days."""
    bucket = Bucket(s3_server, f"exports-{secrets.token_hex(6)}")
    for day in ("2026-03-27", *DAYS, "2026-03-30"):
        bucket.put(f"exports/{day}/orders.csv", day.encode())
    return bucket


@pytest.fixture(scope="module")
def container(azure_server: AzureServer) -> ContainerClient:
    """The container that the forms name."""
    return azure_server.container_client(f"landing-{secrets.token_hex(6)}")


@pytest.fixture(scope="module")
def airflow(
    chromium: str,  # noqa: ARG001 - without a browser there is no need for it
    bucket: Bucket,
    container: ContainerClient,
    s3_server: S3Server,
    azure_server: AzureServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[AirflowServer]:
    """An Airflow with all DAGs, their defaults set as documented."""
    connections = {"aws_default": s3_server.airflow_connection(), "wasb_default": azure_server.airflow_connection()}
    config = {
        "S3_TO_AZURE_BUCKET": bucket.name,
        "S3_TO_AZURE_PREFIX": "exports/",
        "S3_TO_AZURE_DAY_FOLDER": "%Y-%m-%d/",
        "S3_TO_AZURE_CONTAINER": container.container_name,
        "S3_TO_AZURE_DRY_RUN": "false",
        # All runs are the tests' own: once unpaused, last night's would start too.
        "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
    }
    with AirflowServer(tmp_path_factory.mktemp("ui"), ROOT / "dags", connections, config) as server:
        for dag_id in (NIGHTLY, HISTORY, KEYS):
            server.wait_for_dag(dag_id)
            server.unpause(dag_id)
        yield server


@pytest.fixture(scope="module")
def page(airflow: AirflowServer, chromium: str) -> Iterator[Page]:
    """A browser's page, of someone who has logged in."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(
            base_url=airflow.url, timezone_id="UTC", locale="en-GB", viewport={"width": 1400, "height": 1600}
        )
        context.add_cookies([{"name": "_token", "value": airflow.token(), "url": airflow.url}])
        context.set_default_timeout(MAX_SECONDS * 1000)
        yield context.new_page()
        browser.close()


def _open_form(page: Page, dag_id: str) -> Locator:
    page.goto(f"/dags/{dag_id}")
    page.get_by_role("button", name="Trigger").first.click()
    form = page.get_by_role("dialog").filter(has_text=dag_id)
    _field(form, "s3_bucket").wait_for()
    return form


def _field(form: Locator, name: str) -> Locator:
    # Airflow's labels do not name their fields.
    return form.locator(f"[name=element_{name}]")


@pytest.mark.parametrize(
    ("dag_id", "opened", "more"),
    [
        (NIGHTLY, ["s3_prefix", "day_folder", "container_name", "blob_prefix"], ["include", "exclude"]),
        (
            HISTORY,
            ["s3_prefix", "first_day", "last_day", "day_folder", "container_name"],
            ["s3_keys", "restore_price_per_gib", "include", "exclude"],
        ),
        (KEYS, ["s3_keys", "s3_prefix", "container_name", "blob_prefix"], ["include", "exclude"]),
    ],
)
def test_a_form_shows_the_important_fields_first(
    page: Page, bucket: Bucket, tmp_path: Path, dag_id: str, opened: list[str], more: list[str]
) -> None:
    """With their defaults; the others are one click away."""
    form = _open_form(page, dag_id)

    bucket_then = _field(form, "s3_bucket").input_value()
    visible_then = [name for name in [*opened, *more] if _field(form, name).is_visible()]
    page.screenshot(path=tmp_path / f"{dag_id}.png", full_page=True)
    if more:
        form.get_by_role("button", name="More").click()
        _field(form, more[0]).wait_for()
        page.screenshot(path=tmp_path / f"{dag_id}-more.png", full_page=True)

    assert bucket_then == bucket.name
    assert visible_then == opened
    assert all(_field(form, name).is_visible() for name in more)


def test_history_is_tried_from_its_form(page: Page, airflow: AirflowServer) -> None:
    """What is typed, picked and switched there reaches the run as it is meant."""
    form = _open_form(page, HISTORY)
    _field(form, "first_day").fill(DAYS[0])
    _field(form, "last_day").fill(DAYS[1])
    form.locator("label", has=page.locator("[name=element_dry_run]")).click()
    form.get_by_role("button", name="More").click()
    _field(form, "include").fill("**/*.csv\n*.parquet")

    run_id = _trigger(page, form)

    assert airflow.wait_for_run(HISTORY, run_id, timeout=120) == "success"
    report = airflow.xcom(HISTORY, run_id, "s3_to_azure.report")
    assert (report["dry_run"], report["cost"]["objects"], report["copied"]) == (True, 2, 0)


def test_archived_objects_of_a_list_are_planned_from_the_form(
    page: Page, bucket: Bucket, airflow: AirflowServer, tmp_path: Path
) -> None:
    """What is chosen there reaches the plan: the keys, the restore, its tier and its price."""
    bucket.put("archive/cold.csv", b"12345", StorageClass="GLACIER")
    form = _open_form(page, HISTORY)
    _field(form, "s3_prefix").fill("archive/")
    form.locator("label", has=page.locator("[name=element_dry_run]")).click()
    form.get_by_role("button", name="More").click()
    _field(form, "s3_keys").fill("archive/cold.csv\narchive/gone.csv")
    fates = _choose(page, form, "archived", "restore")
    tiers = _choose(page, form, "restore_tier", "Standard")
    _field(form, "restore_price_per_gib").fill(str(1024**3))
    page.screenshot(path=tmp_path / "restore.png", full_page=True)

    run_id = _trigger(page, form)

    assert (fates, tiers) == (["skip", "restore", "fail"], ["Bulk", "Standard", "Expedited"])
    assert airflow.wait_for_run(HISTORY, run_id, timeout=120) == "success"
    plan = airflow.xcom(HISTORY, run_id, "s3_to_azure.plan", "plan")
    assert plan["archived"] == {"objects": 1, "size": 5, "tier": "Standard", "days": 7, "price": 5.0}
    assert (plan["objects"], plan["counts"]["copy"], plan["counts"]["skipped"]) == (2, 1, 1)


def _choose(page: Page, form: Locator, name: str, value: str) -> list[str]:
    """Choose one of a field's fixed values, and return all values."""
    form.locator(f"#element_{name}").click()
    options = page.get_by_role("option")
    options.first.wait_for()
    values = [text.partition(":")[0] for text in options.all_inner_texts()]
    options.nth(values.index(value)).click()
    return values


def _trigger(page: Page, form: Locator) -> str:
    """Send the form, and return the ID of its run."""
    with page.expect_response(lambda response: response.request.method == "POST" and "dagRuns" in response.url) as sent:
        form.get_by_role("button", name="Trigger").click()
    return str(sent.value.json()["dag_run_id"])


def test_a_backfill_is_five_clicks(page: Page, airflow: AirflowServer, container: ContainerClient) -> None:
    """Trigger, Backfill, From, To, Run: one green run for each day, with the day's key."""
    form = _open_form(page, NIGHTLY)
    form.get_by_text("Backfill", exact=True).click()
    for label, day in zip(("From", "To"), DAYS, strict=True):
        field = form.get_by_role("group").filter(has=page.get_by_text(label, exact=True))
        field.get_by_test_id("datetime-input").click()
        date = page.get_by_role("textbox", name=label, exact=True).and_(page.get_by_placeholder("YYYY/MM/DD"))
        date.fill(day.replace("-", "/"))
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
        date.wait_for(state="hidden")
    form.get_by_text("2 runs will be triggered").wait_for()

    with airflow.quiet_database(), page.expect_response(re.compile("/backfills$")) as sent:
        form.get_by_role("button", name="Run Backfill").click()

    assert sent.value.status == 200, sent.value.text()
    runs = airflow.runs(NIGHTLY, "backfill")
    assert [run["logical_date"] for run in runs] == [f"{day}T00:00:00Z" for day in DAYS]
    states = [airflow.wait_for_run(NIGHTLY, run["dag_run_id"], timeout=120) for run in runs]
    assert states == ["success", "success"]
    copies = [name for name in container.list_blob_names() if not name.startswith("_s3_to_azure/")]
    assert copies == [f"exports/{day}/orders.csv" for day in DAYS]
    page.goto(f"/dags/{NIGHTLY}/runs")
    page.get_by_text("success", exact=False).nth(1).wait_for()
    assert datetime.fromisoformat(runs[0]["data_interval_end"]) == datetime(2026, 3, 29, tzinfo=UTC)
