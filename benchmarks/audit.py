"""Memory and time of a shallow audit, which must not grow with the container: a bound on one, a straight line for the other.

`python -m benchmarks.audit` audits 100,000, 300,000 and 1,000,000 blobs against a ledger in no order, so that it must be
sorted first; one blob in a thousand is missing, one has another ETag. Listing and ledger come over HTTP from a stand-in for
the container, in a process of its own, so that its memory does not count; there the audit writes its own ledger too. It
ends with 1 if an audit's peak over the imports is above 200 MiB, or if a blob of the largest audit takes more than 1.5 times the
CPU time of one of the smallest. Linux only.
"""

from __future__ import annotations

import argparse
import base64
import json
import secrets
import sys
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import suppress
from email.utils import formatdate
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from threading import Lock
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import requests
from azure.core.pipeline import Pipeline
from azure.storage.blob import ContainerClient

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.azure.requests import ContainerAddress
from airflow_s3_azure.engine.azure.transport import ConnectionsTransport
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.http.client import Connections
from airflow_s3_azure.engine.model import CopyResult
from airflow_s3_azure.sync.audit.audit_ledger import Checkpoint
from airflow_s3_azure.sync.audit.audit_report import AuditReport
from airflow_s3_azure.sync.audit.auditor import Audit, AuditOptions
from airflow_s3_azure.sync.audit.content_reader import ContentReader
from airflow_s3_azure.sync.rows import ledger_row
from benchmarks.measure import measure
from benchmarks.plan import names, process
from benchmarks.plan_results import BY_BYTES, MAX_GROWTH, MAX_PEAK, Measured, judge

SIZES = (100_000, 300_000, 1_000_000)
DAMAGED = 1_000
"""One blob in so many is missing, and one has another ETag."""
PAGE = 5_000
"""Blobs in a page of the listing."""
CRC64 = base64.b64encode(bytes(8)).decode()
RUN = "_s3_to_azure/benchmark/run/s3_to_azure/20261101T000000Z-0123456789abcdef"

_KEY = base64.b64encode(secrets.token_bytes(64)).decode()
_STEP = 7_919
"""Rows of the ledger are this far apart: a prime, so that all are reached."""


class NoCheckpoints:
    """Checkpoints that are not kept."""

    def load(self) -> Checkpoint | None:
        """Return none."""
        return None

    def save(self, checkpoint: Checkpoint) -> None:
        """Keep nothing."""

    def clear(self) -> None:
        """Do nothing."""


@cache
def listed(count: int) -> list[str]:
    """Return the names of the blobs, in the order of their bytes."""
    return [name for _, name in names(count, hierarchical=False)]


def row(count: int, number: int) -> bytes:
    """Return the line of a blob in the ledger."""
    name = listed(count)[number]
    size, etag = 20_000 + number % 1_000, f"{number:032x}"
    result = CopyResult(
        name, name, "copied", size=size, etag=etag, blob_etag=f'"0x{number:015X}"', verified="crc64nvme"
    )
    return json.dumps(ledger_row(result) | {"crc64nvme": CRC64}).encode() + b"\n"


@cache
def ledger(count: int) -> bytes:
    """Return the ledger of all blobs, in no order."""
    return b"".join(row(count, number * _STEP % count) for number in range(count))


def page(count: int, start: int) -> bytes:
    """Return a page of the listing, from a number on."""
    stop = min(start + PAGE, count)
    blobs = "".join(
        f"<Blob><Name>{listed(count)[number]}</Name><Properties><Last-Modified>{_DATE}</Last-Modified>"
        f"<Etag>0x{number + 1 if number % DAMAGED == 2 else number:015X}</Etag>"
        f"<Content-Length>{20_000 + number % 1_000}</Content-Length><BlobType>BlockBlob</BlobType></Properties><Metadata>"
        f"<s3_source_etag>{number:032x}</s3_source_etag><s3_source_size>{20_000 + number % 1_000}</s3_source_size>"
        f"<s3_source_crc64nvme>{CRC64}</s3_source_crc64nvme></Metadata></Blob>"
        for number in range(start, stop)
        if number % DAMAGED != 1
    )
    marker = f"<NextMarker>{stop}</NextMarker>" if stop < count else "<NextMarker />"
    return _document(blobs, marker)


def _document(blobs: str, marker: str = "<NextMarker />") -> bytes:
    head = '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="http://127.0.0.1/" ContainerName="c">'
    return f"{head}<Blobs>{blobs}</Blobs>{marker}</EnumerationResults>".encode()


_DATE = formatdate(1_790_000_000, usegmt=True)


