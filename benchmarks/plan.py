"""Memory and time of a plan, which must not grow with the listings: a bound on one, a straight line for the other.

`python -m benchmarks.plan` plans 100,000, 300,000 and 1,000,000 keys against as many blobs: half of them unchanged, a
quarter changed, a quarter missing, and as many blobs without a key. The listings are made up as they are read; all
that a plan writes goes over HTTP to a stand-in for the container, in a process of its own, so that its memory does
not count. It ends with 1 if a plan's peak over the imports is above 200 MiB, or if a key of the largest plan takes more
than 1.5 times the CPU time of one of the smallest. Once more for 300,000 keys with both listings in the order of a hierarchy,
as directory buckets and accounts with a hierarchical namespace give them, so that both must be sorted. Linux only.
"""

from __future__ import annotations

import argparse
import base64
import multiprocessing
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from urllib.parse import parse_qs, urlsplit

from azure.storage.blob import ContainerClient

from airflow_s3_azure.engine.blocks import MIB
from airflow_s3_azure.engine.model import BlobState
from airflow_s3_azure.engine.properties import SourceRecord
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.listed_object import ListedObject
from airflow_s3_azure.sync.naming import Naming
from airflow_s3_azure.sync.planner import Listing, Plan, PlanOptions, make_plan
from airflow_s3_azure.sync.select import Selection
from benchmarks.measure import measure

SIZES = (100_000, 300_000, 1_000_000)
SORTED_SIZE = 300_000
"""Keys of the plan whose listings must be sorted first."""
MAX_PEAK = 200 * MIB
"""Bytes of memory over the imports."""
MAX_GROWTH = 1.5
"""Of the CPU time per key, from the smallest plan to the largest."""
FOLDER = 500
"""Keys in a folder."""
BY_BYTES, HIERARCHICAL = "by bytes", "hierarchical"

_KEY = base64.b64encode(secrets.token_bytes(64)).decode()
_UPLOADED = datetime(2026, 1, 1, tzinfo=UTC)
_COPIED = _UPLOADED + timedelta(days=1)
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Measured:
    """What a plan took.

    :param peak: bytes of resident memory, over what the imports need
    :param cpu: seconds
    :param seconds: from the first line of the listings to the last commit
    """

    keys: int
    order: str
    peak: int
    cpu: float
    seconds: float

    def line(self) -> str:
        """Return the line of the table."""
        return (
            f"{self.keys:>10,}  {self.order:<12}  {self.seconds:>8.1f}  {self.cpu:>8.1f}  {self.keys / self.seconds:>8,.0f}"
            f"  {self.peak / MIB:>8.1f}"
        )


def names(count: int, *, hierarchical: bool) -> Iterator[tuple[int, str]]:
    """Yield numbers and names of some 60 characters: folders, and a file beside each that is named like it.

    In the order of the names' bytes the file, whose name goes on with a dot, comes before what is in the folder; where
    the slash counts as the smallest character it comes after.
    """
    for number in range(0, count, FOLDER):
        folder = f"exports/region=eu-west-1/2026/batch-{number // FOLDER:06d}"
        beside = (number, f"{folder}.manifest.json")
        if not hierarchical:
            yield beside
        for inside in range(number + 1, min(number + FOLDER, count)):
            yield inside, f"{folder}/orders-{inside:08d}.json.gz"
        if hierarchical:
            yield beside


def objects(count: int, *, hierarchical: bool) -> Iterator[ListedObject]:
    """Yield a source listing."""
    for number, name in names(count, hierarchical=hierarchical):
        modified = _UPLOADED + timedelta(seconds=number % _DAY_SECONDS)
        yield ListedObject(name, 20_000 + number % 1_000, f"{number:032x}", modified)


def blobs(count: int, *, hierarchical: bool) -> Iterator[tuple[str, BlobState]]:
    """Yield a listing of blobs: of four keys, two are unchanged, one has changed, one has a blob of another name."""
    for number, name in names(count, hierarchical=hierarchical):
        kind, size, etag = number % 4, 20_000 + number % 1_000, f"{number:032x}"
        record = SourceRecord(etag if kind < 2 else f"{number + 1:032x}", size, None, _UPLOADED)
        yield name + "~" * (kind == 3), BlobState(f'"0x{number:015X}"', size, _COPIED, record)


