"""What the benchmark of quiet nights prepares."""

from __future__ import annotations

import pytest

from airflow_s3_azure.engine.properties import CopyIdentity
from airflow_s3_azure.sync.blob_page import read_blobs
from benchmarks.nightly import SIZE, fill, listing
from benchmarks.source import bucket_name, describe, key_name
from benchmarks.stand_ins import stand_ins


@pytest.mark.slow
def test_the_container_is_filled_with_unchanged_copies() -> None:
    """Of all objects, and again of those that a night copied."""
    with stand_ins() as servers:
        fill(servers, "night", 3, range(3))
        fill(servers, "night", 3, range(1))
        found = read_blobs(listing(servers, "night")).entries

    etag = describe(SIZE).etag.strip('"')
    for number, (name, blob) in enumerate(found):
        assert blob.is_copy_of(etag, SIZE, CopyIdentity(bucket_name(3, SIZE), key_name(number), name))
    assert [name for name, _ in found] == [key_name(number) for number in range(3)]
