"""The two stand-ins, each in a process of its own, and their counts."""

from __future__ import annotations

import base64
import json
import multiprocessing
import ssl
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import requests
import trustme

from benchmarks.http_server import COUNTS, Handler, Server
from benchmarks.sink import TOTALS, sink
from benchmarks.source import REGION, source

ACCOUNT = "account"
KEY = base64.b64encode(bytes(range(64))).decode()
"""Of the sink, which does not check it."""


@dataclass(frozen=True, slots=True)
class StandIns:
    """The addresses of the two.

    :param source: S3's endpoint
    :param sink: Azure's account
    :param bundle: file of the certificate authority that signed both certificates; empty: plain HTTP
    """

    source: str
    sink: str
    bundle: str = ""

    def trust(self) -> dict[str, str]:
        """Return the environment in which every client verifies the certificates of both, and none fails to."""
        names = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE") if self.bundle else ()
        return dict.fromkeys(names, self.bundle)

    def airflow_connections(self) -> dict[str, str]:
        """Return the environment that gives Airflow ``aws_default``, ``wasb_default``, and for adlfs ``adlfs_default``."""
        aws = {
            "conn_type": "aws",
            "login": "access",
            "password": "secret",
            "extra": {"endpoint_url": self.source, "region_name": REGION},
        }
        wasb = {"conn_type": "wasb", "host": self.sink, "login": ACCOUNT, "password": KEY}
        text = f"DefaultEndpointsProtocol={self.sink.partition(':')[0]};AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={self.sink};"
        adlfs = {"conn_type": "wasb", "extra": {"connection_string": text}}
        connections = {"aws": aws, "wasb": wasb, "adlfs": adlfs}
        return {f"AIRFLOW_CONN_{name.upper()}_DEFAULT": json.dumps(value) for name, value in connections.items()}

    def create_container(self, name: str) -> None:
        """Make an empty container."""
        self._request("PUT", f"{self.sink}/{name}?restype=container").raise_for_status()

    def delete_container(self, name: str) -> None:
        """Forget a container and all in it."""
        self._request("DELETE", f"{self.sink}/{name}?restype=container").raise_for_status()

    def totals(self, container: str) -> tuple[int, int]:
        """Return how many blobs a container holds, and of how many bytes, without manifest and ledger."""
        response = self._request("GET", f"{self.sink}/{container}?comp={TOTALS}")
        response.raise_for_status()
        blobs, size = response.text.split()
        return int(blobs), int(size)

    def reset_counts(self) -> None:
        """Count from zero."""
        for url in (self.source, self.sink):
            self._request("DELETE", _root(url) + COUNTS).raise_for_status()

    def counts(self) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """Return what the source and the sink counted: exchanges by name, ``bytes in``, ``bytes out``, ``ms cpu``."""
        counted = [self._request("GET", _root(url) + COUNTS).json() for url in (self.source, self.sink)]
        return counted[0], counted[1]

    def _request(self, method: str, url: str) -> requests.Response:
        return requests.request(method, url, timeout=60, verify=self.bundle or True)


@contextmanager
def stand_ins(*, check: bool = False, tls: bool = False) -> Iterator[StandIns]:
    """Serve both stand-ins.

    :param check: let the sink check CRC-64 values
    :param tls: over TLS 1.3, with certificates of an authority made for this run; what TLS costs the stand-ins is
        counted as theirs
    """
    with tempfile.TemporaryDirectory() as folder:
        bundle = identity = ""
        if tls:
            authority = trustme.CA()
            bundle, identity = f"{folder}/ca.pem", f"{folder}/server.pem"
            authority.cert_pem.write_to_path(bundle)
            authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(identity)
        scheme = "https" if tls else "http"
        with started(_serve_source, identity) as source_port, started(_serve_sink, identity, check) as sink_port:
            yield StandIns(f"{scheme}://127.0.0.1:{source_port}", f"{scheme}://127.0.0.1:{sink_port}/{ACCOUNT}", bundle)


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


def _serve_source(port_to: Connection, identity: str) -> None:
    _serve(port_to, source(), identity)


def _serve_sink(port_to: Connection, identity: str, check: bool) -> None:
    _serve(port_to, sink(check=check), identity)


def _serve(port_to: Connection, handler: Handler, identity: str) -> None:
    context = None
    if identity:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(identity)
    server = Server(handler, context=context)
    port_to.send(server.port)
    server.run()


def _root(url: str) -> str:
    return "/".join(url.split("/")[:3])
