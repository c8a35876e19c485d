"""Descriptions of failed requests name the cause, and never the URL."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
import urllib3
from azure.core.exceptions import AzureError, HttpResponseError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from airflow_s3_azure.engine.http.failures import describe
from tests.engine.http.clients import (
    PRESIGNED,
    SAS,
    Get,
    every_client,
    every_secret_url,
    failure_of,
    get_with_azure_core,
    get_with_requests,
    get_with_urllib3,
)


@pytest.fixture
def silent() -> Iterator[str]:
    """Listen, and never respond."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def serve_once(listener: socket.socket, handle: Callable[[socket.socket], object]) -> threading.Thread:
    """Accept one connection in a thread, and pass it to ``handle``."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            handle(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.fixture
def closing_server() -> Iterator[str]:
    """Close the connection after the first request."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = serve_once(listener, lambda connection: connection.recv(4096))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@pytest.fixture
def self_signed(tmp_path: Path) -> Iterator[str]:
    """Listen with a certificate that is not trusted."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(1))
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "server.pem").write_bytes(certificate + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")

    def shake_hands(connection: socket.socket) -> None:
        with pytest.raises(OSError):  # noqa: PT011 - the client closes the connection, and how differs
            context.wrap_socket(connection, server_side=True)

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = serve_once(listener, shake_hands)
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@every_client
@every_secret_url
def test_a_refused_connection_is_described_without_its_url(get: Get, path: str, closed: str) -> None:
    """HTTP libraries quote the URL they failed on; the description does not."""
    error = failure_of(get, closed + path)

    assert "SECRET" not in describe(error)
    assert "bucket" not in describe(error)


@every_client
def test_a_refused_connection_is_described_with_its_reason(get: Get, closed: str) -> None:
    """The user learns that nothing listens there, for every HTTP library."""
    error = failure_of(get, closed + PRESIGNED)

    assert describe(error) == "ConnectionRefusedError (Connection refused)"


@every_secret_url
def test_the_libraries_do_quote_the_url(path: str, closed: str) -> None:
    """The reason for all this: if it ever stops, the care here can go too."""
    error = failure_of(get_with_requests, closed + path)

    assert "SECRET" in str(error)


@every_secret_url
def test_a_timeout_is_described_without_its_url(path: str, silent: str) -> None:
    """A server that does not respond in time is reported as a timeout."""
    error = failure_of(get_with_requests, silent + path, timeout=0.02)

    assert describe(error) == "timed out"


@pytest.mark.parametrize("get", [get_with_requests, get_with_azure_core])
def test_a_closed_connection_is_described_without_its_url(get: Get, closing_server: str) -> None:
    """A closed connection is described by the error's class, because the system has no text for it."""
    error = failure_of(get, closing_server + PRESIGNED)

    assert describe(error) == "RemoteDisconnected"


@pytest.mark.parametrize("get", [get_with_requests, get_with_urllib3, get_with_azure_core])
def test_an_untrusted_certificate_is_described_with_its_reason(get: Get, self_signed: str) -> None:
    """TLS is verified, and the user learns what is wrong with the certificate."""
    error = failure_of(get, self_signed + PRESIGNED)

    assert describe(error) == "TLS certificate not accepted (self-signed certificate)"


@pytest.mark.parametrize(
    "url",
    ["http://[::1/key?X-Amz-Signature=SECRET", "nonsense://host/key?sig=SECRET", "http:///key?sig=SECRET"],
    ids=["broken host", "unknown scheme", "no host"],
)
def test_an_impossible_url_is_described_without_it(url: str) -> None:
    """A library's message about an unusable URL may contain a credential."""
    error = failure_of(get_with_requests, url)

    assert "SECRET" not in describe(error)


@every_secret_url
def test_an_error_response_is_described_without_its_url(path: str) -> None:
    """An error that is raised from a response, as ``raise_for_status`` does, is described by its class."""
    response = requests.Response()
    response.status_code, response.reason, response.url = 403, "Forbidden", f"http://127.0.0.1{path}"

    error = failure_of(lambda url: response.raise_for_status(), response.url)

    assert describe(error) == "HTTPError"


def test_an_azure_error_without_a_cause_is_described_by_its_kind() -> None:
    """The message of such an error may hold anything."""
    assert describe(HttpResponseError(f"failed: {SAS}")) == "HttpResponseError"


def test_a_cause_is_found_behind_several_errors() -> None:
    """The innermost error that the system explains is the cause."""
    try:
        try:
            raise ConnectionResetError(104, "Connection reset by peer")
        except OSError as error:
            raise urllib3.exceptions.ProtocolError(SAS) from error
    except urllib3.exceptions.ProtocolError as error:
        outer = AzureError(SAS, error=error)
        outer.__cause__ = error

    assert describe(outer) == "ConnectionResetError (Connection reset by peer)"


def test_errors_that_cause_each_other_are_described() -> None:
    """A circle among causes is walked once."""
    one, other = ValueError(SAS), KeyError(SAS)
    one.__cause__, other.__cause__ = other, one

    assert describe(one) == "KeyError"
