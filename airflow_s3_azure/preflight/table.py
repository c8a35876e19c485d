"""The results as a table in a terminal or a log."""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from airflow_s3_azure.engine.progress import size_text
from airflow_s3_azure.preflight.finding import Status
from airflow_s3_azure.preflight.preflight_report import CheckResult, PreflightReport

_STYLES: dict[Status, tuple[str, str]] = {
    "green": ("✔", "green"),
    "amber": ("▲", "yellow"),
    "red": ("✘", "bold red"),
    "skipped": ("–", "dim"),
}
WIDTH = 140
"""Columns of a table in a log."""


def render(report: PreflightReport) -> RenderableType:
    """Return the table, the guardrails in force and a closing line, for a rich console."""
    title = Text(f"{report.source} → {report.destination}", style="italic")
    table = Table(title=title, title_justify="left", expand=True)
    table.add_column("", no_wrap=True, width=9)
    table.add_column("check", no_wrap=True)
    table.add_column("result", ratio=1, overflow="fold")
    for one in report.results:
        symbol, style = _STYLES[one.status]
        table.add_row(Text(f"{symbol} {one.status}", style=style), one.name, _text(one))
    return Group(table, Text(_guardrails(report)), Text(summary(report)), *_left(report))


def as_text(report: PreflightReport, width: int = WIDTH) -> str:
    """Return what :func:`render` returns as plain text."""
    console = Console(file=StringIO(), width=width, no_color=True, force_terminal=False, emoji=False, highlight=False)
    console.print(render(report))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().rstrip()


def summary(report: PreflightReport) -> str:
    """Return one line with the numbers of a report."""
    counts = ", ".join(f"{count} {status}" for status, count in report.counts().items())
    return f"{counts}; {report.requests} requests, {report.bytes_sent / 2**20:.1f} MiB sent, {report.seconds:.0f} s"


def _text(one: CheckResult) -> Text:
    lines = [one.detail]
    if one.status != "green":
        lines += [f"proves: {one.proves}"]
    labels = {
        "consequence": one.consequence,
        "do": one.remedy,
        "missing": one.action,
        "policy": one.policy,
        "request": one.request_id,
    }
    lines += [f"{label}: {text}" for label, text in labels.items() if text]
    return Text("\n".join(lines))


def _guardrails(report: PreflightReport) -> str:
    if not report.guardrails:
        return "guardrails: none"
    return "guardrails: " + "; ".join(f"{name} = {_setting(name, value)}" for name, value in report.guardrails.items())


def _setting(name: str, value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return size_text(value) if name == "max_bytes_per_run" else str(value)


def _left(report: PreflightReport) -> list[Text]:
    if not report.left:
        return []
    return [Text(f"left behind, because blobs may not be deleted: {', '.join(report.left)}", style="yellow")]
