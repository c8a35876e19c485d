"""CPU of a plan's stages, per key and blob: what each costs alone, over pages as the benchmark's server writes them.

`python -m benchmarks.plan_stages` reads the pages of 50,000 unchanged keys and blobs in one process, without HTTP, and prints the
least of three rounds. Two floors are beside them: expat, without a handler, on the same pages, and `msgspec` on the rows of the ledger.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, cast
from xml.parsers import expat

import msgspec

from airflow_s3_azure.engine.model import BlobState
from airflow_s3_azure.engine.properties import CopyIdentity
from airflow_s3_azure.sync.blob_page import read_blobs
from airflow_s3_azure.sync.compare import decide
from airflow_s3_azure.sync.join import join
from airflow_s3_azure.sync.listed_object import ListedObject
from airflow_s3_azure.sync.object_page import read_objects
from airflow_s3_azure.sync.rows import no_copy_row
from benchmarks.bench import DOCUMENT
from benchmarks.plan_server import BLOBS_PER_PAGE, BUCKET, OBJECTS_PER_PAGE, Names, blob_page, object_page
from benchmarks.report import fill

KEYS, ROUNDS = 50_000, 3

Compared = tuple[str, ListedObject, BlobState]


def least(work: Callable[[], object]) -> float:
    """Return the least CPU time of the rounds, in microseconds per key."""
    times = []
    for _ in range(ROUNDS):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times) / KEYS * 1e6


def row_of(name: str, item: ListedObject, blob: BlobState) -> Any:
    """Compare a key, and return its row of the ledger."""
    decision = decide(item, blob, CopyIdentity(BUCKET, item.key, name))
    return no_copy_row(item, name, "unchanged", decision.reason, blob_etag=blob.etag, record=decision.record)


def parse_without_handlers(pages: Sequence[bytes]) -> None:
    """Read the pages with expat alone."""
    for page in pages:
        expat.ParserCreate().Parse(page, True)


def stages() -> list[tuple[str, float]]:
    """Return the stages and their CPU time."""
    blob_names = Names(KEYS, hierarchical=False, is_blobs=True, is_unchanged=True)
    object_names = Names(KEYS, hierarchical=False)
    blob_pages = [blob_page(blob_names, start) for start in range(0, KEYS, BLOBS_PER_PAGE)]
    object_pages = [object_page(object_names, start) for start in range(0, KEYS, OBJECTS_PER_PAGE)]
    objects = [(one.key, one) for page in object_pages for one in read_objects(page).entries]
    blobs = [entry for page in blob_pages for entry in read_blobs(page).entries]
    joined = cast("list[Compared]", list(join(objects, blobs)))
    rows = [row_of(*one) for one in joined]
    encoder = msgspec.json.Encoder()
    return [
        ("page of blobs: read_blobs", least(lambda: [read_blobs(page) and None for page in blob_pages])),
        ("  floor: expat without a handler", least(lambda: parse_without_handlers(blob_pages))),
        ("page of keys: read_objects", least(lambda: [read_objects(page) and None for page in object_pages])),
        ("  floor: expat without a handler", least(lambda: parse_without_handlers(object_pages))),
        ("join", least(lambda: sum(1 for _ in join(objects, blobs)))),
        ("comparison and row", least(lambda: [row_of(*one) and None for one in joined])),
        ("row as JSON: msgspec alone", least(lambda: [encoder.encode(row) and None for row in rows])),
    ]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan_stages", description="CPU of a plan's stages.")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT}")
    given = parser.parse_args()
    table = ["| stage | CPU µs per key |", "|---|---|", *(f"| {name} | {cpu:.1f} |" for name, cpu in stages())]
    table += ["", f"Measured {datetime.now(UTC):%Y-%m-%d}; load average at the end {os.getloadavg()[0]:.1f}."]
    print("\n".join(table))
    if given.write:
        DOCUMENT.write_text(fill(DOCUMENT.read_text(), {"plan-stages": "\n".join(table)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
