"""What the user reads: what the first runs report, and how to connect to the servers."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from demo import seed
from demo.nightly import Outcome
from demo.screen import Screen, size_text
from tests.servers import AzureServer, S3Server

Ledgers = Mapping[str, Sequence[Mapping[str, Any]]]
"""Rows by bucket."""
SHOWN_KEYS = (seed.TEMPLATE_KEY, seed.EMOJI_KEY, seed.DOUBLE_SLASH_KEY, "exports/2026/11/21/orders-00001.csv.gz")


def show_accident(screen: Screen, row: Mapping[str, Any], *, killed: bool) -> None:
    """Say what the next try of a killed copy resumed.

    :param row: of the object in the ledger
    """
    if killed:
        blocks, resumed = row["blocks"], row["resumed_blocks"]
        rest = f"copied the other {blocks - resumed}" if resumed < blocks else "committed them"
        screen.say(
            f"Killed and resumed: the copy of {row['key']} was killed before its commit. Its next try found "
            f"{resumed} of {blocks} blocks staged, and {rest}. Objects that the killed try had copied are unchanged."
        )
    else:
        screen.say(f"  ({row['key']} was copied before its task could be killed.)", "dim")


def show_runs(screen: Screen, outcomes: Sequence[Outcome], ledgers: Ledgers) -> None:
    """Show what the first runs report, what they skipped, and some rows of their ledgers."""
    reports = [outcome.report for outcome in outcomes]
    rows = [(name, *(f"{one[name]:,}" for one in reports)) for name in ("copied", "unchanged", "skipped", "failed")]
    rows.append(("bytes", *(size_text(one["copied_bytes"]) for one in reports)))
    proofs = sorted({how for one in reports for how in one["verified"]})
    rows += [(f"verified by {how}", *(f"{one['verified'].get(how, 0):,}" for one in reports)) for how in proofs]
    rows.append(("seconds", *(f"{outcome.seconds:.1f}" for outcome in outcomes)))
    screen.heading("Reports of the runs (XCom)")
    screen.table(("", *(outcome.run.bucket for outcome in outcomes)), rows, right=(1, 2))
    all_rows = [row for bucket in ledgers for row in ledgers[bucket]]
    screen.heading("Skipped keys and reasons (ledger)")
    screen.table(("key", "reason"), [(row["key"], row["reason"]) for row in all_rows if row["status"] == "skipped"])
    largest = max(all_rows, key=lambda row: int(row["size"]))
    chosen = [largest, *(row for key in SHOWN_KEYS for row in all_rows if row["key"] == key)]
    screen.heading(f"{len(chosen)} of {len(all_rows):,} ledger rows")
    screen.table(
        ("key", "status", "size", "blocks", "resumed", "verified"),
        [
            (
                row["key"],
                row["status"],
                size_text(row["size"]),
                str(row["blocks"] or "-"),
                str(row["resumed_blocks"] or "-"),
                row["verified"] or "-",
            )
            for row in chosen
        ],
        right=(2, 3, 4),
    )


def connection_lines(s3: S3Server, azure: AzureServer) -> list[str]:
    """Return shell lines: Airflow connections, and environment variables of the AWS and Azure CLIs."""
    values = {
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(s3.airflow_connection()),
        "AIRFLOW_CONN_WASB_DEFAULT": json.dumps(azure.airflow_connection()),
        "AWS_ENDPOINT_URL": s3.endpoint_url,
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "AWS_DEFAULT_REGION": s3.region,
        "AZURE_STORAGE_CONNECTION_STRING": azure.connection_string,
    }
    return [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
