"""Kinds of buckets, by their names."""

from __future__ import annotations


def is_directory_bucket(bucket: str) -> bool:
    """Return whether a name is that of a directory bucket (S3 Express One Zone), or of an access point to one."""
    return bucket.endswith(("--x-s3", "--xa-s3"))


def is_multi_region_access_point(bucket: str) -> bool:
    """Return whether a name is the ARN of a Multi-Region Access Point."""
    return bucket.startswith("arn:") and bucket.endswith(".mrap")
