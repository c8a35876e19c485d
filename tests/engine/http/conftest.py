"""What the tests of the HTTP client share: scripted servers, and clients that the environment does not change."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
import requests

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.http.client import Connections
from airflow_s3_azure.engine.http.receive_buffer import ReceiveBuffer
from tests.fakes.scripted_server import ScriptedServer
from tests.servers.tls import CertificateAuthority


@pytest.fixture
def serve() -> Iterator[Callable[..., ScriptedServer]]:
    """Start servers, and stop them at the end."""
    started: list[ScriptedServer] = []

    def start(*responses: bytes, **options: Any) -> ScriptedServer:
        started.append(ScriptedServer(*responses, **options))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, ReceiveBuffer]]:
    """The server's end of a connection, and the receiving side of the client's."""
    server, client = socket.socketpair()
    client.settimeout(30)
    with server, client:
        yield server, ReceiveBuffer(client, 30)


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[requests.Session]:
    """A session that ignores this machine's environment."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with requests.Session() as made:
        yield made


@pytest.fixture
def connections(session: requests.Session) -> Iterator[Connections]:
    """Connections that wait no longer than 5 seconds."""
    made = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)
    yield made
    made.close()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> CertificateAuthority:
    """Signs the certificates of these tests' servers; clients verify them with its bundle."""
    return CertificateAuthority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def context(authority: CertificateAuthority) -> ssl.SSLContext:
    """What a server wraps its connections with."""
    return authority.server_context()


@pytest.fixture
def closed() -> str:
    """Return the address of a port where nothing listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
