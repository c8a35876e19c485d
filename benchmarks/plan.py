"""Memory and time of a plan, which must not grow with the listings: a bound on one, a straight line for the other.

`python -m benchmarks.plan` plans 100,000, 300,000 and 1,000,000 keys against as many blobs: half of them unchanged, a
quarter changed, a quarter missing, and as many blobs without a key. And 300,000 keys that are all unchanged, as in most nights. Both listings are read, and all that a plan writes is sent,
over HTTP, by the clients of an operator. The servers (:mod:`benchmarks.plan_server`) are processes of their own, so their CPU
and memory do not count. It ends with 1 if a plan's peak over the imports is above 200 MiB, or if a key of the largest plan
takes more than 1.5 times the CPU time of one of the smallest.

Once more for 300,000 keys with both listings in the order of a hierarchy, as directory buckets and accounts with a hierarchical
namespace give them, so that both must be sorted; and from a list of all 300,000 keys without their sizes, in no order, so that it must
be sorted and each object looked up. And for 1,000,000 keys with 100 ms for each page: with one lister for each
listing, with the listers of an operator, and by `rclone lsf --fast-list`, which lists the bucket only, page by page; it is
ended after four minutes. Linux only.
"""

from __future__ import annotations

import argparse
import base64
import multiprocessing
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

import boto3
import requests
from azure.core.pipeline import Pipeline
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.storage.blob import ContainerClient
from botocore.config import Config

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.azure.requests import ContainerAddress
from airflow_s3_azure.engine.azure.shared_key import SharedKeyPolicy
from airflow_s3_azure.engine.azure.transport import ConnectionsTransport
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.http.client import Connections
from airflow_s3_azure.engine.options import DEFAULT_CONCURRENCY
from airflow_s3_azure.engine.s3.params import Operation, Params
from airflow_s3_azure.engine.s3.presign import Presigner
from airflow_s3_azure.engine.s3.source import S3Source
from airflow_s3_azure.sync.keys.key_lines import read_key_lines
from airflow_s3_azure.sync.keys.key_listings import KeyListings
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.listing import OF_BLOBS, OF_OBJECTS, list_blobs, list_objects
from airflow_s3_azure.sync.naming import Naming
from airflow_s3_azure.sync.plan_model import Listing, Plan, PlanOptions
from airflow_s3_azure.sync.planner import make_plan
from airflow_s3_azure.sync.select import Selection
from benchmarks.bench import DOCUMENT
from benchmarks.measure import measure
from benchmarks.plan_results import (
    BY_BYTES,
    HIERARCHICAL,
    IN_RANGES,
    KEY_LIST,
    SERIALLY,
    UNCHANGED,
    Measured,
    judge,
    sections,
)
from benchmarks.plan_server import BUCKET, Names, serve
from benchmarks.report import fill

SIZES = (100_000, 300_000, 1_000_000)
SORTED_SIZE = 300_000
"""Keys of the plan whose listings must be sorted first."""
LATENCY_SIZE, LATENCY = 1_000_000, 0.1
"""Keys of the plans with a latency, and seconds for each page."""
UNCHANGED_SIZE = 300_000
"""Keys of the plan in which all are unchanged."""
RCLONE_SECONDS = 240.0
"""After which rclone's listing is ended."""
LIST_STEP = 1_000_003
"""A prime: in such steps each key of a list comes once, and no two neighbors follow each other."""

_KEY = base64.b64encode(secrets.token_bytes(64)).decode()
_RCLONE = {
    "RCLONE_CONFIG": "/dev/null",
    "RCLONE_CONFIG_S3_TYPE": "s3",
    "RCLONE_CONFIG_S3_PROVIDER": "AWS",
    "RCLONE_CONFIG_S3_REGION": "eu-west-1",
    "RCLONE_CONFIG_S3_ACCESS_KEY_ID": "access",
    "RCLONE_CONFIG_S3_SECRET_ACCESS_KEY": "secret",
    "RCLONE_CONFIG_S3_FORCE_PATH_STYLE": "true",
}


def names(count: int, *, hierarchical: bool) -> Iterator[tuple[int, str]]:
    """Yield numbers and names of objects, in the order of a listing."""
    listed = Names(count, hierarchical)
    return ((listed.number(at), name) for at, name in enumerate(listed))


