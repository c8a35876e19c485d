"""HTTP/1.1 over connections that stay open, against a server that sends what a test tells it to, byte for byte."""

from __future__ import annotations

import datetime as dt
import ipaddress
import logging
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from azure.core.credentials import AccessToken
from azure.core.pipeline import Pipeline
from azure.core.pipeline.policies import BearerTokenCredentialPolicy
from azure.core.rest import HttpRequest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_s3_azure.engine.azure.transport import ConnectionsTransport
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.http.client import Connections
from airflow_s3_azure.engine.http.failures import describe
from airflow_s3_azure.engine.http.message import ProtocolError
from tests.engine.http.scripted import ScriptedServer

EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture
def serve() -> Iterator[Callable[..., ScriptedServer]]:
    """Start servers, and stop them at the end."""
    started: list[ScriptedServer] = []

    def start(*answers: bytes, **options: Any) -> ScriptedServer:
        started.append(ScriptedServer(*answers, **options))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[requests.Session]:
    """A session that this machine's environment says nothing about."""
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


def ask(connections: Connections, url: str, method: str = "GET", **headers: str) -> bytes:
    """Return the body of an answer."""
    with connections.send(method, url, headers) as reply:
        return reply.read(2**20)


def test_requests_go_over_one_connection_as_long_as_the_server_keeps_it(
    serve: Callable[..., ScriptedServer], connections: Connections
) -> None:
    """Bodies that are read to their end, empty ones and answers to HEAD leave the connection ready for the next."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    server = serve(HELLO, head, b"HTTP/1.1 204 No Content\r\n\r\n", EMPTY, HELLO)

    found = [ask(connections, server.url + "/a", method) for method in ("GET", "HEAD", "DELETE", "PUT", "GET")]

    assert found == [b"hello", b"", b"", b"", b"hello"]
    assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n",
    ],
    ids=["it says so", "HTTP/1.0", "there is more than it said"],
)
def test_a_connection_that_cannot_serve_on_is_closed(
    serve: Callable[..., ScriptedServer], connections: Connections, answer: bytes
) -> None:
    """The next request takes a new one."""
    server = serve(answer, HELLO)

    assert [ask(connections, server.url) for _ in range(2)] == [b"hello", b"hello"]
    assert server.connections == 2


def test_a_body_that_is_not_read_costs_its_connection(
    serve: Callable[..., ScriptedServer], connections: Connections
) -> None:
    """What is left of it must not be taken for the next answer."""
    server = serve(HELLO, EMPTY)

    connections.send("GET", server.url, {}).close()

    assert ask(connections, server.url) == b""
    assert server.connections == 2


def test_what_was_closed_can_be_used_again(serve: Callable[..., ScriptedServer], connections: Connections) -> None:
    """Closing ends the connections that are open, not the use of them."""
    server = serve(HELLO, HELLO)
    assert ask(connections, server.url) == b"hello"

    connections.close()

    assert ask(connections, server.url) == b"hello"
    assert server.connections == 2


def test_a_connection_that_the_server_closed_meanwhile_is_not_used(
    serve: Callable[..., ScriptedServer], connections: Connections
) -> None:
    """Servers close connections that were idle for long; that is nobody's error."""
    first = serve(HELLO)
    assert ask(connections, first.url) == b"hello"
    first.close()

    with pytest.raises(ConnectionError) as caught:
        ask(connections, first.url)

    assert describe(caught.value) == "ConnectionRefusedError (Connection refused)"


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BODIES: dict[str, Callable[[bytes], bytes]] = {
    "length": lambda body: b"HTTP/1.1 200 OK\r\ncontent-length:%d\r\n\r\n%s" % (len(body), body),
    "until closed": lambda body: b"HTTP/1.1 200\r\n\r\n" + body,
    "after continue": lambda body: (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    ),
    "chunked": lambda body: (
        CHUNKED
        + b"".join(b"%X;note=1\r\n%s\r\n" % (len(body[i : i + 7]), body[i : i + 7]) for i in range(0, len(body), 7))
        + b"0\r\nx-trailer: 1\r\n\r\n"
    ),
}


