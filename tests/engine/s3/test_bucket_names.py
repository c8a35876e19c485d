"""Kinds of buckets, by their names."""

from __future__ import annotations

import pytest

from airflow_s3_azure.engine.s3.bucket_names import is_directory_bucket, is_multi_region_access_point


@pytest.mark.parametrize(
    ("bucket", "is_directory", "is_multi_region"),
    [
        ("bucket", False, False),
        ("x-s3", False, False),
        ("bucket--usw2-az1--x-s3", True, False),
        ("alias--usw2-az1--xa-s3", True, False),
        ("bucket--x-s3-old", False, False),
        ("arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap", False, True),
        ("arn:aws:s3:eu-west-1:123456789012:accesspoint/name", False, False),
        ("bucket.mrap", False, False),
    ],
)
def test_the_kind_of_a_bucket_is_in_its_name(bucket: str, is_directory: bool, is_multi_region: bool) -> None:
    """Only at the places that AWS reserves."""
    assert (is_directory_bucket(bucket), is_multi_region_access_point(bucket)) == (is_directory, is_multi_region)
