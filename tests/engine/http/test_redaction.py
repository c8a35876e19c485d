"""No credential reaches the logs of the HTTP libraries."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import urllib3
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from airflow_s3_azure.engine.http.redaction import quote_error, redact_http_logs
from tests.engine.http.clients import (
    SAS,
    Get,
    every_client,
    every_secret_url,
    failure_of,
    get_with_requests,
)


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
    """Respond to every GET with 200."""
    with HTTPServer(("127.0.0.1", 0), _Ok) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


@every_client
@every_secret_url
def test_a_request_with_a_response_is_logged_without_secrets(
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
    """The log of a failed request has no secret either."""
    redact_http_logs()

    failure_of(get, closed + path)

    assert "SECRET" not in http_logs.text


@every_secret_url
def test_a_request_that_urllib3_retries_is_logged_without_secrets(
    path: str, closed: str, http_logs: pytest.LogCaptureFixture
) -> None:
    """urllib3's own retries, which other code in the process may use, log no secret either."""
    redact_http_logs()

    with urllib3.PoolManager() as pool, pytest.raises(urllib3.exceptions.MaxRetryError):
        pool.request("GET", closed + path, retries=2, timeout=5)

    assert "SECRET" not in http_logs.text


def test_the_signing_itself_is_not_logged(http_logs: pytest.LogCaptureFixture) -> None:
    """Botocore logs the canonical request and the signature at DEBUG; these lines are dropped."""
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
    """Every task installs the redaction."""
    del http_logs  # for its clean-up
    redact_http_logs()
    logger = logging.getLogger("urllib3.connectionpool")
    before = logger.filters[:]

    redact_http_logs()

    assert logger.filters == before


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Invalid URL: https:/a.example/?sv=1&sig=SEC%2Bret&se=2", "Invalid URL: https:/a.example/?sv=1&sig=***&se=2"),
        ("Invalid endpoint: http://user:SEC/r?e t@host:9000", "Invalid endpoint: http://***@host:9000"),
        ("netloc 'user:SECret@host' contains invalid characters", "netloc '***@host' contains invalid characters"),
        ("Invalid endpoint: user:SEC/ret@host", "Invalid endpoint: ***@host"),
        ("Invalid URL: https://AccountName=a;AccountKey=SECret==", "Invalid URL: https://AccountName=a;AccountKey=***"),
        ("The config profile (night:1) could not be found", "The config profile (night:1) could not be found"),
    ],
)
def test_the_error_of_another_library_is_quoted_without_credentials(text: str, quoted: str) -> None:
    """In a URL that may be mistyped, or in a part of one."""
    assert quote_error(ValueError(text)) == quoted
