"""The objects of listed keys, looked up at the S3 server: what is found, and with how many requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.errors import SourceAccessDenied, SourceNotFound, SourceReadError
from airflow_s3_azure.sync.keys import object_lookup
from airflow_s3_azure.sync.keys.key_entry import KeyEntry
from airflow_s3_azure.sync.keys.object_lookup import ObjectLookup, before
from airflow_s3_azure.sync.listed_object import ListedKey
from tests.rig import Rig

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from airflow_s3_azure.engine.model import SourceObject
    from airflow_s3_azure.engine.s3.params import Params
    from tests.conftest import Bucket


@pytest.fixture
def rig(bucket: Bucket, container: ContainerClient) -> Iterator[Rig]:
    """A rig between an empty bucket and an empty container."""
    found = Rig(bucket, container)
    yield found
    found.close()


def look_up(rig: Rig, entries: Iterable[KeyEntry], *, needs_all: bool = False) -> tuple[list[ListedKey], Counter[str]]:
    """Return the objects of entries, and how many requests of each operation were signed."""
    lookup = ObjectLookup(rig.source, "", needs_all=needs_all, threads=4)
    found = list(lookup.objects(entries))
    return found, Counter(name for name, _ in rig.signed)


def keys_of(found: Iterable[ListedKey]) -> dict[str, str]:
    """Return the state of each key."""
    return {one.key: one.state for one in found}


@pytest.mark.servers
def test_a_key_with_size_and_etag_costs_no_request(rig: Rig) -> None:
    """The list is believed; the copy is pinned to its ETag."""
    found, requests = look_up(rig, [KeyEntry("a", size=5, etag="e"), KeyEntry("b", "v1", 5, "e")])

    assert found == [ListedKey("a", 5, "e", None), ListedKey("b", 5, "e", None, version_id="v1")]
    assert requests == {}


@pytest.mark.servers
def test_few_keys_cost_a_head_each(rig: Rig) -> None:
    """A missing one costs a GET more, which distinguishes it from a missing bucket."""
    etag = rig.bucket.put("a", b"12345", StorageClass="STANDARD_IA")

    found, requests = look_up(rig, [KeyEntry("a"), KeyEntry("gone")])

    assert [(one.key, one.size, one.etag, one.storage_class, one.state) for one in found] == [
        ("a", 5, etag, "STANDARD_IA", "known"),
        ("gone", 0, "", "STANDARD", "gone"),
    ]
    assert requests == {"head_object": 2, "get_object": 1}


@pytest.mark.servers
def test_keys_that_are_close_are_listed(rig: Rig) -> None:
    """One page shows which of them exist; versions and complete entries are left out of it."""
    keys = [f"a/{number:02d}" for number in range(30)]
    etags = {key: rig.bucket.put(key, key.encode()) for key in keys}
    entries = [KeyEntry(key) for key in [*keys, "a/99"]]
    entries[5] = KeyEntry(keys[5], size=1, etag="listed")

    found, requests = look_up(rig, entries)

    assert requests == {"list_objects_v2": 1}
    assert {one.key: one.etag for one in found} == {**etags, keys[5]: "listed", "a/99": ""}
    assert found[-1].state == "gone"
    assert [one.last_modified is None for one in found] == [one.size == 1 or one.state == "gone" for one in found]


@pytest.mark.servers
def test_what_a_filter_needs_is_looked_up(rig: Rig) -> None:
    """Also where the list has size and ETag, which are then those of S3."""
    etag = rig.bucket.put("a", b"new")

    (found,), requests = look_up(rig, [KeyEntry("a", size=5, etag="old")], needs_all=True)

    assert (found.size, found.etag, found.last_modified is not None) == (3, etag, True)
    assert requests == {"head_object": 1}


@pytest.mark.servers
def test_keys_far_apart_are_not_listed_further(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """After one page with few of them the others get a HEAD each: the pages between them are never read."""
    monkeypatch.setattr(object_lookup, "MIN_KEYS", 3)
    for number in range(10):
        rig.bucket.put(f"far/{number}", b"x")
    pages = iter([2, 1000])
    real = rig.source.list_page
    monkeypatch.setattr(rig.source, "list_page", lambda params: real({**params, "MaxKeys": next(pages)}))

    found, requests = look_up(rig, [KeyEntry(f"far/{number}") for number in range(0, 10, 2)])

    assert set(keys_of(found).values()) == {"known"}
    assert requests == {"list_objects_v2": 1, "head_object": 4}


@pytest.mark.servers
def test_a_window_of_several_pages_skips_what_is_between_them(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next page begins at the next key of the list."""
    monkeypatch.setattr(object_lookup, "MIN_KEYS", 3)
    keys = [f"{folder}/{number}" for folder in "abcdefgh" for number in range(3)]
    for key in keys:
        rig.bucket.put(key, b"x")
    real, starts = rig.source.list_page, []

    def list_page(params: Params) -> bytes:
        starts.append(str(params["StartAfter"])[:3])
        return real({**params, "MaxKeys": 3})

    monkeypatch.setattr(rig.source, "list_page", list_page)

    found, requests = look_up(rig, [KeyEntry(key) for key in keys if key[0] in "ah"])

    assert set(keys_of(found).values()) == {"known"}
    assert starts == ["a//", "h//"]
    assert requests == {"list_objects_v2": 2}


