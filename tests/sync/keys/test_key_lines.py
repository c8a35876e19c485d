"""Lists of keys as CSV and JSON lines, well-formed and hostile."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.errors import ConfigurationError, PlanError
from airflow_s3_azure.sync.keys.key_entry import KeyEntry
from airflow_s3_azure.sync.keys.key_lines import MAX_LINE, read_key_lines

MIB = 1024 * 1024
keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
flat_keys = keys.filter(lambda key: not set("\r\n") & set(key))


def read(data: bytes, name: str = "list.csv", size: int = 7) -> list[KeyEntry]:
    """Return the entries of a file that comes in pieces."""
    pieces = (data[start : start + size] for start in range(0, len(data), size))
    return list(read_key_lines(pieces, name, f"s3://lists/{name}"))


@given(st.lists(st.tuples(flat_keys, st.none() | st.integers(0, 2**40)), max_size=5), st.integers(1, 50))
def test_csv_is_read_as_it_was_written(entries: list[tuple[str, int | None]], size: int) -> None:
    """By Python's writer, with its quotes and line ends."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([("size", "key"), *((size, key) for key, size in entries)])

    assert read(text.getvalue().encode(), size=size) == [KeyEntry(key, size=length) for key, length in entries]


@given(st.lists(keys, max_size=5), st.integers(1, 50), st.booleans())
def test_json_lines_are_read_as_they_were_written(found: list[str], size: int, ascii_only: bool) -> None:
    """Any key, also with line ends; each as text, and as an object."""
    lines = [json.dumps(key, ensure_ascii=ascii_only) for key in found]
    lines += [json.dumps({"key": key, "etag": "e"}, ensure_ascii=ascii_only) for key in found]

    entries = read("\n".join(lines).encode(), "list.jsonl", size)

    assert entries == [KeyEntry(key) for key in found] + [KeyEntry(key, etag="e") for key in found]


def test_a_byte_order_mark_and_blank_lines_are_left_out() -> None:
    """As Excel writes them; a mark elsewhere is part of a key."""
    assert read(b"\xef\xbb\xbfKey, ETag\r\n\r\na,e\n\n\xef\xbb\xbfb,\n") == [
        KeyEntry("a", etag="e"),
        KeyEntry("\ufeffb"),
    ]


@pytest.mark.parametrize("name", ["list.csv.gz", "list.jsonl.gz"])
@pytest.mark.parametrize("size", [1, 7, MIB])
def test_a_compressed_list_is_read(name: str, size: int) -> None:
    """Of several members, as some tools write."""
    header = b"key\n" if ".csv" in name else b""
    line = b"a" if ".csv" in name else b'"a"'
    data = gzip.compress(header + line + b"\n") + gzip.compress(line)

    assert read(data, name, size) == [KeyEntry("a"), KeyEntry("a")]


@pytest.mark.parametrize(
    ("data", "name", "number", "problem"),
    [
        (b"a,b\n", "l.csv", 1, "it is 'a,b'; the first line of CSV names the columns: key, and any of version, size"),
        (b"size\n", "l.csv", 1, "it is 'size'; the first line"),
        (b"key,key\n", "l.csv", 1, "it is 'key,key'; the first line"),
        (b"key,owner\n", "l.csv", 1, "it is 'key,owner'; the first line"),
        (b"key\na\nb,c\n", "l.csv", 3, "it has 2 values, and the header 1 columns (key); put values with a comma in"),
        (b"key,size\n\n,5\n", "l.csv", 3, "it has no key"),
        (b'key\n"a\nb"\n', "l.csv", 2, "unexpected end of data"),
        (b"key\n\xff\n", "l.csv", 2, "it is not UTF-8"),
        (b"key\na\x00b\n", "l.csv", 2, "has a NUL character"),
        (b"key\n" + b"x" * (MAX_LINE + 1), "l.csv", 2, "it is longer than 65,536 bytes"),
        (b"key\na\n" + b"x" * (MAX_LINE + 1) + b"\n", "l.csv", 3, "it is longer than 65,536 bytes"),
        (b'"a"\n{"key": "b"\n', "l.jsonl", 2, "Expecting ',' delimiter"),
        (b"null\n", "l.jsonl", 1, "it is null; it takes a key, or an object with a key"),
        (b"[" * 60_000, "l.jsonl", 1, "it is nested too deeply"),
        (b"9" * 60_000, "l.jsonl", 1, "Exceeds the limit"),
        (b'{"key": "a\\ud800"}', "l.jsonl", 1, "the key is not UTF-8"),
        (b"key\n", "l.csv.gz", 1, "it cannot be decompressed"),
        (gzip.compress(b"key\na\n", mtime=0)[:-3], "l.csv.gz", 3, "it ends within a gzip member"),
        (gzip.compress(b"", mtime=0) * 3, "l.csv.gz", 1, "it has several empty gzip members"),
    ],
)
@pytest.mark.parametrize("size", [1000, MIB])
def test_a_bad_line_is_named(data: bytes, name: str, number: int, problem: str, size: int) -> None:
    """With the file, the line and what is expected."""
    with pytest.raises(PlanError) as error:
        read(data, name, size)

    assert f"line {number:,} of the key list 's3://lists/{name}' is not valid: " in str(error.value)
    assert problem in str(error.value).replace("\n  ", " ")
    assert str(error.value).endswith("; nothing was copied")


@pytest.mark.parametrize("name", ["list.txt", "list", "list.parquet", "list.gz", "list.csv.bz2"])
def test_a_file_of_another_format_is_refused(name: str) -> None:
    """By its name, before it is read."""
    with pytest.raises(ConfigurationError, match=r"whose format is unknown; it takes a file that ends in \.csv"):
        read(b"", name)


def bomb(line: bytes, size: int) -> Iterator[bytes]:
    """Yield a gzip file of one line of ``size`` bytes."""
    member = zlib.compressobj(9, wbits=31)
    yield member.compress(b"key\n")
    for _ in range(size // len(line)):
        yield member.compress(line)
    yield member.flush()


def test_a_bomb_takes_no_memory() -> None:
    """A gigabyte in one line, in a megabyte of gzip, ends at the limit of a line."""
    tracemalloc.start()
    try:
        with pytest.raises(PlanError, match=r"line 2 .* longer than 65,536 bytes"):
            list(read_key_lines(bomb(b"x" * MIB, 1024 * MIB), "l.csv.gz", "s3://lists/l.csv.gz"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 4 * MIB