class Endpoints:
    """A bucket and a container of the server, through the clients of an operator.

    :ivar pages: requests for pages of both listings
    """

    def __init__(self, url: str, count: int, order: str) -> None:
        self.pages = 0
        self._cancellation, self._session = Cancellation(), requests.Session()
        name = f"{count}-{order if order in (HIERARCHICAL, UNCHANGED) else 'flat'}"
        s3 = boto3.client(
            "s3",
            region_name="eu-west-1",
            aws_access_key_id="access",
            aws_secret_access_key="secret",
            endpoint_url=url,
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )
        presigner = Presigner(s3, f"bucket-{name}", 3600)

        def presign(operation: Operation, params: Params) -> str:
            self.pages += 1
            return presigner(operation, params)

        self.source = S3Source(f"bucket-{name}", presign, self._session, self._cancellation)
        self.client = ContainerClient(f"{url}/account", name, credential=_KEY)
        connections = Connections(self._session, self._cancellation, connect_timeout=20, read_timeout=60)
        pipeline: Pipeline[Any, Any] = Pipeline(
            ConnectionsTransport(connections), [_Counter(self), SharedKeyPolicy(self.client.credential)]
        )
        self.container = BlobContainer(ContainerAddress(self.client.url), pipeline, self._cancellation)

    def close(self) -> None:
        """Close all connections."""
        self.client.close()
        self._session.close()


class _Counter(SansIOHTTPPolicy[Any, Any]):
    def __init__(self, ends: Endpoints) -> None:
        self._ends = ends

    def on_request(self, request: Any) -> None:
        """Count a request."""
        del request
        self._ends.pages += 1


def key_list(count: int) -> Iterator[bytes]:
    """Yield a CSV file of all keys, in no order."""
    listed = Names(count, hierarchical=False)
    yield b"key\n"
    for start in range(0, count, 1_000):
        yield b"".join(f"{listed[at * LIST_STEP % count]}\n".encode() for at in range(start, min(start + 1_000, count)))


def plan(count: int, url: str, order: str, *, is_serial: bool = False) -> tuple[Plan, int]:
    """Make a plan of the listings of a server, and write it there; return it, with the pages that were requested.

    :param is_serial: with one lister for each listing
    """
    ends = Endpoints(url, count, order)
    listers = {"listers": 1} if is_serial or order == SERIALLY else {}
    of_objects, of_blobs = replace(OF_OBJECTS, **listers), replace(OF_BLOBS, **listers)
    try:
        options = PlanOptions(Selection(), Naming(), bucket=BUCKET)
        folder = PlanFolder(ends.client, f"_s3_to_azure/benchmark/{count}-{order.replace(' ', '-')}")
        listings = (
            Listing(lambda: list_objects(ends.source, parallelism=of_objects)),
            Listing(lambda: list_blobs(ends.container, parallelism=of_blobs)),
        )
        if order == KEY_LIST:
            listings = KeyListings(
                lambda: read_key_lines(key_list(count), "keys.csv", "keys.csv"),
                options,
                folder,
                source=ends.source,
                container=ends.container,
                cancellation=Cancellation(),
                threads=DEFAULT_CONCURRENCY,
            ).listings()
        made = make_plan(*listings, options, folder)
    finally:
        ends.close()
    found = (made.counts["copy"], made.counts["unchanged"], sum(batch.objects for batch in made.batches))
    expected = (0, count, 0) if order == UNCHANGED else (count // 2, count // 2, count // 2)
    if found != expected:
        raise RuntimeError(f"the plan is wrong: (to copy, unchanged, in batches) are {found}, not {expected}")
    return made, ends.pages


def measure_plan(result_to: Connection, count: int, url: str, order: str) -> None:
    """Measure one plan, and send the result. The body of a process, so that no plan inherits another's memory."""
    # Imports at first use are not a plan's memory. A short list is compared by HEADs, which the server has not.
    plan(20_000 if order == KEY_LIST else 2_000, url, order)
    pages = 0

    def work() -> None:
        nonlocal pages
        _, pages = plan(count, url, order)

    cost = measure(work)
    result_to.send(Measured(count, order, cost.memory, cost.cpu, cost.seconds, pages))


def list_with_rclone(count: int, url: str) -> str:
    """Return how long rclone takes to list the bucket."""
    from benchmarks.clients.rclone import BINARY

    if not BINARY.exists():
        return "is not installed"
    started = time.monotonic()
    command = [str(BINARY), "lsf", f"s3:bucket-{count}-flat", "--fast-list", "--recursive", "--files-only"]
    environment = {**os.environ, **_RCLONE, "RCLONE_CONFIG_S3_ENDPOINT": url}
    try:
        run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True, timeout=RCLONE_SECONDS)
    except subprocess.TimeoutExpired:
        return f"was ended after {RCLONE_SECONDS:.0f} s"
    lines = run.stdout.count(b"\n")
    if lines != count:
        raise RuntimeError(f"rclone lists {lines:,} of {count:,} keys")
    return f"takes {time.monotonic() - started:.1f} s"


