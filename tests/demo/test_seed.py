"""The demo's data is as the demo describes it."""

from __future__ import annotations

import gzip
import hashlib
import unicodedata
from collections import Counter

import pytest

from airflow_s3_azure.engine.blocks import DEFAULT_BLOCK_SIZE
from demo.seed import BUCKETS, PART_SIZE, SeedObject, all_objects, pieces


def content(item: SeedObject, seed: int = 1) -> bytes:
    """Return an object's whole content."""
    return b"".join(pieces(item, seed))


def digest_of_small(seed: int) -> str:
    """Return a digest over keys and contents of every 20th object that is not large."""
    digest = hashlib.sha256()
    for item in [item for item in all_objects(seed) if not item.is_large][::20]:
        digest.update(item.key.encode() + content(item, seed))
    return digest.hexdigest()


@pytest.mark.slow
def test_same_seed_gives_same_objects() -> None:
    """Everything follows from the seed."""
    assert all_objects(1) == all_objects(1)
    assert digest_of_small(1) == digest_of_small(1)
    assert digest_of_small(1) != digest_of_small(2)


def test_no_two_keys_are_one_blob() -> None:
    """Azurite takes names that differ in case only for one."""
    names = Counter(item.key.lower() for item in all_objects())
    assert [name for name, count in names.items() if count > 1] == []


def test_buckets_hold_small_files_and_multipart_uploads() -> None:
    """Some 200 small files, three multipart uploads, several content types, metadata."""
    objects = all_objects()
    small = [item for item in objects if not item.is_large]
    large = [item.size for item in objects if item.is_large]
    assert {item.bucket for item in objects} == set(BUCKETS)
    assert 150 <= len(small) <= 250
    assert len(large) == 3
    assert max(large) >= 12 * DEFAULT_BLOCK_SIZE  # long enough to be killed in the middle
    assert len({item.content_type for item in objects}) >= 6
    assert any("-" in name for item in objects for name in item.metadata)


def test_odd_keys_are_there() -> None:
    """Each kind of key that breaks naive tools occurs, and some that Azure cannot hold."""
    keys = [item.key for item in all_objects() if item.copied]
    for part in (" ", "+", "%25", "🚀", "a//b", "{{ ", '"', "'", "&", "=", "?", "#", "["):
        assert any(part in key for key in keys), part
    assert any(key.startswith("/") for key in keys)
    assert max(map(len, keys)) == 1000
    assert {
        key for key in keys if unicodedata.normalize("NFC", key) in keys and not unicodedata.is_normalized("NFC", key)
    }
    refused = [item.key for item in all_objects() if not item.copied]
    assert [key[-1] for key in refused] == ["/", ".", "v"]


def test_contents_have_the_announced_size_and_kind() -> None:
    """Binary sizes are exact, text comes near, archives open."""
    for item in [item for item in all_objects() if not item.is_large][::50]:
        found = content(item)
        if item.kind in ("binary", "parquet"):
            assert len(found) == item.size
        elif item.kind == "jsonl":
            assert len(found) < 2 * item.size
        elif item.kind == "csv.gz":
            assert gzip.decompress(found).startswith(b"order_id,customer,sku,quantity,price\n")
    assert [content(item) for item in all_objects() if item.key == "odd/empty.txt"] == [b""]


def test_large_content_differs_in_every_part() -> None:
    """A copy that swaps or repeats parts is found out."""
    item = min((item for item in all_objects() if item.is_large), key=lambda item: item.size)
    parts = list(pieces(item))
    assert sum(map(len, parts)) == item.size
    assert {len(part) for part in parts[:-1]} == {PART_SIZE}
    assert len({hashlib.sha256(part).digest() for part in parts}) == len(parts)
