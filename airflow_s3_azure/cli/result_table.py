"""Prints the result of a command to standard output: a table, JSON or CSV."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.box import ASCII_DOUBLE_HEAD
from rich.console import Console
from rich.table import Table

from airflow_s3_azure.engine.quoting import printable


def print_result(result: Mapping[str, Any], output: str) -> None:
    """Print one result: a table of two columns, a JSON object, or CSV with a header."""
    if output == "json":
        print_json(result)
    elif output == "csv":
        print_csv(list(result), [result])
    else:
        print_table(["", ""], [[name, value] for name, value in result.items()], header=False)


def print_json(document: Any) -> None:
    """Print JSON that any parser reads, without colors."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def print_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Print rows as CSV, with a header, as they come; nested values are JSON."""
    writer = csv.writer(sys.stdout)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_plain(row[name]) for name in columns])


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, header: bool = True) -> None:
    """Print a table; long values wrap in a terminal, and stay whole elsewhere."""
    width = None if sys.stdout.isatty() else 100_000
    console = Console(markup=False, highlight=False, emoji=False, width=width)
    table = Table(box=ASCII_DOUBLE_HEAD if header else None, show_edge=False, show_header=header)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(printable(_plain(value)) for value in row))
    console.print(table)


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)
