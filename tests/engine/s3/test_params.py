"""Parameters become the headers that are signed."""

from __future__ import annotations

import pytest

from airflow_s3_azure.engine.s3.params import Params, pinned, request_headers


@pytest.mark.parametrize(
    ("params", "headers"),
    [
        ({"Key": "a"}, {}),
        ({"Range": "bytes=0-0", "ChecksumMode": "ENABLED"}, {"Range": "bytes=0-0", "x-amz-checksum-mode": "ENABLED"}),
        ({"OptionalObjectAttributes": ["RestoreStatus"]}, {"x-amz-optional-object-attributes": "RestoreStatus"}),
    ],
)
def test_parameters_that_are_signed_as_headers_are_sent(params: Params, headers: dict[str, str]) -> None:
    """And no body may be compressed."""
    assert request_headers(params) == {"Accept-Encoding": "identity", **headers}


def test_a_request_is_pinned_to_what_is_known() -> None:
    """The ETag in a header, with its quotes, and the version in the query."""
    assert pinned({"Key": "a"}) == {"Key": "a"}
    assert pinned({"Key": "a"}, "e", "v") == {"Key": "a", "IfMatch": '"e"', "VersionId": "v"}
