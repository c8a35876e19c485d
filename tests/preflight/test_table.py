"""The table in a terminal and in a log."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from airflow_s3_azure.preflight.table import as_text, render
from tests.preflight.reports import report_of, result


def test_a_row_has_what_its_status_needs() -> None:
    """Green is one line; red has the remedy, the missing action, the policy line and the request ID."""
    text = as_text(report_of(result("green"), result("amber"), result("red"), result("skipped")), width=100)

    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in text.splitlines() if line.startswith("│")]
    assert rows == [
        ["✔ green", "green-check", "what was found"],
        ["▲ amber", "amber-check", "what was found"],
        ["", "", "proves: what is proven"],
        ["", "", "consequence: what follows"],
        ["✘ red", "red-check", "what was found"],
        ["", "", "proves: what is proven"],
        ["", "", "do: what to do"],
        ["", "", "missing: s3:GetObject"],
        ["", "", 'policy: {"Effect": "Allow"}'],
        ["", "", "request: REQUEST-1"],
        ["– skipped", "skipped-check", "what was found"],
        ["", "", "proves: what is proven"],
    ]


def test_the_guardrails_the_numbers_and_what_was_left_follow_the_table() -> None:
    """Below, because they are about all rows."""
    report = report_of(
        result("green"),
        guardrails={"allowed_sources": ["s3://a/*", "s3://b/*"], "max_bytes_per_run": 10 * 2**40},
        left=("a/blob", "a/tier"),
    )

    assert as_text(report).splitlines()[-3:] == [
        "guardrails: allowed_sources = s3://a/*, s3://b/*; max_bytes_per_run = 10.0 TiB",
        "0 red, 0 amber, 0 skipped, 1 green; 70 requests, 9.0 MiB sent, 41 s",
        "left behind, because blobs may not be deleted: a/blob, a/tier",
    ]


def test_untrusted_text_is_not_markup() -> None:
    """A key in brackets is a key, and a long one is not truncated."""
    key = f"[red]{'k' * 200}[/red]"
    text = as_text(report_of(result("green", detail=repr(key))), width=80)

    assert "".join(
        line.strip("│").split("│")[-1].strip() for line in text.splitlines() if line.startswith("│")
    ) == repr(key)


def test_a_prefix_in_brackets_is_in_the_title() -> None:
    """It may look like the name of a style, or like the end of one, which is an error of its own."""
    for source in ("s3://acme/[daily]/", "s3://acme/[/daily]/"):
        assert as_text(report_of(result("green"), source=source)).startswith(f"{source} → https://acme.")


def test_a_terminal_shows_colours() -> None:
    """Of the status; the log has none."""
    console = Console(file=StringIO(), width=100, force_terminal=True, color_system="standard")
    console.print(render(report_of(result("red"))))

    assert "\x1b[1;31m✘ red" in console.file.getvalue()  # type: ignore[attr-defined]
    assert "\x1b" not in as_text(report_of(result("red")))
