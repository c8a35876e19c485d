"""Failures told without their URL, Retry-After, and logs without signatures."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import urllib3
from azure.core.exceptions import AzureError, HttpResponseError
from azure.core.pipeline import Pipeline
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_s3_azure.engine.http.failures import describe
from airflow_s3_azure.engine.http.redaction import redact_http_logs
from airflow_s3_azure.engine.http.status import retry_after

PRESIGNED = (
    "/bucket/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=SECRET%2F20261101%2Fus-east-1%2Fs3%2Faws4_request"
    "&X-Amz-Date=20261101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Security-Token=SECRET%2F%2B%3D"
    "&X-Amz-Signature=SECRET"
)
PRESIGNED_V2 = "/bucket/key?AWSAccessKeyId=SECRET&Signature=SECRET%2F%2B%3D&Expires=1793491200"
SAS = "/container/blob?sv=2023-11-03&sp=racwl&se=2026-11-02T00%3A00%3A00Z&sig=SECRET%2F%2B%3D&comp=block"
every_secret_url = pytest.mark.parametrize(
    "path", [PRESIGNED, PRESIGNED_V2, SAS], ids=["presigned", "presigned v2", "SAS"]
)


def get_with_requests(url: str, **settings: Any) -> None:
    """Ask as the package reads from S3."""
    with requests.Session() as session:
        session.trust_env = False
        session.get(url, **{"timeout": 5, **settings})


def get_with_urllib3(url: str) -> None:
    """Ask as botocore does, without its retries."""
    with urllib3.PoolManager() as pool:
        pool.request("GET", url, retries=0, timeout=5)


def get_with_urllib3_without_retries(url: str) -> None:
    """Ask so that urllib3 raises the cause itself."""
    with urllib3.PoolManager() as pool:
        pool.request("GET", url, retries=False, timeout=5)


def get_with_azure_core(url: str) -> None:
    """Ask as the package writes to Azure."""
    with Pipeline[HttpRequest, Any](RequestsTransport(use_env_settings=False)) as pipeline:
        pipeline.run(HttpRequest("GET", url), connection_timeout=5, read_timeout=5)


Get = Callable[[str], None]
every_client = pytest.mark.parametrize(
    "get", [get_with_requests, get_with_urllib3, get_with_urllib3_without_retries, get_with_azure_core]
)


def failure_of(get: Callable[..., None], url: str, **settings: Any) -> Exception:
    """Return the exception that a request ends in."""
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each client has its own
        get(url, **settings)
    return caught.value


@pytest.fixture
def closed() -> str:
    """Return the address of a port where nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[str]:
    """Listen, and never answer."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def serve_once(listener: socket.socket, answer: Callable[[socket.socket], object]) -> threading.Thread:
    """Take one connection, read one request, and do with it what ``answer`` does."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            answer(connection)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.fixture
