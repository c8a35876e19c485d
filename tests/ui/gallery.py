"""`python -m tests.ui.gallery DIRECTORY [SCENE…]`: every page in every state, at three widths, light and dark, to be inspected by eye.

Also prints, for deployments of 46 syncs, 200 prefixes and 1,000 batches, how long each page takes to its first content and to
all of it, in seconds and in parts of the time that Airflow's own app takes to begin, and with how many requests. All of it is
from a fake Airflow that takes 50 ms for each response.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from playwright.sync_api import sync_playwright

from tests.ui.browsers import find_chromium
from tests.ui.fake_airflow import FakeAirflow, FakeServer
from tests.ui.scenes import COPY, MIB, PLAN, batches, cost, many_syncs, midnight, nightly, plan, preflight, report
from tests.ui.visit import AREAS, FakeVisit

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

RESPONSE_SECONDS = 0.05
"""About what Airflow's API takes on a quiet machine."""
WIDTHS = (800, 1280, 1920)
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
EXPORTS = "exports_to_azure"
Scene = Callable[[FakeAirflow], str]
"""Fills a deployment, and returns the run to show."""


def main() -> int:
    """Take the pictures and print the numbers."""
    chromium = find_chromium()
    if chromium is None or len(sys.argv) < 2:
        sys.stderr.write("usage: python -m tests.ui.gallery DIRECTORY [SCENE…]; needs Chromium (UI_CHROMIUM)\n")
        return 1
    directory, names = Path(sys.argv[1]), sys.argv[2:] or list(SCENES)
    directory.mkdir(parents=True, exist_ok=True)
    with FakeServer(RESPONSE_SECONDS) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context()
        _open(context, server, "home", "").close()  # the app is in the browser's cache from now on
        for name in names:
            view, scene = SCENES[name]
            server.airflow = FakeAirflow()
            run = scene(server.airflow)
            for theme in THEMES:
                server.airflow.requests.clear()
                visit = _open(context, server, view, run, theme=theme)
                if theme == "light" and name in LARGE:
                    sys.stdout.write(f"{name}: {_measured(visit)}, {len(server.airflow.requests)} requests\n")
                for width in WIDTHS:
                    visit.page.set_viewport_size({"width": width, "height": HEIGHTS[view]})
                    visit.page.wait_for_timeout(700)  # for bars and lines that move to where they belong
                    visit.page.screenshot(path=directory / f"{name}-{theme}-{width}.png")
                visit.check()
                visit.close()
        browser.close()
    return 0


def _open(
    context: BrowserContext, server: FakeServer, view: str, run: str, theme: Literal["light", "dark"] = "light"
) -> FakeVisit:
    watch = _WATCH.replace("AREA", AREAS[view])
    return FakeVisit(context, server, view, EXPORTS, run, theme=theme, height=HEIGHTS[view], script=watch)


def _measured(visit: FakeVisit) -> str:
    app, first, whole = visit.page.evaluate(_TIMES)
    return (
        f"first content {first / 1000:.2f} s and all of it {whole / 1000:.2f} s after Airflow's app asks for the plugin, "
        f"{first / app:.2f} and {whole / app:.2f} of the {app / 1000:.2f} s that the app takes (load {os.getloadavg()[0]:.1f})"
    )


def _running(airflow: FakeAirflow) -> str:
    run = batches(airflow, EXPORTS, ["success"] * 9 + ["failed"] + ["running"] * 3 + [None] * 20)
    for index in range(10, 13):
        airflow.progress[(EXPORTS, run, COPY, index)] = {
            "bytes": 17 * MIB * (index - 8),
            "all_bytes": 100 * MIB,
            "objects": 7 * (index - 8),
            "all_objects": 100,
            "bytes_per_second": 31 * MIB,
            "seconds_left": 95,
            "current": "exports/2026/11/21/part-00010/orders.parquet",
        }
    return run


