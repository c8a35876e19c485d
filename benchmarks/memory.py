"""Peak memory and disk writes of a copy, which do not depend on the object's size: a bound, not an average.

`python -m benchmarks.memory` copies one object through the engine, as the operators do, and ends with 1 if the peak
over the imports is more than max_concurrency x block_size + 40 MiB, or if a byte was written to disk. The object and
the blob are two stand-ins in a process of their own, so that their memory does not count: a source that makes up its
bytes as they are asked for, and a sink that checks each block's CRC and drops it. Linux only.
"""

from __future__ import annotations

import argparse
import base64
import gc
import hashlib
import multiprocessing
import re
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import boto3
from awscrt.checksums import crc64nvme
from azure.core.pipeline import Pipeline
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import ContainerClient
from botocore.config import Config

from airflow_s3_azure.stream.blocks import MIB
from airflow_s3_azure.stream.copy import CopyOptions
from airflow_s3_azure.stream.http import pooled_session
from airflow_s3_azure.stream.interruption import Interruption
from airflow_s3_azure.stream.objects import CopyRequest, CopyResult
from airflow_s3_azure.stream.pool import copy_objects
from airflow_s3_azure.stream.sink import BlobContainer, ContainerAddress
from airflow_s3_azure.stream.source import S3Source

GIB = 1024 * MIB
OVERHEAD = 40 * MIB
"""Bytes of memory beside the blocks."""
PERIOD = MIB + 4099
"""Bytes after which the object repeats itself: no block is like another."""
_ACCOUNT = "account"
_KEY = base64.b64encode(secrets.token_bytes(64)).decode()

Handler = Callable[["Exchange"], None]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a copy took.

    :param peak: bytes of resident memory, over what the imports need
    :param written: bytes that went to disk
    :param cpu: seconds
    :param seconds: from the first request to the last
    """

    peak: int
    written: int
    cpu: float
    seconds: float


class Exchange:
    """One request to a stand-in, and its answer."""

    def __init__(self, connection: socket.socket, head: bytes) -> None:
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, _ = lines[0].split(" ")
        pairs = (line.partition(":") for line in lines[1:])
        self.headers = {name.lower(): value.strip() for name, _, value in pairs}
        self._connection = connection

    def answer(self, status: int, headers: Mapping[str, str], size: int = 0) -> None:
        """Send the head of the answer to a request whose body was read."""
        lines = [f"HTTP/1.1 {status} {status}", f"Content-Length: {size}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._connection.sendall("".join(f"{line}\r\n" for line in (*lines, "")).encode())

    def send(self, data: memoryview) -> None:
        """Send a piece of the answer's body."""
        self._connection.sendall(data)

    def drop_body(self, scratch: memoryview) -> int:
        """Read the request's body, and return its CRC-64/NVME."""
        left, crc64 = int(self.headers.get("content-length", 0)), 0
        while left:
            received = self._connection.recv_into(scratch[: min(left, len(scratch))])
            if not received:
                raise EOFError("the client hung up within a body")
            crc64 = crc64nvme(scratch[:received], crc64)
            left -= received
        return crc64


def serve(port_to: Connection, make_handlers: tuple[Callable[..., Callable[[], Handler]], ...], size: int) -> None:
    """Serve each stand-in on a port of its own, after telling the ports, until the process is killed."""
    for make_handler in make_handlers:
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        port_to.send(listener.getsockname()[1])
        threading.Thread(target=_accept, args=(listener, make_handler(size)), daemon=True).start()
    threading.Event().wait()


def source(size: int) -> Callable[[], Handler]:
    """Return what answers for one S3 object of ``size`` bytes: HEAD, and ranges of it, pinned by ETag."""
    pattern = hashlib.shake_256(b"benchmark").digest(PERIOD)
    ring = memoryview(pattern + pattern)
    crc64 = 0
    for start in range(0, size, PERIOD):
        crc64 = crc64nvme(pattern[: min(PERIOD, size - start)], crc64)
    known = {
        "ETag": '"0123456789abcdef0123456789abcdef-2"',
        "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT",
        "x-amz-checksum-crc64nvme": base64.b64encode(crc64.to_bytes(8, "big")).decode(),
        "x-amz-checksum-type": "FULL_OBJECT",
    }

    def handle(exchange: Exchange) -> None:
        if exchange.method == "HEAD":
            exchange.answer(200, known, size)
            return
        if exchange.headers.get("if-match", known["ETag"]) != known["ETag"]:
            exchange.answer(412, {})
            return
        start, stop, status = 0, size, 200
        if match := re.fullmatch(r"bytes=(\d+)-(\d+)", exchange.headers.get("range", "")):
            start, stop, status = int(match[1]), min(int(match[2]) + 1, size), 206
        headers = (
            known if status == 200 else {"ETag": known["ETag"], "Content-Range": f"bytes {start}-{stop - 1}/{size}"}
        )
        exchange.answer(status, headers, stop - start)
        while start < stop:
            piece = ring[start % PERIOD :][: min(PERIOD, stop - start)]
            exchange.send(piece)
            start += len(piece)

    return lambda: handle