def rude() -> Iterator[str]:
    """Hang up on the first request."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = serve_once(listener, lambda connection: connection.recv(4096))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@pytest.fixture
def self_signed(tmp_path: Path) -> Iterator[str]:
    """Listen with a certificate that nobody trusts."""
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
        with pytest.raises(OSError):  # noqa: PT011 - the client hangs up, one way or another
            context.wrap_socket(connection, server_side=True)

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = serve_once(listener, shake_hands)
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


@every_client
@every_secret_url
def test_a_refused_connection_is_told_without_its_url(get: Get, path: str, closed: str) -> None:
    """HTTP libraries quote the URL they failed on; the description does not."""
    error = failure_of(get, closed + path)

    assert "SECRET" not in describe(error)
    assert "bucket" not in describe(error)


@every_client
def test_a_refused_connection_is_told_with_its_reason(get: Get, closed: str) -> None:
    """The user learns that nobody listens there, whichever library asked."""
    error = failure_of(get, closed + PRESIGNED)

    assert describe(error) == "ConnectionRefusedError (Connection refused)"


@every_secret_url
def test_the_libraries_do_quote_the_url(path: str, closed: str) -> None:
    """The reason for all this: if it ever stops, the care here can go too."""
    error = failure_of(get_with_requests, closed + path)

    assert "SECRET" in str(error)


@every_secret_url
def test_a_timeout_is_told_without_its_url(path: str, silent: str) -> None:
    """A server that does not answer in time is told as such."""
    error = failure_of(get_with_requests, silent + path, timeout=0.02)

    assert describe(error) == "timed out"


@pytest.mark.parametrize("get", [get_with_requests, get_with_azure_core])
def test_a_closed_connection_is_told_without_its_url(get: Get, rude: str) -> None:
    """A server that hangs up is told by the kind of the error, which has no text of the system."""
    error = failure_of(get, rude + PRESIGNED)

    assert describe(error) == "RemoteDisconnected"


@pytest.mark.parametrize("get", [get_with_requests, get_with_urllib3, get_with_azure_core])
def test_an_untrusted_certificate_is_told_with_its_reason(get: Get, self_signed: str) -> None:
    """TLS is verified, and the user learns what is wrong with the certificate."""
    error = failure_of(get, self_signed + PRESIGNED)

    assert describe(error) == "TLS certificate not accepted (self-signed certificate)"


@pytest.mark.parametrize(
    "url",
    ["http://[::1/key?X-Amz-Signature=SECRET", "nonsense://host/key?sig=SECRET", "http:///key?sig=SECRET"],
    ids=["broken host", "unknown scheme", "no host"],
)
def test_an_impossible_url_is_told_without_it(url: str) -> None:
    """Also what a library says of a URL that it cannot use is a credential."""
    error = failure_of(get_with_requests, url)

    assert "SECRET" not in describe(error)


@every_secret_url
def test_an_answered_error_is_told_without_its_url(path: str) -> None:
    """An error that is raised from an answer, as ``raise_for_status`` does, is told by its kind."""
    response = requests.Response()
    response.status_code, response.reason, response.url = 403, "Forbidden", f"http://127.0.0.1{path}"

    error = failure_of(lambda url: response.raise_for_status(), response.url)

    assert describe(error) == "HTTPError"


def test_an_azure_error_without_a_cause_is_told_by_its_kind() -> None:
    """The message of such an error may hold anything."""
    assert describe(HttpResponseError(f"failed: {SAS}")) == "HttpResponseError"


def test_a_cause_is_found_behind_several_errors() -> None:
    """The innermost error that the system explains is the one that says why."""
    try:
        try:
            raise ConnectionResetError(104, "Connection reset by peer")
        except OSError as error:
            raise urllib3.exceptions.ProtocolError(SAS) from error
    except urllib3.exceptions.ProtocolError as error:
        outer = AzureError(SAS, error=error)
        outer.__cause__ = error

    assert describe(outer) == "ConnectionResetError (Connection reset by peer)"


def test_errors_that_cause_each_other_are_told() -> None:
    """A circle among causes is walked once."""
    one, other = ValueError(SAS), KeyError(SAS)
    one.__cause__, other.__cause__ = other, one

    assert describe(one) == "KeyError"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.0), ("1", 1.0), ("120", 120.0), (" 7 ", 7.0), ("007", 7.0)],
)
def test_retry_after_is_read_as_a_number(text: str, seconds: float) -> None:
    """Most servers send seconds."""
    assert retry_after({"Retry-After": text}) == seconds


@pytest.mark.parametrize("ahead", [30, 240])
def test_retry_after_is_read_as_a_date(ahead: int) -> None:
    """A date is as many seconds as it lies ahead."""
    text = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)

    found = retry_after({"Retry-After": text})

    assert found is not None
    assert ahead - 2 <= found <= ahead


@pytest.mark.parametrize("text", ["Wed, 21 Oct 2015 07:28:00 GMT", "Thu, 01 Jan 1970 00:00:00 +0000"])
def test_a_retry_after_in_the_past_asks_for_no_wait(text: str) -> None:
    """A clock that is behind does not give a negative wait."""
    assert retry_after({"Retry-After": text}) == 0.0


@pytest.mark.parametrize("text", ["", " ", "soon", "-1", "1.5", "1e3", "2026-11-01T00:00:00Z", "Wed, 99 Foo 2015"])
def test_a_malformed_retry_after_is_ignored(text: str) -> None:
    """What is neither seconds nor a date is as good as none."""
    assert retry_after({"Retry-After": text}) is None


def test_no_retry_after_is_none() -> None:
    """The header is optional."""
    assert retry_after({}) is None


def test_retry_after_is_found_in_any_case() -> None:
    """The headers of both sides' libraries have no case."""
    assert retry_after(requests.structures.CaseInsensitiveDict({"retry-after": "3"})) == 3.0