def _failed(airflow: FakeAirflow) -> str:
    failures = [
        {
            "key": f"exports/2026/11/21/part-00009/orders-{number:04d}.parquet",
            "blob": f"orders-{number}",
            "error": "DestinationAccessDenied: Azure returned 403 AuthorizationPermissionMismatch: the wasb connection needs to "
            "read and write blobs here (role Storage Blob Data Contributor, or a SAS with racwl)",
            "batch": 9,
        }
        for number in range(3)
    ]
    skips = [{"key": "exports/2026/11/21/ends-with-a-dot.", "reason": "Azure drops a dot at the end of a name"}]
    totals: Any = {
        "copied": 996,
        "skipped": 1,
        "skips": skips,
        "failed": 3,
        "failures": failures,
        "verified": {"crc64nvme": 996},
    }
    run = batches(airflow, EXPORTS, ["success"] * 9 + ["failed"], **totals)
    airflow.xcoms[(EXPORTS, run, COPY, 9, "return_value")] |= {
        "copied": 96,
        "skipped": 1,
        "failed": 3,
        "failures": failures,
    }
    return run


def _names(airflow: FakeAirflow) -> str:
    """Labels that are long, and names that would move or hide the text around them."""
    label = "exports/year=2026/month=11/region=eu-central-1/customer=acme-industries-international/table=order_items/part-{index:05d}.snappy.parquet"
    hostile = "exports/evil\x1b[31m\u202egpj.exe\u2066\x00\n::group::x"
    failures = [{"key": hostile, "blob": hostile, "error": f"DestinationWriteError: no {hostile}", "batch": 12}]
    states = ["success"] * 12 + ["failed"] + ["success"] * 5
    run = batches(airflow, EXPORTS, states, label=label, failures=failures)
    airflow.xcoms[(EXPORTS, run, COPY, 12, "return_value")]["failures"] = failures
    return run


def _objects(airflow: FakeAirflow) -> str:
    """Copies of single keys, each a task."""
    airflow.add_dag(EXPORTS)
    run = airflow.add_run(EXPORTS, midnight(airflow, 1), state="failed")
    airflow.tasks.clear()
    for index in range(6):
        bad = index == 5
        key = f"2026/11/invoice-{index:04d}.pdf"
        fields = {"s3_key": key}
        airflow.add_task(
            EXPORTS, run, "object", state="failed" if bad else "success", map_index=index, label=key, fields=fields
        )
        if bad:
            line = {"exc_type": "AirflowFailException", "exc_value": f"SourceNotFound: S3 has no object '{key}'"}
            airflow.logs[(EXPORTS, run, "object", index)] = [{"event": "x", "level": "error", "error_detail": [line]}]
        else:
            result = {"status": "copied", "size": 3 * MIB, "bytes_read": 3 * MIB, "seconds": 1.5}
            airflow.xcoms[(EXPORTS, run, "object", index, "return_value")] = {**result, "verified": "crc64nvme"}
    return run


def _preflight(airflow: FakeAirflow) -> str:
    """A missing permission, features that are not available, and guardrails."""
    airflow.add_dag(EXPORTS)
    run = airflow.add_run(EXPORTS, midnight(airflow, 1), state="failed")
    airflow.tasks.clear()
    airflow.add_task(EXPORTS, run, "preflight", state="failed")
    write = "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/tags/write"
    found: dict[str, Any] = {
        "s3-tls": {"detail": "TLSv1.3 to acme.s3.eu-west-1.amazonaws.com, certificate verified"},
        "s3-range": {
            "status": "red",
            "detail": "S3 returned 403 AccessDenied: AWS connection 'aws_default' needs s3:GetObject here",
            "remedy": "allow s3:GetObject on the keys and, for SSE-KMS, kms:Decrypt",
            "action": "s3:GetObject",
            "policy": '{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::acme/exports/*"}',
            "request_id": "JQ2V3W5X7Y9Z1A3B, id2 1/2abcDEF4ghiJKL6mnoPQR8stuVWX0yz=",
        },
        "s3-key": {"status": "skipped", "detail": "it needs s3-range"},
        "azure-account": {
            "status": "amber",
            "detail": "StorageV2, Standard_ZRS, hierarchical namespace (ADLS Gen2)",
            "consequence": "no blob index tags (copy_tags); a and a/b cannot both be copied",
        },
        "azure-tags": {
            "status": "amber",
            "detail": "Azure returned 403 AuthorizationPermissionMismatch",
            "consequence": "copy_tags=True fails",
            "action": write,
            "policy": f'"DataActions": ["{write}"], or t in the SAS',
            "request_id": "c2a3e1f0-101e-0042-1f2e-8b7a5d000000",
        },
    }
    guardrails = {"allowed_sources": ["s3://acme/exports/*"], "max_bytes_per_run": 10 * 1024 * 1024 * MIB}
    airflow.xcoms[(EXPORTS, run, "preflight", -1, "return_value")] = preflight(found, guardrails=guardrails)
    return run