def sink(size: int) -> Callable[[], Handler]:
    """Return what answers for an empty Azure container that takes everything and keeps nothing."""
    del size

    def make() -> Handler:
        scratch = memoryview(bytearray(MIB))

        def handle(exchange: Exchange) -> None:
            if exchange.method != "PUT":
                exchange.answer(404, {"x-ms-error-code": "BlobNotFound"})
                return
            crc64 = base64.b64encode(exchange.drop_body(scratch).to_bytes(8, "little")).decode()
            if exchange.headers.get("x-ms-content-crc64", crc64) != crc64:
                exchange.answer(400, {"x-ms-error-code": "Crc64Mismatch"})
                return
            exchange.answer(201, {"ETag": '"0x1"', "x-ms-content-crc64": crc64})

        return handle

    return make


@contextmanager
def stand_ins(size: int) -> Iterator[tuple[str, str]]:
    """Serve both stand-ins in another process, and give the URL of the source and that of the sink."""
    context = multiprocessing.get_context("spawn")
    ports, port_to = context.Pipe(duplex=False)
    process = context.Process(target=serve, args=(port_to, (source, sink), size), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ports.recv()}", f"http://127.0.0.1:{ports.recv()}/{_ACCOUNT}"
    finally:
        process.kill()
        process.join()


def copy(source_url: str, sink_url: str, *, max_concurrency: int, block_size: int) -> CopyResult:
    """Copy the one object through the engine: URLs signed by boto3, requests signed with a shared key."""
    interruption = Interruption()
    signer = boto3.session.Session().client(
        "s3",
        endpoint_url=source_url,
        region_name="eu-west-1",
        aws_access_key_id="access",
        aws_secret_access_key="secret",
        config=Config(signature_version="s3v4"),
    )

    def presign(operation: str, params: Mapping[str, str | int]) -> str:
        return str(signer.generate_presigned_url(operation, {"Bucket": "bucket", **params}))

    container = ContainerClient(sink_url, "container", credential=_KEY)
    transport = RequestsTransport(session=pooled_session(max_concurrency, interruption))
    pipeline: Pipeline[Any, Any] = Pipeline(transport, [container.credential])
    (result,) = copy_objects(
        [CopyRequest("object", "blob")],
        S3Source("bucket", presign, pooled_session(max_concurrency, interruption), interruption),
        BlobContainer(ContainerAddress(container.url), pipeline, interruption),
        CopyOptions(block_size=block_size, verify="require"),
        interruption,
        max_concurrency=max_concurrency,
    )
    if result.error is not None:
        raise result.error
    return result


def measure(function: Callable[[], object]) -> Cost:
    """Return what a function takes of this process."""
    gc.collect()
    reset_peak()
    before, written, cpu, started = memory("VmRSS"), disk_writes(), time.process_time(), time.monotonic()
    function()
    seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    return Cost(memory("VmHWM") - before, disk_writes() - written, cpu, seconds)


def memory(name: str) -> int:
    """Return a value of /proc/self/status in bytes."""
    match = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert match
    return int(match[1]) * 1024


def reset_peak() -> None:
    """Let VmHWM start again from what is resident now."""
    Path("/proc/self/clear_refs").write_text("5")


def disk_writes() -> int:
    """Return how many bytes this process had written to disk."""
    match = re.search(r"^write_bytes: (\d+)$", Path("/proc/self/io").read_text(), re.MULTILINE)
    assert match
    return int(match[1])


def main() -> int:
    """Measure, print, and say whether the bounds hold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description="Memory and disk of a copy.")
    parser.add_argument("--size-gib", type=float, default=2.0)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--block-mib", type=int, default=8)
    given = parser.parse_args()
    size, blocks = int(given.size_gib * GIB), given.concurrency * given.block_mib * MIB
    with stand_ins(size) as (source_url, sink_url):
        cost = measure(
            lambda: copy(source_url, sink_url, max_concurrency=given.concurrency, block_size=given.block_mib * MIB)
        )
    holds = cost.peak <= blocks + OVERHEAD and cost.written == 0
    report = (
        f"copied {size / GIB:g} GiB, {given.concurrency} blocks of {given.block_mib} MiB at a time: "
        f"{size / MIB / cost.seconds:,.0f} MiB/s, {cost.cpu / size * GIB:.2f} CPU-seconds per GiB\n"
        f"peak memory over the imports: {cost.peak / MIB:.1f} MiB; allowed: {(blocks + OVERHEAD) / MIB:.1f} MiB\n"
        f"written to disk: {cost.written:,} bytes; allowed: 0\n"
        f"{'both bounds hold' if holds else 'A BOUND IS BROKEN'}\n"
    )
    sys.stdout.write(report)
    return 0 if holds else 1


def _accept(listener: socket.socket, make: Callable[[], Handler]) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_converse, args=(connection, make()), daemon=True).start()


def _converse(connection: socket.socket, handle: Handler) -> None:
    """Answer one client's requests, one after the other. A body is read from the socket itself, never from here."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        while head := _read_head(connection):
            try:
                handle(Exchange(connection, head))
            except (OSError, EOFError):
                return


def _read_head(connection: socket.socket) -> bytes:
    """Return a request's head, or nothing if the client hung up; not a byte of the body is taken."""
    while True:
        seen = connection.recv(64 * 1024, socket.MSG_PEEK)
        end = seen.find(b"\r\n\r\n")
        if end >= 0:
            return connection.recv(end + 4, socket.MSG_WAITALL)
        if not seen:
            return b""


if __name__ == "__main__":
    sys.exit(main())
