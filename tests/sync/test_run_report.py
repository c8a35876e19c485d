"""The report: a whole ledger, added up."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_s3_azure.engine.errors import SourceNotFound
from airflow_s3_azure.engine.model import CopyResult, Status
from airflow_s3_azure.sync.rows import ledger_row
from airflow_s3_azure.sync.run_report import Report

MIB = 1024**2


def row(status: Status, key: str = "key", **values: Any) -> dict[str, Any]:
    """Return a row of the ledger."""
    return ledger_row(CopyResult(key, key, status, **values), batch=3, attempts=1)


def copied(size: int = 5, **values: Any) -> dict[str, Any]:
    """Return the row of a copied object."""
    return row("copied", size=size, **{"bytes_read": size, "verified": "crc32", **values})


def failed(key: str = "key", **values: Any) -> dict[str, Any]:
    """Return the row of a failed object."""
    return row("failed", key, error=SourceNotFound("gone", key=f"s3://b/{key}"), **values)


def deletion(status: str, blob: str = "blob") -> dict[str, Any]:
    """Return the row of a blob that was to be deleted."""
    error = f"{blob!r} could not be deleted: no" if status == "failed" else None
    return row("skipped", size=100) | {"key": None, "blob": blob, "status": status, "error": error}


def report(planned: int, *rows: dict[str, Any]) -> Report:
    """Return the report of a ledger."""
    made = Report(planned)
    made.add(rows)
    return made


def test_a_ledger_is_added_up() -> None:
    """Keys by status, bytes of the copied, bytes read of all, and what verified the copied."""
    made = report(
        6,
        copied(10),
        copied(20, bytes_read=25, verified="blocks"),
        copied(30),
        row("unchanged", size=40),
        row("skipped", size=50, reason="no"),
        failed(size=60, bytes_read=7),
    )

    assert made.as_json() == {
        "objects": 6,
        "copied": 3,
        "unchanged": 1,
        "skipped": 1,
        "failed": 1,
        "archived": 0,
        "deleted": 0,
        "missing": 0,
        "copied_bytes": 60,
        "bytes_read": 72,
        "verified": {"blocks": 1, "crc32": 2},
        "failures": [{"key": "key", "blob": "key", "error": "SourceNotFound: gone ('s3://b/key')", "batch": 3}],
        "skips": [{"key": "key", "reason": "no"}],
    }


def test_keys_of_archived_objects_are_counted_separately() -> None:
    """They are skipped keys; rows of earlier versions have no such column."""
    earlier = {name: value for name, value in row("skipped", reason="no").items() if name != "archived"}

    made = report(4, row("skipped", reason="no"), row("skipped", reason="cold", archived=True), earlier, copied())

    assert (made.as_json()["skipped"], made.as_json()["archived"]) == (3, 1)
    assert [line.split() for line in made.table().splitlines()[2:4]] == [
        ["skipped", "3"],
        ["of", "these", "archived", "1"],
    ]


def test_parts_of_a_ledger_are_added_up() -> None:
    """The ledger is read part after part."""
    made = Report(3)

    made.add([copied(), row("unchanged")])
    made.add([copied()])

    assert made.counts == {"copied": 2, "unchanged": 1, "skipped": 0, "failed": 0}


def test_two_reports_share_nothing() -> None:
    """Each begins at zero."""
    report(1, copied())

    assert Report(1).counts == {"copied": 0, "unchanged": 0, "skipped": 0, "failed": 0}


def test_a_report_is_json() -> None:
    """It goes into XCom and ``summary.json`` as it is."""
    found = report(2, copied(), failed()).as_json()

    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("planned", "rows", "missing", "good"),
    [
        (0, [], 0, True),
        (2, [copied(), row("unchanged")], 0, True),
        (1, [row("skipped")], 0, True),
        (1, [failed()], 0, False),
        (3, [copied()], 2, False),
        (1, [copied(), copied()], -1, False),
        (2, [failed()], 1, False),
    ],
    ids=["nothing", "all there", "skipped", "failed", "missing", "twice", "failed and missing"],
)
def test_a_plan_is_good_if_each_key_is_there_and_none_failed(
    *, planned: int, rows: list[dict[str, Any]], missing: int, good: bool
) -> None:
    """Skipped keys have their reason; missing ones have none."""
    made = report(planned, *rows)

    assert (made.missing, made.is_good) == (missing, good)


def test_a_report_names_the_first_failures() -> None:
    """The ledger has them all; XCom gets ten."""
    made = report(12, *[failed(str(number)) for number in range(12)])

    assert made.counts["failed"] == 12
    assert [one["key"] for one in made.as_json()["failures"]] == [str(number) for number in range(10)]


def test_the_verdict_quotes_failures() -> None:
    """Each line is one key with its error."""
    made = report(1500, *[failed(str(number)) for number in range(2)], *[copied()] * 1498)

    assert made.verdict().splitlines() == [
        "2 of 1,500 keys could not be copied:",
        "  SourceNotFound: gone ('s3://b/0')",
        "  SourceNotFound: gone ('s3://b/1')",
    ]


def test_the_verdict_counts_what_it_does_not_quote() -> None:
    """Ten are quoted."""
    lines = report(12, *[failed()] * 12).verdict().splitlines()

    assert len(lines) == 12
    assert lines[-1] == "  … and 2 more, in the ledger"


def test_the_verdict_counts_missing_keys() -> None:
    """A batch that was killed has written nothing."""
    assert report(1500, copied()).verdict() == (
        "1,499 of 1,500 keys are not in the ledger: their batches did not finish; clear the failed copy tasks to copy them"
    )


def test_the_verdict_counts_duplicate_keys() -> None:
    """That is a defect, and not hidden."""
    assert report(1, copied(), copied()).verdict() == "1 keys are in the ledger more than once"


def test_the_verdict_counts_failed_and_missing_keys() -> None:
    """One does not hide the other."""
    lines = report(3, failed()).verdict().splitlines()

    assert [line[:7] for line in lines] == ["1 of 3 ", "  Sourc", "2 of 3 "]


def test_deletions_are_no_keys() -> None:
    """They are counted beside the keys, and the plan's keys must still all be there."""
    made = report(1, copied(10), deletion("deleted"), deletion("deleted"), deletion("kept"))

    assert (made.missing, made.is_good) == (0, True)
    assert made.deletions == {"deleted": 2, "kept": 1, "failed": 0}
    assert {name: made.as_json()[name] for name in ("objects", "copied", "deleted", "copied_bytes")} == {
        "objects": 1,
        "copied": 1,
        "deleted": 2,
        "copied_bytes": 10,
    }