def _done(airflow: FakeAirflow) -> str:
    return batches(airflow, EXPORTS, ["success"] * 12)


def _one(airflow: FakeAirflow) -> str:
    return batches(airflow, EXPORTS, ["success"], objects=1, size=1)


def _dry(airflow: FakeAirflow) -> str:
    airflow.add_dag(EXPORTS)
    price = cost(6, 6 * MIB, 0.54)
    summary = report(0, 0, objects=0, dry_run=True, cost=price)
    run = airflow.add_run(EXPORTS, midnight(airflow, 1), report=summary)
    return _planned(airflow, run, plan(6, 6 * MIB, dry_run=True, cost=price))


def _quiet(airflow: FakeAirflow) -> str:
    run = nightly(airflow, EXPORTS, 30, report=report(0, 0, objects=900, unchanged=900))
    return _planned(airflow, run, plan(900, 0))


def _planned(airflow: FakeAirflow, run: str, totals: dict[str, object]) -> str:
    airflow.add_task(EXPORTS, run, "plan")
    airflow.xcoms[(EXPORTS, run, PLAN, -1, "plan")] = totals
    airflow.xcoms[(EXPORTS, run, PLAN, -1, "return_value")] = []
    return run


def _plan_failed(airflow: FakeAirflow) -> str:
    airflow.add_dag(EXPORTS)
    run = airflow.add_run(EXPORTS, midnight(airflow, 1), state="failed")
    airflow.add_task(EXPORTS, run, "plan", state="failed")
    airflow.logs[(EXPORTS, run, PLAN, -1)] = [
        {
            "event": "Task failed with exception",
            "level": "error",
            "error_detail": [
                {
                    "exc_type": "AirflowFailException",
                    "exc_value": "SourceNotFound: S3 returned 404 NoSuchBucket: there is no bucket 'acme-exprots'; check the "
                    "name, and region and endpoint of AWS connection 'aws_default'\n  ('s3://acme-exprots/exports/')",
                }
            ],
        }
    ]
    return run


def _approval(airflow: FakeAirflow) -> str:
    airflow.add_dag(EXPORTS)
    run = airflow.add_run(EXPORTS, midnight(airflow, 1), state="running")
    _planned(airflow, run, plan(0, 0, extra=32))
    task = airflow.add_task(EXPORTS, run, "approve_delete", state="awaiting_input")
    body = "**32 blobs** were copied from S3, and their keys are gone:\n\n* `exports/old.csv`\n* `exports/older.csv`"
    airflow.approvals.append(
        {"subject": "Delete?", "body": body, "options": ["Approve", "Reject"], "task_instance": task}
    )
    return run


def _history(airflow: FakeAirflow) -> str:
    airflow.add_dag(EXPORTS)
    for back in (*range(60, 9, -1), *range(7, 0, -1)):
        bad = back in (1, 23)
        values: dict[str, object] = {"failed": 2} if bad else {}
        done = report(back % 7 + 1, (back % 9 + 1) * 60 * MIB, **values)
        airflow.add_run(EXPORTS, midnight(airflow, back), state="failed" if bad else "success", report=done)
    dry = report(0, 0, dry_run=True, cost=cost(3, MIB))
    airflow.add_run(EXPORTS, midnight(airflow, 8), kind="manual", report=dry, ran=airflow.now - timedelta(hours=1))
    return ""


