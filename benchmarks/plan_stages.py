"""CPU of a plan's stages, per key and blob: what each costs alone, and how much of the whole plan they explain.

`python -m benchmarks.plan_stages` plans 50,000 unchanged keys over HTTP, once as an operator does and once with one lister for each listing, and
runs each stage alone on the same pages: requesting them, reading them, and the plan of the entries with its ledger. It prints the least of
three rounds. Three floors are beside them: expat, without a handler, on the pages of either listing, and `msgspec` on the rows of the ledger.
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
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.listed_object import ListedObject
from airflow_s3_azure.sync.naming import Naming
from airflow_s3_azure.sync.object_page import read_objects
from airflow_s3_azure.sync.plan_model import Listing, PlanOptions
from airflow_s3_azure.sync.planner import make_plan
from airflow_s3_azure.sync.rows import no_copy_row
from airflow_s3_azure.sync.select import Selection
from benchmarks.bench import DOCUMENT
from benchmarks.plan import Endpoints, plan, process
from benchmarks.plan_results import UNCHANGED
from benchmarks.plan_server import (
    BLOBS_PER_PAGE,
    BUCKET,
    OBJECTS_PER_PAGE,
    Names,
    blob_page,
    object_page,
    serve,
)
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


def request_blobs(ends: Endpoints) -> None:
    """Request all pages of blobs."""
    for start in range(0, KEYS, BLOBS_PER_PAGE):
        ends.container.list_page({"include": "metadata", "marker": str(start)})


def request_objects(ends: Endpoints) -> None:
    """Request all pages of keys."""
    for start in range(0, KEYS, OBJECTS_PER_PAGE):
        ends.source.list_page({"Prefix": "", "EncodingType": "url", "ContinuationToken": str(start)})


def write_ledger(folder: PlanFolder, rows: Sequence[msgspec.Struct]) -> None:
    """Write the rows of the ledger."""
    ledger = folder.new_ledger("plan")
    for row in rows:
        ledger.write(row)
    ledger.commit()


def stages(url: str) -> list[tuple[str, float]]:
    """Return the stages and their CPU time."""
    blob_names = Names(KEYS, hierarchical=False, is_blobs=True, is_unchanged=True)
    object_names = Names(KEYS, hierarchical=False)
    blob_pages = [blob_page(blob_names, start) for start in range(0, KEYS, BLOBS_PER_PAGE)]
    object_pages = [object_page(object_names, start) for start in range(0, KEYS, OBJECTS_PER_PAGE)]
    objects = [one for page in object_pages for one in read_objects(page).entries]
    named = [(one.key, one) for one in objects]
    blobs = [entry for page in blob_pages for entry in read_blobs(page).entries]
    joined = cast("list[Compared]", list(join(named, blobs)))
    rows = [row_of(*one) for one in joined]
    encoder = msgspec.json.Encoder()
    ends = Endpoints(url, KEYS, UNCHANGED)
    folder = PlanFolder(ends.client, "_s3_to_azure/benchmark/stages")
    options = PlanOptions(Selection(), Naming(), bucket=BUCKET)
    listings = Listing(lambda: iter(objects)), Listing(lambda: iter(blobs))
    parts = [
        ("page of blobs: requested", least(lambda: request_blobs(ends))),
        ("page of blobs: read_blobs", least(lambda: [read_blobs(page) and None for page in blob_pages])),
        ("page of keys: requested", least(lambda: request_objects(ends))),
        ("page of keys: read_objects", least(lambda: [read_objects(page) and None for page in object_pages])),
        ("plan of the entries, with its ledger", least(lambda: make_plan(*listings, options, folder))),
    ]
    within = [
        ("of the plan: join", least(lambda: sum(1 for _ in join(named, blobs)))),
        ("of the plan: comparison and row", least(lambda: [row_of(*one) and None for one in joined])),
        ("of the plan: rows written (JSON, gzip, SHA-256, sent)", least(lambda: write_ledger(folder, rows))),
        ("floor of a page of blobs: expat without a handler", least(lambda: parse_without_handlers(blob_pages))),
        ("floor of a page of keys: expat without a handler", least(lambda: parse_without_handlers(object_pages))),
        ("floor of a row: msgspec alone", least(lambda: [encoder.encode(row) and None for row in rows])),
    ]
    ends.close()
    total = sum(cpu for _, cpu in parts)
    wholes = [
        ("**the whole plan over HTTP**", least(lambda: plan(KEYS, url, UNCHANGED))),
        ("the same, with one lister for each listing", least(lambda: plan(KEYS, url, UNCHANGED, is_serial=True))),
    ]
    return [*parts, ("**sum of these stages**", total), *wholes, *within]


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan_stages", description="CPU of a plan's stages.")
    parser.add_argument("--write", action="store_true", help=f"put the table into {DOCUMENT}")
    given = parser.parse_args()
    with process(serve) as port:
        measured = stages(f"http://127.0.0.1:{port.recv()}")
    table = ["| stage | CPU µs per key |", "|---|---|", *(f"| {name} | {cpu:.1f} |" for name, cpu in measured)]
    table += ["", f"Measured {datetime.now(UTC):%Y-%m-%d}; load average at the end {os.getloadavg()[0]:.1f}."]
    print("\n".join(table))
    if given.write:
        DOCUMENT.write_text(fill(DOCUMENT.read_text(), {"plan-stages": "\n".join(table)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
