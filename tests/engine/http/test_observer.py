"""An observer sees each exchange of a client, without its URL."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest
import requests

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.http.client import Connections
from airflow_s3_azure.engine.http.observer import Exchange
from tests.fakes.scripted_server import ScriptedServer, fetch
from tests.servers.tls import CertificateAuthority

OK = b"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 0\r\n\r\n"
REFUSED = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"


def test_each_exchange_is_observed(serve: Callable[..., ScriptedServer], session: requests.Session) -> None:
    """Method, origin, status and headers; whether the connection was reused; bytes of the body."""
    server = serve(OK, REFUSED)
    seen: list[Exchange] = []
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5, on_exchange=seen.append)

    fetch(connections, f"{server.url}/bucket/key?X-Amz-Signature=SECRET")
    with connections.send("PUT", server.url, {"Content-Length": "4"}, memoryview(b"body")):
        pass

    first, second = seen
    assert (first.method, first.origin, first.status, first.headers["date"]) == ("GET", server.url, 200, "now")
    assert (first.tls_version, first.is_reused, first.sent) == (None, False, 0)
    assert (second.method, second.status, second.is_reused, second.sent) == ("PUT", 503, True, 4)
    assert "SECRET" not in repr(seen)


@pytest.mark.parametrize(
    ("version", "name"), [(ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")]
)
def test_an_observer_sees_the_version_of_tls(
    serve: Callable[..., ScriptedServer],
    session: requests.Session,
    authority: CertificateAuthority,
    version: ssl.TLSVersion,
    name: str,
) -> None:
    """That of the connection, not of the settings."""
    server = serve(OK, context=authority.server_context(version))
    session.verify = str(authority.bundle)
    seen: list[Exchange] = []
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5, on_exchange=seen.append)

    fetch(connections, server.url)

    assert [one.tls_version for one in seen] == [name]