@settings(max_examples=60, deadline=None)
@given(
    body=st.binary(max_size=60),
    kind=st.sampled_from(sorted(BODIES)),
    pieces=st.integers(min_value=1, max_value=40),
    wanted=st.integers(min_value=1, max_value=20),
)
def test_a_body_arrives_however_it_is_framed_and_cut(body: bytes, kind: str, pieces: int, wanted: int) -> None:
    """By its length, in chunks, or to the end of the connection; whatever the network and the reader make of it."""
    server = ScriptedServer(BODIES[kind](body), pieces=pieces)
    session = requests.Session()
    session.trust_env = False
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)
    found, into = b"", memoryview(bytearray(wanted))

    try:
        with connections.send("GET", server.url, {}) as reply:
            while received := reply.readinto(into):
                found += into[:received]
    finally:
        connections.close()
        server.close()

    assert found == body


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\nhello" % (b"9" * 5000),
        CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"1_0\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"f" * 5000 + b"\r\nhello\r\n0\r\n\r\n",
        CHUNKED + b"5\r\nhelloworld\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 60_000,
        CHUNKED + b"zz\r\n",
        CHUNKED + b"5\r\nhel",
        CHUNKED + b"5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
    ],
)
def test_an_answer_that_is_none_or_not_whole_is_an_error(
    serve: Callable[..., ScriptedServer], connections: Connections, answer: bytes
) -> None:
    """It is an OSError, which is tried again like a broken connection."""
    server = serve(answer)

    with pytest.raises(ProtocolError):
        ask(connections, server.url)


def test_a_connection_that_ends_without_a_response_is_described_as_that(
    serve: Callable[..., ScriptedServer], connections: Connections
) -> None:
    """The description needs no URL."""
    server = serve(b"")

    with pytest.raises(ProtocolError) as caught:
        ask(connections, server.url)

    assert describe(caught.value) == "the server closed the connection before the response head"


def test_headers_have_no_case_and_repeated_ones_are_joined(
    serve: Callable[..., ScriptedServer], connections: Connections
) -> None:
    """As HTTP has it."""
    server = serve(b"HTTP/1.1 404 Not There\r\nX-A:  1 \r\nx-a: 2\r\nEmpty:\r\nContent-Length: 0\r\n\r\n")

    with connections.send("GET", server.url, {}) as reply:
        assert (reply.status_code, reply.reason) == (404, "Not There")
        assert (reply.headers["x-A"], reply.headers.get("EMPTY"), reply.headers.get("none")) == ("1, 2", "", None)
        assert ("X-A" in reply.headers, "x-b" in reply.headers) == (True, False)


def test_a_request_is_sent_as_it_is(serve: Callable[..., ScriptedServer], connections: Connections) -> None:
    """The path is not tidied, the host is the URL's, no header is added beside the client's name, the body is whole."""
    server = serve(EMPTY)
    body = memoryview(bytes(range(256)) * 4096)

    with connections.send("PUT", server.url + "//a/../%2F?x=/y", {"A": "b", "Content-Length": str(len(body))}, body):
        pass

    name = requests.utils.default_user_agent()
    assert server.heads[0].split("\r\n") == [
        "PUT //a/../%2F?x=/y HTTP/1.1",
        f"Host: 127.0.0.1:{server.port}",
        f"User-Agent: {name}",
        "A: b",
        f"Content-Length: {len(body)}",
    ]
    assert server.bodies == [bytes(body)]


def test_a_url_without_a_path_asks_for_the_root(serve: Callable[..., ScriptedServer], connections: Connections) -> None:
    """A presigned URL for a bucket may have a query alone."""
    server = serve(EMPTY, EMPTY)

    ask(connections, server.url + "?a=/b")
    ask(connections, server.url)

    assert [head.split(" ")[1] for head in server.heads] == ["/?a=/b", "/"]


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
    """In lower case, without the port that goes without saying, and without a name and a password."""
    proxy = serve(EMPTY)
    session.proxies["http"] = proxy.url
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)

    ask(connections, origin + "/")
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

    ask(connections, server.url)

    assert f"Host: [::1]:{server.port}" in server.heads[0]


@pytest.mark.parametrize(
    ("target", "headers"),
    [("/a\r\nX: y", {}), ("/a b", {}), ("/", {"A": "b\r\nX: y"}), ("/", {"A": "b\nX: y"}), ("/", {"A\r\nX": "y"})],
)
def test_a_line_break_or_a_space_never_becomes_another_header(
    serve: Callable[..., ScriptedServer], connections: Connections, target: str, headers: dict[str, str]
) -> None:
    """Names and values are other people's."""
    server = serve(EMPTY)

    with pytest.raises(ValueError, match="line break"):
        connections.send("GET", server.url + target, headers)

    assert server.heads == []


