"""``python -m tests.cloud``: run the preflight and the contract tests on real accounts, and add a row to the page."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree.ElementTree import parse

from tests.cloud.accounts import HELP, Accounts, configured

if TYPE_CHECKING:
    from airflow_s3_azure.preflight.preflight_report import PreflightReport

ROOT = Path(__file__).parent.parent.parent
END = "<!-- [end:accounts] -->"
"""The line of the page before which the row is added."""


def main() -> int:
    """Return 0 if no check is red and all contract tests passed; 2 if nothing is configured."""
    accounts = configured()
    if accounts is None:
        sys.stdout.write(HELP)
        return 2
    with tempfile.TemporaryDirectory(prefix="s3-azure-cloud-") as home:
        os.environ.update(AIRFLOW_HOME=home, **accounts.connections())
        report = _preflight(accounts)
        passed, failed = _contracts(Path(home) / "contracts.xml")
    _add_row(Path(os.environ.get("CLOUD_TABLE") or ROOT / "docs" / "compatibility.md"), report, passed, failed)
    return 1 if report.status == "red" or failed or not passed else 0


def _preflight(accounts: Accounts) -> PreflightReport:
    """Run the preflight and print its table."""
    from airflow_s3_azure.connections.preflight_run import run_checks
    from airflow_s3_azure.endpoints import Endpoints
    from airflow_s3_azure.engine.cancellation import Cancellation
    from airflow_s3_azure.preflight.preflight_options import PreflightOptions
    from airflow_s3_azure.preflight.table import as_text

    endpoints = Endpoints(accounts.bucket, accounts.container, accounts.aws_conn_id, "cloud_wasb")
    options = PreflightOptions(s3_prefix=accounts.prefix, blob_prefix=accounts.blob_prefix, write_source=True)
    report = run_checks(endpoints, options, Cancellation())
    sys.stdout.write(as_text(report) + "\n")
    sys.stdout.flush()
    return report


def _contracts(results: Path) -> tuple[int, int]:
    """Run the contract tests; return how many passed, and how many did not."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/cloud/test_contracts.py"]
    subprocess.run([*command, f"--junitxml={results}"], cwd=ROOT, check=False)
    (suite,) = parse(results).getroot().iter("testsuite")
    tests, failed = (sum(int(suite.attrib[name]) for name in names) for names in (["tests"], ["failures", "errors"]))
    return tests - failed - int(suite.attrib["skipped"]), failed


def _add_row(page: Path, report: PreflightReport, passed: int, failed: int) -> None:
    """Add one row to the table of a page. It names no account."""
    details = {one.name: one.detail for one in report.results}
    counts = report.counts()
    others = [f"{one.name} {one.status}" for one in report.results if one.status in ("red", "amber")]
    found = f"{counts['green']} green" + (f"; {', '.join(others)}" if others else "")
    tests = f"{passed} passed" + (f", {failed} failed" if failed else "")
    cells = [f"{datetime.now(UTC):%d %B %Y}", details["s3-bucket"], details["azure-account"], found, tests]
    row = "| " + " | ".join(one.replace("|", "\\|") for one in cells) + " |\n"
    text = page.read_text()
    page.write_text(text.replace(END, row + END))
    sys.stdout.write(f"{page}: {row}")


if __name__ == "__main__":
    sys.exit(main())
