"""Starting the two stand-ins, each in a process of its own, and asking what they counted."""

from __future__ import annotations

import base64
import json
import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import requests

from benchmarks.http_server import COUNTS, Handler, Server
from benchmarks.sink import TOTALS, sink
from benchmarks.source import REGION, source

ACCOUNT = "account"
KEY = base64.b64encode(bytes(range(64))).decode()
"""Of the sink, which does not look at it."""


@dataclass(frozen=True, slots=True)
class StandIns:
    """The addresses of the two.

    :param source: S3's endpoint
    :param sink: Azure's account
    """

    source: str
    sink: str

    def airflow_connections(self) -> dict[str, str]:
        """Return the environment that gives Airflow ``aws_default``, ``wasb_default``, and for adlfs ``adlfs_default``."""
        aws = {
            "conn_type": "aws",
            "login": "access",
            "password": "secret",
            "extra": {"endpoint_url": self.source, "region_name": REGION},
        }
        wasb = {"conn_type": "wasb", "host": self.sink, "login": ACCOUNT, "password": KEY}
        text = f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.sink};"
        adlfs = {"conn_type": "wasb", "extra": {"connection_string": text}}
        connections = {"aws": aws, "wasb": wasb, "adlfs": adlfs}
        return {f"AIRFLOW_CONN_{name.upper()}_DEFAULT": json.dumps(value) for name, value in connections.items()}

    def create_container(self, name: str) -> None:
        """Make an empty container."""
        requests.put(f"{self.sink}/{name}?restype=container", timeout=10).raise_for_status()

    def delete_container(self, name: str) -> None:
        """Forget a container and all in it."""
        requests.delete(f"{self.sink}/{name}?restype=container", timeout=60).raise_for_status()

    def totals(self, container: str) -> tuple[int, int]:
        """Return how many blobs a container holds, and of how many bytes, without manifest and ledger."""
        answer = requests.get(f"{self.sink}/{container}?comp={TOTALS}", timeout=60)
        answer.raise_for_status()
        blobs, size = answer.text.split()
        return int(blobs), int(size)

    def reset_counts(self) -> None:
        """Count from zero."""
        for url in (self.source, self.sink):
            requests.delete(_root(url) + COUNTS, timeout=10).raise_for_status()

    def counts(self) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """Return what the source and the sink counted: exchanges by name, ``bytes in``, ``bytes out``, ``ms cpu``."""
        told = [requests.get(_root(url) + COUNTS, timeout=10).json() for url in (self.source, self.sink)]
        return told[0], told[1]


@contextmanager
def stand_ins(*, check: bool = False) -> Iterator[StandIns]:
    """Serve both stand-ins.

    :param check: let the sink check CRC-64 values
    """
    with started(_serve_source) as source_port, started(_serve_sink, check) as sink_port:
        yield StandIns(f"http://127.0.0.1:{source_port}", f"http://127.0.0.1:{sink_port}/{ACCOUNT}")


@contextmanager
def started(serve: Callable[..., None], *arguments: Any) -> Iterator[int]:
    """Run ``serve(pipe, *arguments)`` in another process, which sends its port through the pipe, and kill it at the end."""
    context = multiprocessing.get_context("spawn")
    port, port_to = context.Pipe(duplex=False)
    process = context.Process(target=serve, args=(port_to, *arguments), daemon=True)
    process.start()
    port_to.close()
    try:
        yield port.recv()
    finally:
        process.kill()
        process.join()


def _serve_source(port_to: Connection) -> None:
    _serve(port_to, source())


def _serve_sink(port_to: Connection, check: bool) -> None:
    _serve(port_to, sink(check=check))


def _serve(port_to: Connection, handler: Handler) -> None:
    server = Server(handler)
    port_to.send(server.port)
    server.run()


def _root(url: str) -> str:
    return "/".join(url.split("/")[:3])
