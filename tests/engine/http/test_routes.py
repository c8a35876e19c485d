"""How requests travel: Host headers, proxies, tunnels, the environment."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import requests

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.http.client import Connections
from airflow_s3_azure.engine.http.failures import describe
from tests.fakes.scripted_server import EMPTY, HELLO, ScriptedServer, fetch


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://Bucket.S3.Example", "bucket.s3.example"),
        ("http://s3.example:80", "s3.example"),
        ("http://s3.example:443", "s3.example:443"),
        ("http://me:secret@s3.example:8080", "s3.example:8080"),
    ],
)
def test_the_host_is_named_as_it_was_signed(
    serve: Callable[..., ScriptedServer], session: requests.Session, origin: str, host: str
) -> None:
    """In lower case, without the default port, a user name and a password."""
    proxy = serve(EMPTY)
    session.proxies["http"] = proxy.url
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)

    fetch(connections, origin + "/")
    connections.close()

    assert f"Host: {host}" in proxy.heads[0].split("\r\n")


def test_an_ipv6_host_is_named_with_its_brackets(
    serve: Callable[..., ScriptedServer], connections: Connections
) -> None:
    """It is part of what is signed."""
    try:
        server = serve(EMPTY, host="::1")
    except OSError:
        pytest.skip("no IPv6 here")

    fetch(connections, server.url)

    assert f"Host: [::1]:{server.port}" in server.heads[0]


def test_a_proxy_gets_the_whole_url_and_its_password(
    serve: Callable[..., ScriptedServer], session: requests.Session
) -> None:
    """For a plain URL the request goes to the proxy and names the host."""
    proxy = serve(HELLO, EMPTY)
    session.proxies["http"] = proxy.url.replace("//", "//me:secret@")
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)

    assert fetch(connections, "http://s3.example:8080//a/../b?c=d") == b"hello"
    fetch(connections, "http://s3.example:8080/")
    connections.close()

    lines = proxy.heads[0].split("\r\n")
    assert lines[0] == "GET http://s3.example:8080//a/../b?c=d HTTP/1.1"
    assert "Host: s3.example:8080" in lines
    assert "Proxy-Authorization: Basic bWU6c2VjcmV0" in lines
    assert "Proxy-Authorization: Basic bWU6c2VjcmV0" in proxy.heads[1].split("\r\n")
    assert proxy.connections == 1


def test_a_proxy_opens_a_tunnel_to_a_secure_host(
    serve: Callable[..., ScriptedServer], session: requests.Session
) -> None:
    """A presigned URL is not shown to it."""
    proxy = serve(b"HTTP/1.1 403 Forbidden\r\n\r\n")
    session.proxies["https"] = proxy.url
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)

    with pytest.raises(OSError, match="Tunnel connection failed") as caught:
        fetch(connections, "https://s3.example/key?X-Amz-Signature=SECRET")

    assert describe(caught.value) == "the proxy refused a tunnel (403)"
    assert proxy.heads[0].startswith("CONNECT s3.example:443 HTTP/1.")
    assert "SECRET" not in proxy.heads[0]


def test_no_proxy_of_the_environment_is_obeyed(
    serve: Callable[..., ScriptedServer], session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`HTTP_PROXY` and `NO_PROXY` hold as they do for requests."""
    proxy, server = serve(HELLO), serve(EMPTY)
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)

    assert fetch(connections, "http://s3.example/") == b"hello"
    assert fetch(connections, server.url) == b""
    connections.close()


@pytest.mark.parametrize("proxy", ["http://[", "http://:80", "http://a:b:c", "ftp://127.0.0.1:1"])
def test_a_proxy_that_cannot_be_used_is_an_os_error(
    session: requests.Session, connections: Connections, proxy: str
) -> None:
    """Callers have one error to catch, although each library raises its own."""
    session.proxies["http"] = proxy

    with pytest.raises(OSError):  # noqa: PT011 - each has its own text
        fetch(connections, "http://s3.example/")