def test_the_answer_of_a_server_that_refuses_before_it_read_all_is_found(
    serve: Callable[..., ScriptedServer], connections: Connections
) -> None:
    """Azure refuses a block by its headers, and hangs up."""
    server = serve(EMPTY)

    def refuse(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    server.before_body = refuse

    body = memoryview(bytearray(1024))
    with connections.send("PUT", server.url, {"Content-Length": str(len(body))}, body) as reply:
        assert reply.status_code == 403


@pytest.mark.parametrize(
    ("answer", "method", "declared"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", 5),
        (b"HTTP/1.1 200 OK\r\n\r\n", "HEAD", None),
        (HELLO, "GET", 5),
        (CHUNKED + b"0\r\n\r\n", "GET", None),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", "GET", None),
    ],
)
def test_a_response_shows_which_length_it_declares(
    serve: Callable[..., ScriptedServer], connections: Connections, answer: bytes, method: str, declared: int | None
) -> None:
    """A missing length is no length of zero, so that no object is taken for an empty one."""
    server = serve(answer)

    with connections.send(method, server.url, {}) as response:
        assert response.content_length == declared


def test_a_server_that_says_nothing_is_given_up(
    serve: Callable[..., ScriptedServer], session: requests.Session
) -> None:
    """After the time that was given."""
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=0.05)
    server = serve(EMPTY)
    hold = threading.Event()
    server.before_body = lambda connection: hold.wait(5)

    with pytest.raises(TimeoutError) as caught:
        ask(connections, server.url)
    hold.set()
    connections.close()

    assert describe(caught.value) == "timed out"


def test_a_cut_ends_a_read_at_once(serve: Callable[..., ScriptedServer]) -> None:
    """Whoever waits for bytes gets none, and goes home."""
    cancellation = Cancellation()
    connections = Connections(requests.Session(), cancellation, connect_timeout=5, read_timeout=60)
    server = serve(EMPTY)
    hold = threading.Event()

    def wait(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nh")
        cancellation.abort()
        hold.wait(5)

    server.before_body = wait

    with pytest.raises(ProtocolError):
        ask(connections, server.url)
    hold.set()
    connections.close()


def test_a_proxy_gets_the_whole_url_and_its_password(
    serve: Callable[..., ScriptedServer], session: requests.Session
) -> None:
    """For a plain URL the proxy is asked instead of the host, and the host is still named."""
    proxy = serve(HELLO, EMPTY)
    session.proxies["http"] = proxy.url.replace("//", "//me:secret@")
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)

    assert ask(connections, "http://s3.example:8080//a/../b?c=d") == b"hello"
    ask(connections, "http://s3.example:8080/")
    connections.close()

    lines = proxy.heads[0].split("\r\n")
    assert lines[0] == "GET http://s3.example:8080//a/../b?c=d HTTP/1.1"
    assert "Host: s3.example:8080" in lines
    assert "Proxy-Authorization: Basic bWU6c2VjcmV0" in lines
    assert "Proxy-Authorization: Basic bWU6c2VjcmV0" in proxy.heads[1].split("\r\n")
    assert proxy.connections == 1


def test_a_proxy_is_asked_for_a_tunnel_to_a_secure_host(
    serve: Callable[..., ScriptedServer], session: requests.Session
) -> None:
    """A presigned URL is not shown to it."""
    proxy = serve(b"HTTP/1.1 403 Forbidden\r\n\r\n")
    session.proxies["https"] = proxy.url
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)

    with pytest.raises(OSError, match="Tunnel connection failed") as caught:
        ask(connections, "https://s3.example/key?X-Amz-Signature=SECRET")

    assert describe(caught.value) == "the proxy refused a tunnel (403)"
    assert proxy.heads[0].startswith("CONNECT s3.example:443 HTTP/1.")
    assert "SECRET" not in proxy.heads[0]