@given(text=st.text(max_size=30))
def test_any_retry_after_is_survived(text: str) -> None:
    """Whatever a server sends, it gives a wait or none."""
    found = retry_after({"Retry-After": text})

    assert found is None or found >= 0


@given(
    text=st.builds(
        "{} {} {} 00:00:00 {:+}".format,
        st.integers(),
        st.sampled_from(["Jan", "Dec"]),
        st.integers(),
        st.integers(),
    )
)
@example("1 Jan 99999999999999999999 00:00:00 GMT")
@example("1 Jan 2020 00:00:00 +99999999999999")
def test_any_date_in_retry_after_is_survived(text: str) -> None:
    """A date beyond all calendars gives a wait or none, as other junk does."""
    found = retry_after({"Retry-After": text})

    assert found is None or found >= 0


@pytest.fixture
def http_logs(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Log everything, and take the redaction away again after the test."""
    names = ("urllib3.connectionpool", "botocore.auth", "botocore.endpoint", "botocore.awsrequest", "botocore.parsers")
    before = {name: logging.getLogger(name).filters[:] for name in names}
    with caplog.at_level(logging.DEBUG):
        yield caplog
    for name, filters in before.items():
        logging.getLogger(name).filters[:] = filters


class _Ok(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Stay silent."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Answer every GET with 200."""
    with HTTPServer(("127.0.0.1", 0), _Ok) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


@every_client
@every_secret_url
def test_an_answered_request_is_logged_without_secrets(
    get: Get, path: str, server: str, http_logs: pytest.LogCaptureFixture
) -> None:
    """The request line is still there at DEBUG, but no value that signs it."""
    redact_http_logs()

    get(server + path)

    lines = [text for text in http_logs.messages if '"GET /' in text]
    assert len(lines) == 1
    assert "SECRET" not in http_logs.text


def test_the_redacted_request_line_is_readable(server: str, http_logs: pytest.LogCaptureFixture) -> None:
    """Everything but the signature stays, so that the line helps."""
    redact_http_logs()

    get_with_requests(server + SAS)

    assert http_logs.messages[-1] == (
        f'{server} "GET /container/blob?sv=2023-11-03&sp=racwl&se=2026-11-02T00%3A00%3A00Z&sig=***&comp=block'
        ' HTTP/1.1" 200 0'
    )


@every_client
@every_secret_url
def test_a_refused_request_is_logged_without_secrets(
    get: Get, path: str, closed: str, http_logs: pytest.LogCaptureFixture
) -> None:
    """Nor is anything told of a request that failed."""
    redact_http_logs()

    failure_of(get, closed + path)

    assert "SECRET" not in http_logs.text


@every_secret_url
def test_a_request_that_urllib3_retries_is_logged_without_secrets(
    path: str, closed: str, http_logs: pytest.LogCaptureFixture
) -> None:
    """urllib3's own retries, which some code in the same process may use, tell nothing either."""
    redact_http_logs()

    with urllib3.PoolManager() as pool, pytest.raises(urllib3.exceptions.MaxRetryError):
        pool.request("GET", closed + path, retries=2, timeout=5)

    assert "SECRET" not in http_logs.text


def test_the_signing_itself_is_not_logged(http_logs: pytest.LogCaptureFixture) -> None:
    """Botocore tells the canonical request and the signature at DEBUG; nothing of it is kept."""
    redact_http_logs()

    auth = S3SigV4QueryAuth(Credentials("AKIA", "key", token="SECRET"), "s3", "us-east-1")
    auth.add_auth(AWSRequest(method="GET", url="http://127.0.0.1/bucket/key"))

    assert http_logs.messages == []


def test_other_lines_of_the_libraries_are_kept(http_logs: pytest.LogCaptureFixture) -> None:
    """Only signatures and tokens are taken out, also from a line's arguments."""
    redact_http_logs()

    logging.getLogger("urllib3.connectionpool").debug("%s of %d: design=x signature=%s", "one", 2, "SECRET")

    assert http_logs.messages == ["one of 2: design=x signature=***"]


def test_redacting_twice_changes_nothing(http_logs: pytest.LogCaptureFixture) -> None:
    """Every task may ask for it."""
    del http_logs  # for its clean-up
    redact_http_logs()
    logger = logging.getLogger("urllib3.connectionpool")
    before = logger.filters[:]

    redact_http_logs()

    assert logger.filters == before
