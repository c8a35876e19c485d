"""The parameters of requests to S3, under boto3's names, and the headers that they become. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

SIGNED_HEADERS = {
    "IfMatch": "If-Match",
    "Range": "Range",
    "ChecksumMode": "x-amz-checksum-mode",
    "RequestPayer": "x-amz-request-payer",
    "OptionalObjectAttributes": "x-amz-optional-object-attributes",
}
"""Parameters that botocore signs as headers: the request must send exactly these."""

Params = Mapping[str, str | int | list[str]]
"""Parameters of a boto3 S3 operation, without the bucket."""
Operation = Literal["head_object", "get_object", "get_object_tagging", "head_bucket", "list_objects_v2"]


def pinned(params: Params, etag: str | None = None, version_id: str | None = None) -> Params:
    """Return parameters that pin a request to one version."""
    version: dict[str, str] = {} if etag is None else {"IfMatch": f'"{etag}"'}
    return {**params, **version} if version_id is None else {**params, **version, "VersionId": version_id}


def request_headers(params: Params) -> dict[str, str]:
    """Return the headers of a request with these parameters."""
    signed = {header: _header(params[name]) for name, header in SIGNED_HEADERS.items() if name in params}
    return {"Accept-Encoding": "identity", **signed}


def _header(value: str | int | list[str]) -> str:
    return ",".join(value) if isinstance(value, list) else str(value)