def _hourly(airflow: FakeAirflow) -> str:
    """Several runs of one day, in every state."""
    airflow.add_dag(EXPORTS, schedule="0 * * * *")
    states = ["success"] * 20 + ["failed", "success", "skipped", "success", "running"]
    for back, state in zip(range(len(states), 0, -1), states, strict=True):
        start = airflow.now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=back)
        failed = int(state == "failed")
        summary = report(back % 4, back % 4 * 200 * MIB, failed=failed) if state in ("success", "failed") else None
        run = airflow.add_run(
            EXPORTS,
            start,
            state=state if state != "skipped" else "success",
            report=summary,
            ran=start + timedelta(hours=1),
        )
        if state == "skipped":
            airflow.tasks[-1]["state"] = "skipped"
    return run


def _young(airflow: FakeAirflow) -> str:
    return nightly(airflow, EXPORTS, 2)


def _empty(airflow: FakeAirflow) -> str:
    airflow.add_dag(EXPORTS)
    return ""


def _some(airflow: FakeAirflow) -> str:
    nightly(airflow, EXPORTS, 60, state="failed", report=report(3, failed=2, objects=5))
    nightly(airflow, "media_to_azure", 30)
    nightly(airflow, "quiet_to_azure", 30, report=report(0, 0, objects=900, unchanged=900))
    airflow.add_run("media_to_azure", midnight(airflow), state="running")
    return ""


def _many(airflow: FakeAirflow) -> str:
    many_syncs(airflow)
    return ""


def _thousand(airflow: FakeAirflow) -> str:
    return batches(airflow, EXPORTS, ["success"] * 500 + ["failed"] + ["success"] * 499)


def _prefixes(airflow: FakeAirflow) -> str:
    return batches(airflow, EXPORTS, ["success"] * 5, prefixes=200)


SCENES: dict[str, tuple[str, Scene]] = {
    "run-running": ("run", _running),
    "run-failed": ("run", _failed),
    "run-done": ("run", _done),
    "run-names": ("run", _names),
    "run-objects": ("run", _objects),
    "run-one": ("run", _one),
    "run-dry": ("run", _dry),
    "run-quiet": ("run", _quiet),
    "run-plan-failed": ("run", _plan_failed),
    "run-approval": ("run", _approval),
    "run-preflight": ("run", _preflight),
    "run-1000-batches": ("run", _thousand),
    "run-200-prefixes": ("run", _prefixes),
    "dag": ("dag", _history),
    "dag-hourly": ("dag", _hourly),
    "dag-young": ("dag", _young),
    "dag-empty": ("dag", _empty),
    "all": ("all", _some),
    "all-46-syncs": ("all", _many),
    "all-empty": ("all", _empty),
    "home": ("home", _some),
    "home-46-syncs": ("home", _many),
    "home-empty": ("home", _empty),
}
LARGE = ("run-1000-batches", "run-200-prefixes", "dag", "all-46-syncs", "home-46-syncs")
HEIGHTS = {"run": 1000, "dag": 1300, "all": 1200, "home": 200}
_WATCH = """
const look = () => {
  const area = document.querySelector('[data-testid="AREA"]');
  if (!area || area.ariaBusy === 'true') return;
  // After the next frame it is on the screen.
  const painted = (name) => requestAnimationFrame(() => setTimeout(() => { window[name] ??= performance.now(); }));
  painted('firstContent');
  if (area.querySelector('[aria-busy="true"]')) return;
  painted('wholeContent');
  observer.disconnect();
};
const observer = new MutationObserver(look);
observer.observe(document, { childList: true, subtree: true, attributes: true });
"""
_TIMES = """async () => {
  while (!window.wholeContent) await new Promise((resolve) => setTimeout(resolve, 20));
  const [asked] = performance.getEntriesByType('resource').filter((one) => one.name.endsWith('/entry.js'));
  return [asked.startTime, window.firstContent - asked.startTime, window.wholeContent - asked.startTime];
}"""

if __name__ == "__main__":
    sys.exit(main())