class Container(BaseHTTPRequestHandler):
    """A container of so many copies as the first segment of the path says, with the ledger of their sync."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    blocks: dict[str, bytes] = {}  # noqa: RUF012 - of all handlers
    committed: dict[str, bytes] = {}  # noqa: RUF012
    lock = Lock()

    def do_PUT(self) -> None:
        """Stage a block, commit blocks, or put a blob. The audit's own ledger is not kept."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        kind = query.get("comp")
        if kind == ["block"]:
            self.blocks[url.path + query["blockid"][0]] = b"" if url.path.endswith("audit.jsonl") else body
        elif kind == ["blocklist"]:
            document = body.decode()
            ids = [one.partition("</Latest>")[0] for one in document.split("<Latest>")[1:]]
            self.committed[url.path] = b"".join(self.blocks[url.path + one] for one in ids)
        self._respond(201)

    def do_HEAD(self) -> None:
        """Respond that a blob exists, unless it is the audit's ledger, which is new."""
        is_known = not self.path.partition("?")[0].endswith("audit.jsonl")
        self._respond(200 if is_known else 404, {"x-ms-blob-type": "BlockBlob"})

    def do_GET(self) -> None:
        """Return a page of the listing, or a range of a file."""
        url = urlsplit(self.path)
        count = int(url.path.split("/")[1])
        query = parse_qs(url.query)
        if query.get("comp") == ["list"]:
            self._respond(200, {"Content-Type": "application/xml"}, self._listing(count, query))
            return
        path = unquote(url.path)
        if path.endswith(f"{RUN}/summary.json"):
            whole = json.dumps({"ledger": f"http://127.0.0.1/c/{RUN}/ledger/", "dry_run": False}).encode()
        elif path.endswith(f"{RUN}/ledger/00000.jsonl"):
            whole = ledger(count)
        else:
            whole = self.committed[url.path]
        first, last = (int(one) for one in self.headers["x-ms-range"].removeprefix("bytes=").split("-"))
        piece = whole[first : last + 1]
        if not piece:
            self._respond(416, {"x-ms-error-code": "InvalidRange"})
            return
        span = f"bytes {first}-{first + len(piece) - 1}/{len(whole)}"
        self._respond(206, {"Content-Range": span, "x-ms-blob-type": "BlockBlob"}, piece)

    def do_DELETE(self) -> None:
        """Delete a segment of a sort."""
        with suppress(KeyError):
            del self.committed[urlsplit(self.path).path]
        self._respond(202)

    def _listing(self, count: int, query: dict[str, list[str]]) -> bytes:
        prefix = query.get("prefix", [""])[0]
        if prefix.startswith("_s3_to_azure/"):
            found = [name for name in (f"{RUN}/ledger/00000.jsonl", f"{RUN}/summary.json") if name.startswith(prefix)]
            one = "<Blob><Name>{}</Name><Properties><Last-Modified>{}</Last-Modified><Etag>0x1</Etag>"
            one += "<Content-Length>1</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob>"
            return _document("".join(one.format(name, _DATE) for name in found))
        start = int(query.get("marker", ["0"])[0])
        if after := query.get("startFrom", [""])[0]:
            start = bisect_left(listed(count), after)
        with self.lock:
            return page(count, start)

    def _respond(self, status: int, headers: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        usual = {
            "Content-Type": "application/octet-stream",
            "ETag": '"0x1"',
            "x-ms-request-id": "1",
            "x-ms-version": "2023-11-03",
            "Last-Modified": _DATE,
        }
        for name, value in {**usual, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Log nothing."""


def serve(port_to: Connection) -> None:
    """Send the port, then serve containers until the process is killed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Container)
    port_to.send(server.server_port)
    server.serve_forever()


def audit(count: int, url: str) -> AuditReport:
    """Audit the container of so many blobs at ``url``.

    :raises RuntimeError: if the result is wrong
    """
    cancellation = Cancellation()
    with ContainerClient(f"{url}/{count}", "container", credential=_KEY) as client, requests.Session() as session:
        connections = Connections(session, cancellation, connect_timeout=20.0, read_timeout=60.0)
        pipeline: Pipeline[Any, Any] = Pipeline(ConnectionsTransport(connections), [])
        blobs = BlobContainer(ContainerAddress(client.url), pipeline, cancellation)
        run = Audit(
            client,
            blobs,
            AuditOptions(),
            NoCheckpoints(),
            cancellation,
            new_folder=lambda: f"_s3_to_azure/audits/run/audit/{secrets.token_hex(8)}",
            reported_digest=lambda _: None,
            new_reader=lambda _: ContentReader(blobs, cancellation, max_concurrency=1),
        )
        run.run()
    report = run.report
    damaged = count // DAMAGED
    found = (report.counts["intact"], report.counts["changed"], report.counts["missing"], report.counts["unknown"])
    if found != (count - 2 * damaged, damaged, damaged, 0):
        raise RuntimeError(f"the audit is wrong: (intact, changed, missing, unknown) are {found} of {count:,}")
    return report


def measure_audit(result_to: Connection, count: int, url: str) -> None:
    """Measure one audit, and send the result. The body of a process, so that no audit inherits another's memory."""
    audit(2_000, url)  # what is imported or compiled at first use is no audit's memory
    cost = measure(lambda: audit(count, url))
    result_to.send(Measured(count, BY_BYTES, cost.memory, cost.cpu, cost.seconds))


def run(counts: Sequence[int]) -> list[Measured]:
    """Measure audits, and print each."""
    measured = []
    print(f"{'blobs':>10}  {'listed':<12}  {'seconds':>8}  {'CPU':>8}  {'blobs/s':>8}  {'peak MiB':>8}", flush=True)
    with process(serve) as port:
        url = f"http://127.0.0.1:{port.recv()}"
        for count in counts:
            with process(measure_audit, count, url) as result:
                measured.append(result.recv())
            print(measured[-1].line(), flush=True)
    return measured


def main() -> int:
    """Measure and print; return 1 if a bound does not hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.audit", description="Memory and time of an audit.")
    parser.add_argument("--blobs", type=int, nargs="*", default=SIZES, help="blobs of each audit, the fewest first")
    holds, verdict = judge(run(parser.parse_args().blobs))
    print(verdict)
    return 0 if holds else 1


__all__ = ["MAX_GROWTH", "MAX_PEAK", "audit", "main", "run", "serve"]

if __name__ == "__main__":
    sys.exit(main())
