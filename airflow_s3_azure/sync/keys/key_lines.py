"""Reads a list of keys from the bytes of a file: CSV with a header, or JSON lines. Pure.

A line that is not valid ends the reading with an error that names the file, the line and what is expected. Memory: one
piece of the file and one line, which has a limit.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from airflow_s3_azure.engine.errors import ConfigurationError, PlanError
from airflow_s3_azure.engine.quoting import quote_text
from airflow_s3_azure.sync.gunzip import MalformedGzip, gunzip, is_gzip
from airflow_s3_azure.sync.keys.key_entry import FIELDS, KeyEntry, entry_of

MAX_LINE = 64 * 1024
"""Bytes in a line: many times an entry with a key of 1,024 bytes, each of them escaped."""
_BOM = b"\xef\xbb\xbf"

Parse = Callable[[bytes], Any]


def read_key_lines(pieces: Iterable[bytes], name: str, url: str) -> Iterator[KeyEntry]:
    """Yield the entries of a file, in its order. Blank lines are left out.

    :param name: the file's, by which its format is known
    :param url: of the file, for errors
    :raises PlanError: naming the first line that is not valid
    :raises ConfigurationError: if the name has no known ending
    """
    parse = _parse_of(name, url)
    content = gunzip(pieces) if is_gzip(name) else pieces
    number = 0
    try:
        for number, line in enumerate(lines_of(content), start=1):
            if (value := parse(line.removeprefix(_BOM) if number == 1 else line)) is not None:
                yield entry_of(value)
    except MalformedGzip as error:
        raise bad_list(url, number + 1, str(error)) from None
    except RecursionError:
        raise bad_list(url, number, "it is nested too deeply") from None
    except LineTooLong:
        raise bad_list(url, number + 1, f"it is longer than {MAX_LINE:,} bytes") from None
    except (ValueError, csv.Error) as error:
        raise bad_list(url, number, str(error)) from None


def bad_list(url: str, number: int, problem: str) -> PlanError:
    """Return the error of a list of keys that is not valid, so that nothing is copied.

    :param number: of the line, from 1
    """
    return PlanError(f"line {number:,} of the key list {url!r} is not valid: {problem}; nothing was copied")


class LineTooLong(Exception):
    """A line is longer than any entry."""


def lines_of(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines, without their ends.

    :raises LineTooLong: if one is longer than any entry
    """
    rest = b""
    for piece in pieces:
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            if len(line) > MAX_LINE:
                raise LineTooLong
            yield line
        if len(rest) > MAX_LINE:
            raise LineTooLong
    if rest:
        yield rest


def _parse_of(name: str, url: str) -> Parse:
    """Return the function that parses a line of a file; it returns None for a line without an entry."""
    ending = name.removesuffix(".gz").rpartition(".")[2].lower()
    if ending == "csv":
        return _CSVLines()
    if ending in ("jsonl", "ndjson"):
        return _parse_json
    raise ConfigurationError(
        f"keys is {url!r}, whose format is unknown; it takes a file that ends in .csv, .jsonl or .ndjson, or one of "
        "these with .gz"
    )


def _parse_json(line: bytes) -> Any:
    text = _decoded(line).strip()
    if not text:
        return None
    value = json.loads(text)
    if value is None:
        raise ValueError("it is null; it takes a key, or an object with a key")
    return value


class _CSVLines:
    """Parses the lines of a CSV file, whose first one names the columns."""

    def __init__(self) -> None:
        self._columns: list[str] | None = None

    def __call__(self, line: bytes) -> Any:
        text = _decoded(line).removesuffix("\r")
        if not text:
            return None
        values = next(csv.reader([text], strict=True)) if '"' in text else text.split(",")
        if self._columns is None:
            self._columns = _columns(values)
            return None
        if len(values) != len(self._columns):
            raise ValueError(
                f"it has {len(values)} values, and the header {len(self._columns)} columns "
                f"({', '.join(self._columns)}); put values with a comma in quotes"
            )
        return {name: value or None for name, value in zip(self._columns, values, strict=True)}


def _columns(values: list[str]) -> list[str]:
    """Return the columns of a header.

    :raises ValueError: if it is none
    """
    names = [value.strip().lower() for value in values]
    if "key" not in names or len(set(names)) < len(names) or not set(names) <= set(FIELDS):
        raise ValueError(
            f"it is {quote_text(','.join(values), 80)!r}; the first line of CSV names the columns: key, and any of "
            f"{', '.join(FIELDS[1:])}"
        )
    return names


def _decoded(line: bytes) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