def test_a_failed_deletion_fails_the_run() -> None:
    """It is named as a failed key is."""
    made = report(1, copied(), deletion("failed", "old"))

    assert not made.is_good
    assert made.as_json()["failures"] == [
        {"key": None, "blob": "old", "error": "'old' could not be deleted: no", "batch": 3}
    ]
    assert made.verdict().splitlines() == ["1 blobs could not be deleted:", "  'old' could not be deleted: no"]


def test_the_verdict_counts_failures_of_both_kinds() -> None:
    """Ten in all are quoted."""
    rows = [failed(str(number)) for number in range(8)] + [deletion("failed", str(number)) for number in range(5)]
    lines = report(8, *rows).verdict().splitlines()

    assert lines[:2] == ["8 of 8 keys could not be copied:", "5 blobs could not be deleted:"]
    assert lines[-1] == "  … and 3 more, in the ledger"
    assert len(lines) == 13


def test_the_table_shows_deletions_and_time() -> None:
    """Only of those that there were."""
    lines = report(0, deletion("deleted"), deletion("deleted")).table(90).splitlines()

    assert "  blobs deleted             2" in lines
    assert not [line for line in lines if "blobs kept" in line]
    assert lines[-1].split()[0] == "time"


def test_the_table_names_the_first_skipped_keys() -> None:
    """With their reasons, and how many more there are."""
    rows = [row("skipped", f"a\n{number}", reason="no") for number in range(12)]
    lines = report(12, *rows).table().splitlines()

    assert lines[-11] == r"  skipped: 'a\n0': no"
    assert lines[-1] == "  … and 2 more skipped, in the ledger"


def test_the_table_lines_up() -> None:
    """Statuses, bytes and what verified the copies, in two columns."""
    made = report(1202, *[copied(MIB)] * 1200, row("unchanged"))

    assert made.table().splitlines() == [
        "  copied                    1,200",
        "  unchanged                     1",
        "  skipped                       0",
        "  failed                        0",
        "  not in the ledger             1",
        "  planned                   1,202",
        "  bytes copied            1.2 GiB",
        "  bytes read              1.2 GiB",
        "  verified by crc32         1,200",
    ]


def test_the_table_of_a_whole_ledger_shows_nothing_missing() -> None:
    """The line is only there when it has something to say."""
    assert "not in the ledger" not in report(1, copied()).table()