@contextmanager
def process(target: Callable[..., None], *arguments: object, **named: object) -> Iterator[Connection]:
    """Run a function in a process of its own, and yield the receiving end of its pipe."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    running = context.Process(target=target, args=(sender, *arguments), kwargs=named, daemon=True)
    running.start()
    sender.close()
    try:
        yield receiver
    finally:
        running.kill()
        running.join()


def main() -> int:
    """Measure, print, and say whether the bounds hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan", description="Memory and time of a plan.")
    parser.add_argument("--keys", type=int, nargs="*", default=SIZES, help="keys of each plan, the fewest first")
    parser.add_argument(
        "--sorted-keys", type=int, default=SORTED_SIZE, help="keys of the plan that must be sorted; 0: none"
    )
    parser.add_argument(
        "--list-keys", type=int, default=SORTED_SIZE, help="keys of the plan from a list of keys; 0: none"
    )
    parser.add_argument(
        "--latency-keys", type=int, default=LATENCY_SIZE, help="keys of the plans with a latency; 0: none"
    )
    parser.add_argument(
        "--unchanged-keys",
        type=int,
        default=UNCHANGED_SIZE,
        help="keys of the plan in which all are unchanged; 0: none",
    )
    parser.add_argument("--write", action="store_true", help=f"put the tables into {DOCUMENT}")
    given = parser.parse_args()
    plans = [(count, BY_BYTES) for count in given.keys]
    plans += [(given.unchanged_keys, UNCHANGED)] * bool(given.unchanged_keys)
    plans += [(given.list_keys, KEY_LIST)] * bool(given.list_keys)
    plans += [(given.sorted_keys, HIERARCHICAL)] * bool(given.sorted_keys)
    print(
        f"{'keys':>10}  {'listed':<12}  {'seconds':>8}  {'CPU':>8}  {'keys/s':>8}  {'us/key':>6}  {'peak MiB':>8}  "
        f"{'pages':>6}",
        flush=True,
    )
    measured: list[Measured] = []
    notes: list[str] = []
    with process(serve) as port:
        url = f"http://127.0.0.1:{port.recv()}"
        measured += [measured_plan(count, url, order) for count, order in plans]
    if given.latency_keys:
        with process(serve, LATENCY) as port:
            url = f"http://127.0.0.1:{port.recv()}"
            slow, fast = (measured_plan(given.latency_keys, url, order) for order in (SERIALLY, IN_RANGES))
            measured += [slow, fast]
            notes.append(
                f"In ranges {slow.seconds / fast.seconds:.1f} times as fast, with {fast.pages / slow.pages:.3f} times the requests for pages."
            )
            print(notes[-1], flush=True)
            notes.append(f"`rclone lsf --fast-list` of the bucket {list_with_rclone(given.latency_keys, url)}.")
            print(notes[-1])
    holds, verdict = judge(measured)
    print(verdict)
    if given.write:
        DOCUMENT.write_text(fill(DOCUMENT.read_text(), sections(measured, notes)))
    return 0 if holds else 1


def measured_plan(count: int, url: str, order: str) -> Measured:
    """Measure one plan in a process of its own, and print its line."""
    with process(measure_plan, count, url, order) as result:
        measured: Measured = result.recv()
    print(measured.line(), flush=True)
    return measured


if __name__ == "__main__":
    sys.exit(main())
