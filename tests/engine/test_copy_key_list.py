"""The copy of a key of a list, whose size and ETag may be old, between the S3 server and Azurite."""

from __future__ import annotations

from dataclasses import replace

import pytest

from airflow_s3_azure.engine.errors import SourceNotFound
from airflow_s3_azure.engine.model import CopyRequest, Precondition
from tests.engine.copy_rig import ABSENT, BLOCK, OPTIONS, CopyRig, random_bytes

pytestmark = pytest.mark.servers

SIZES = pytest.mark.parametrize("size", [10, 3 * BLOCK])


def listed(size: int, etag: str, precondition: Precondition = ABSENT) -> CopyRequest:
    """Return the request of a listed key."""
    return CopyRequest("a", "b", size=size, etag=etag, precondition=precondition, from_key_list=True)


@SIZES
def test_a_listed_key_that_does_not_exist_is_skipped(rig: CopyRig, size: int) -> None:
    """Small or large, with its size and ETag or without them."""
    requests = [listed(size, "e"), replace(listed(size, "e"), size=None, etag=None, precondition=None)]

    results = rig.copy(*requests)

    assert [(one.status, one.reason, one.error) for one in results] == [
        ("skipped", "the bucket has no such key", None)
    ] * 2


def test_a_listed_version_that_does_not_exist_is_skipped(rig: CopyRig) -> None:
    """The reason says that it is the version."""
    rig.bucket.client.put_bucket_versioning(Bucket=rig.bucket.name, VersioningConfiguration={"Status": "Enabled"})
    version = rig.bucket.client.put_object(Bucket=rig.bucket.name, Key="a", Body=b"1")["VersionId"]
    rig.bucket.client.delete_object(Bucket=rig.bucket.name, Key="a", VersionId=version)

    (result,) = rig.copy(replace(listed(1, "e"), version_id=version))

    assert (result.status, result.reason) == ("skipped", "the bucket has no such version of the key")


def test_a_listed_key_in_a_missing_bucket_fails(rig: CopyRig) -> None:
    """Otherwise a mistyped bucket would look like a list of deleted keys."""
    rig.bucket.client.delete_bucket(Bucket=rig.bucket.name)

    (result,) = rig.copy(listed(1, "e"))

    assert result.status == "failed"
    assert isinstance(result.error, SourceNotFound)


@SIZES
@pytest.mark.parametrize("new_size", [10, 3 * BLOCK])
def test_an_object_that_is_newer_than_its_list_is_copied_as_it_is_now(rig: CopyRig, size: int, new_size: int) -> None:
    """In the same try: a list is no snapshot."""
    old = rig.bucket.put("a", random_bytes(size))
    body = random_bytes(new_size)[::-1]
    new = rig.bucket.put("a", body)

    (result,) = rig.copy(listed(size, old))

    assert (result.status, result.etag, result.size) == ("copied", new, new_size)
    assert rig.read("b") == body


@SIZES
def test_a_blob_that_is_newer_than_the_list_is_unchanged(rig: CopyRig, size: int) -> None:
    """An old inventory does not copy again what a later sync has copied."""
    old = rig.bucket.put("a", random_bytes(size))
    rig.bucket.put("a", random_bytes(size)[::-1])
    (copied,) = rig.copy(CopyRequest("a", "b"))
    assert copied.blob_etag is not None

    (result,) = rig.copy(listed(size, old, Precondition(copied.blob_etag)))

    assert (result.status, result.etag) == ("unchanged", copied.etag)


def test_a_blob_is_not_overwritten_by_a_newer_object_without_overwrite(rig: CopyRig) -> None:
    """The blob was written after the plan."""
    old = rig.bucket.put("a", b"old")
    rig.bucket.put("a", b"new")
    rig.container.upload_blob("b", b"theirs")

    (result,) = rig.copy(listed(3, old), options=replace(OPTIONS, overwrite=False))

    assert (result.status, result.reason) == ("skipped", "the blob exists and overwrite is off")
