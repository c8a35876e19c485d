"""URLs that hold credentials, and the HTTP clients that quote them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests
import urllib3
from azure.core.pipeline import Pipeline
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest

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
    """Send a GET as the package reads from S3."""
    with requests.Session() as session:
        session.trust_env = False
        session.get(url, **{"timeout": 5, **settings})


def get_with_urllib3(url: str) -> None:
    """Send a GET as botocore does, without its retries."""
    with urllib3.PoolManager() as pool:
        pool.request("GET", url, retries=0, timeout=5)


def get_with_urllib3_without_retries(url: str) -> None:
    """Send a GET so that urllib3 raises the cause itself."""
    with urllib3.PoolManager() as pool:
        pool.request("GET", url, retries=False, timeout=5)


def get_with_azure_core(url: str) -> None:
    """Send a GET as the package writes to Azure."""
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
