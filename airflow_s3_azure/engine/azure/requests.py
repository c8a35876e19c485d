"""The address, the path, the headers and the body of requests to Azure. Pure."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from urllib.parse import quote, urlencode

from airflow_s3_azure.engine.http.message import Headers
from airflow_s3_azure.engine.model import BlobContent

API_VERSION = "2023-11-03"
"""The REST version these calls are written for; later ones add nothing that they use."""
METADATA = "x-ms-meta-"

_BLOB_HEADER = {
    "content-type": "x-ms-blob-content-type",
    "content-encoding": "x-ms-blob-content-encoding",
    "content-language": "x-ms-blob-content-language",
    "content-disposition": "x-ms-blob-content-disposition",
    "cache-control": "x-ms-blob-cache-control",
}


@dataclass(frozen=True, slots=True)
class ContainerAddress:
    """The address of a container.

    :param url: without query, as ``https://account.blob.core.windows.net/container``
    :param query: a SAS from the account's URL, without ``?``; secret; empty if the pipeline's policies authorize
    """

    url: str
    query: str = ""

    def __repr__(self) -> str:
        return f"ContainerAddress({self.url!r})"


@lru_cache(maxsize=256)
def quoted_name(blob: str) -> str:
    """Return a blob's name as the path of a URL."""
    # Cached, because each request for a blob, and each message about it, needs it.
    return quote(blob, safe="/~")


def request_headers(headers: Mapping[str, str], data: memoryview | None) -> Headers:
    """Return a request's headers: those of every request, those of its body, and ``headers``.

    :param headers: by names in lower case, except those of metadata: Azure keeps their case
    """
    common = {"x-ms-version": API_VERSION, "x-ms-date": _http_date(int(time.time()))}
    if data is not None:
        common["content-length"] = str(len(data))
        common["content-type"] = "application/octet-stream"
    return Headers.from_lower_case({**common, **headers})


@lru_cache(maxsize=1)
def _http_date(second: int) -> str:
    return formatdate(second, usegmt=True)


def content_headers(content: BlobContent) -> dict[str, str]:
    """Return the headers that set a blob's properties."""
    headers = {_BLOB_HEADER[name]: value for name, value in content.headers.items()}
    if content.tags:
        headers["x-ms-tags"] = urlencode(content.tags)
    if content.access_tier is not None:
        headers["x-ms-access-tier"] = content.access_tier
    return headers | metadata_headers(content.metadata)


def metadata_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that set a blob's metadata."""
    return {METADATA + name: value for name, value in metadata.items()}