@pytest.mark.servers
@pytest.mark.parametrize("problem", ["denied", "refused", "ignores StartAfter", "not sorted"])
def test_a_service_that_cannot_list_from_a_key_on_gets_heads(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, problem: str
) -> None:
    """No key is taken for missing because a page does not have it."""
    monkeypatch.setattr(object_lookup, "MIN_KEYS", 2)
    for key in ("0", "a", "b", "c"):
        rig.bucket.put(key, b"x")
    real = rig.source.list_page

    def list_page(params: Params) -> bytes:
        if problem == "denied":
            raise SourceAccessDenied("S3 returned 403 AccessDenied")
        if problem == "refused":
            raise SourceReadError("S3 returned 400 InvalidArgument")
        if problem == "ignores StartAfter":
            return real({"Prefix": "", "EncodingType": "url", "MaxKeys": 2})
        return real(params).replace(b"<Key>b<", b"<Key>d<")

    monkeypatch.setattr(rig.source, "list_page", list_page)

    found, requests = look_up(rig, [KeyEntry(key) for key in ("a", "b", "c", "gone")])

    assert keys_of(found) == {"a": "known", "b": "known", "c": "known", "gone": "gone"}
    assert requests["head_object"] == 4


@pytest.mark.servers
def test_a_key_that_s3_does_not_describe_is_left_to_its_copy(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """One forbidden key does not stop the others; where its time is needed, the plan fails."""
    rig.bucket.put("a", b"x")
    real = rig.source.head

    def head(key: str, version_id: str | None = None) -> SourceObject:
        if key == "forbidden":
            raise SourceAccessDenied("S3 returned 403 AccessDenied")
        return real(key, version_id)

    monkeypatch.setattr(rig.source, "head", head)
    entries = [KeyEntry("a"), KeyEntry("forbidden")]

    assert keys_of(look_up(rig, entries)[0]) == {"a": "known", "forbidden": "unknown"}
    with pytest.raises(SourceAccessDenied):
        look_up(rig, entries, needs_all=True)


@pytest.mark.servers
@pytest.mark.parametrize("count", [1, 30])
def test_a_missing_bucket_is_an_error(rig: Rig, count: int) -> None:
    """Not a list of missing keys."""
    rig.bucket.client.delete_bucket(Bucket=rig.bucket.name)

    with pytest.raises(SourceNotFound, match="there is no bucket"):
        look_up(rig, [KeyEntry(f"{number:02d}") for number in range(count)])


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=5))
def test_a_page_begins_just_before_its_first_key(key: str) -> None:
    """By UTF-8 bytes, and as valid text."""
    assert before(key).encode() < key.encode()
    assert before(key)[: len(key) - 1] == key[:-1]