def test_the_environment_says_which_hosts_need_no_proxy(
    serve: Callable[..., ScriptedServer], session: requests.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`HTTP_PROXY` and `NO_PROXY` hold as they do for requests."""
    proxy, server = serve(HELLO), serve(EMPTY)
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)

    assert ask(connections, "http://s3.example/") == b"hello"
    assert ask(connections, server.url) == b""
    connections.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that signs itself, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now, now + dt.timedelta(days=1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM) + secret)
    return path


@pytest.fixture
def context(certificate: Path) -> ssl.SSLContext:
    """What a server with that certificate uses."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate)
    return made


def test_tls_is_verified_with_the_bundle_that_the_session_names(
    serve: Callable[..., ScriptedServer], session: requests.Session, certificate: Path, context: ssl.SSLContext
) -> None:
    """Over one connection, body and all."""
    body = bytes(range(256)) * 1000
    server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body), EMPTY, context=context)
    session.verify = str(certificate)
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)

    assert ask(connections, server.url) == body
    with connections.send("PUT", server.url, {"Content-Length": str(len(body))}, memoryview(body)):
        pass
    connections.close()

    assert server.bodies[1] == body
    assert server.connections == 1


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_early_rejection_of_a_large_body_over_tls_is_read(
    serve: Callable[..., ScriptedServer],
    session: requests.Session,
    certificate: Path,
    context: ssl.SSLContext,
    version: ssl.TLSVersion,
) -> None:
    """Python 3.11 raises SSLEOFError while it still sends: the response that names the reason is read all the same."""
    context.minimum_version = context.maximum_version = version
    server = serve(EMPTY, context=context)
    session.verify = str(certificate)
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)

    def reject(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 503 Slow Down\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")
        for _ in range(256):  # lingers, as real servers do
            connection.recv(65536)
        raise OSError("close the connection with unread bytes")

    server.before_body = reject
    body = memoryview(bytearray(32 * 2**20))
    with connections.send("PUT", server.url, {"Content-Length": str(len(body))}, body) as response:
        assert (response.status_code, response.headers["Retry-After"]) == (503, "7")
    connections.close()


def test_a_tls_connection_that_holds_unread_bytes_is_not_reused(
    serve: Callable[..., ScriptedServer], session: requests.Session, certificate: Path, context: ssl.SSLContext
) -> None:
    """Bytes of a record that was decrypted already do not show in poll; they are no part of the next response."""
    body = b"x" * 8192
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    server = serve(answer + EMPTY, HELLO, context=context)
    session.verify = str(certificate)
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)

    assert [ask(connections, server.url) for _ in range(2)] == [body, b"hello"]
    assert server.connections == 2
    connections.close()


def test_the_bundle_may_come_from_the_environment(
    serve: Callable[..., ScriptedServer],
    session: requests.Session,
    certificate: Path,
    context: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As `requests` has it."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    server = serve(EMPTY, context=context)
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)

    assert ask(connections, server.url) == b""
    connections.close()


def test_a_certificate_that_nobody_vouches_for_is_refused(
    serve: Callable[..., ScriptedServer], connections: Connections, context: ssl.SSLContext
) -> None:
    """TLS is verified unless the connection says otherwise."""
    server = serve(EMPTY, context=context)

    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        ask(connections, server.url)

    assert describe(caught.value) == "TLS certificate not accepted (self-signed certificate)"
    assert server.heads == []


def test_a_missing_bundle_is_named(session: requests.Session, connections: Connections) -> None:
    """It is an OSError of requests' own."""
    session.verify = "/nowhere/ca.pem"

    with pytest.raises(OSError, match=r"invalid path: /nowhere/ca\.pem"):
        ask(connections, "https://127.0.0.1:1/")


def test_a_request_is_logged_without_its_signature(
    serve: Callable[..., ScriptedServer], connections: Connections, caplog: pytest.LogCaptureFixture
) -> None:
    """At DEBUG, with the status, whether or not the libraries' logs are redacted."""
    server = serve(EMPTY)

    with caplog.at_level(logging.DEBUG, logger="airflow_s3_azure"):
        ask(connections, server.url + "/a?X-Amz-Signature=SECRET&sig=SECRET&x=1")

    assert caplog.messages == [f'{server.url} "GET /a?X-Amz-Signature=***&sig=***&x=1" 200']


class _Tokens:
    """A credential that counts, and notes which claims it was asked for."""

    def __init__(self) -> None:
        self.claims: list[Any] = []

    def get_token(self, *scopes: str, claims: str | None = None, **_: Any) -> AccessToken:
        """Return a new token."""
        assert scopes == ("scope",)
        self.claims.append(claims)
        return AccessToken(f"token{len(self.claims)}", 2**33)


def test_a_challenge_for_claims_is_answered_by_azure_cores_own_policy(
    serve: Callable[..., ScriptedServer], session: requests.Session, certificate: Path, context: ssl.SSLContext
) -> None:
    """A token is kept from request to request, and asked for anew when Azure wants another one."""
    refusal = (
        b'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer error="insufficient_claims", claims="eyJhIjoxfQ=="'
        b"\r\nContent-Length: 2\r\n\r\nno"
    )
    server = serve(EMPTY, EMPTY, refusal, EMPTY, context=context)
    session.verify = str(certificate)
    connections = Connections(session, Cancellation(), connect_timeout=5, read_timeout=5)
    tokens = _Tokens()

    with Pipeline[HttpRequest, Any](
        ConnectionsTransport(connections), [BearerTokenCredentialPolicy(tokens, "scope")]
    ) as pipeline:
        found = [pipeline.run(HttpRequest("PUT", server.url)).http_response.status_code for _ in range(3)]

    assert found == [200, 200, 200]
    assert [re.search("Bearer (.*)", head)[1] for head in server.heads] == ["token1", "token1", "token1", "token2"]  # type: ignore[index]
    assert tokens.claims == [None, '{"a":1}']