def plan(count: int, url: str, *, hierarchical: bool) -> Plan:
    """Make a plan of synthetic listings, and write it to the container at ``url``."""
    with ContainerClient(url, "container", credential=_KEY) as client:
        made = make_plan(
            Listing(lambda: objects(count, hierarchical=hierarchical)),
            Listing(lambda: blobs(count, hierarchical=hierarchical)),
            PlanOptions(Selection(), Naming()),
            PlanFolder(client, f"_s3_to_azure/benchmark/{count}-{hierarchical}"),
        )
    found = (made.counts["copy"], made.counts["unchanged"], sum(batch.objects for batch in made.batches))
    expected = (count // 2, count // 2, count // 2)
    if found != expected:
        raise RuntimeError(f"the plan is wrong: (to copy, unchanged, in batches) are {found}, not {expected}")
    return made


class Container(BaseHTTPRequestHandler):
    """A container that stores what is read back: the runs of a sort and the manifest, but no ledger."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    blocks: dict[str, bytes] = {}  # noqa: RUF012 - all handlers' own
    committed: dict[str, bytes] = {}  # noqa: RUF012

    def do_PUT(self) -> None:
        """Stage a block, or commit blocks."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        if "/ledger/" not in url.path and query["comp"] == ["block"]:
            self.blocks[url.path + query["blockid"][0]] = body
        elif "/ledger/" not in url.path:
            ids = re.findall(r"<Latest>([^<]+)</Latest>", body.decode())
            self.committed[url.path] = b"".join(self.blocks.pop(url.path + one) for one in ids)
        self._respond(201)

    def do_GET(self) -> None:
        """Return a range of a sorted run, or of the manifest."""
        whole = self.committed[urlsplit(self.path).path]
        first, last = re.findall(r"\d+", self.headers["x-ms-range"])
        piece = whole[int(first) : int(last) + 1]
        if not piece:
            self._respond(416, {"x-ms-error-code": "InvalidRange"})
            return
        span = f"bytes {first}-{int(first) + len(piece) - 1}/{len(whole)}"
        self._respond(206, {"Content-Range": span, "x-ms-blob-type": "BlockBlob"}, piece)

    def do_DELETE(self) -> None:
        """Delete a sorted run."""
        del self.committed[urlsplit(self.path).path]
        self._respond(202)

    def _respond(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"ETag": '"0x1"', "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Log nothing."""


def serve(port_to: Connection) -> None:
    """Send the port, then serve the container until the process is killed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Container)
    port_to.send(server.server_port)
    server.serve_forever()


def measure_plan(result_to: Connection, count: int, url: str, *, hierarchical: bool) -> None:
    """Measure one plan, and send the result. The body of a process, so that no plan inherits another's memory."""
    plan(2_000, url, hierarchical=hierarchical)  # imports at first use are not a plan's memory
    cost = measure(lambda: plan(count, url, hierarchical=hierarchical))
    result_to.send(Measured(count, HIERARCHICAL if hierarchical else BY_BYTES, cost.memory, cost.cpu, cost.seconds))


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


def judge(measured: Sequence[Measured]) -> tuple[bool, str]:
    """Return whether the bounds hold, and how far."""
    peak = max(one.peak for one in measured)
    # In CPU seconds, which do not grow because something else is running.
    each = [one.cpu / one.keys for one in measured if one.order == BY_BYTES]
    growth = each[-1] / each[0] if each else 1.0
    holds = peak <= MAX_PEAK and growth <= MAX_GROWTH
    return holds, (
        f"highest peak over the imports: {peak / MIB:.1f} MiB; allowed: {MAX_PEAK / MIB:.0f} MiB\n"
        f"CPU time per key, the last plan in order against the first: {growth:.2f}; allowed: {MAX_GROWTH}\n"
        f"{'both bounds hold' if holds else 'A BOUND IS BROKEN'}"
    )


def main() -> int:
    """Measure and print; return 1 if a bound does not hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan", description="Memory and time of a plan.")
    parser.add_argument("--keys", type=int, nargs="*", default=SIZES, help="keys of each plan, the fewest first")
    parser.add_argument(
        "--sorted-keys", type=int, default=SORTED_SIZE, help="keys of the plan that must be sorted; 0: none"
    )
    given = parser.parse_args()
    plans = [(count, False) for count in given.keys] + [(given.sorted_keys, True)] * bool(given.sorted_keys)
    measured = []
    print(f"{'keys':>10}  {'listed':<12}  {'seconds':>8}  {'CPU':>8}  {'keys/s':>8}  {'peak MiB':>8}", flush=True)
    with process(serve) as port:
        url = f"http://127.0.0.1:{port.recv()}/account"
        for count, hierarchical in plans:
            with process(measure_plan, count, url, hierarchical=hierarchical) as result:
                measured.append(result.recv())
            print(measured[-1].line(), flush=True)
    holds, verdict = judge(measured)
    print(verdict)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
