"""What a blob keeps of its object's headers, and the record of the source that it carries."""

from __future__ import annotations

import json
import re
import string
from datetime import UTC, datetime
from email.header import decode_header, make_header
from random import Random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_s3_azure.engine.checksums import StoredChecksum, s3_text
from airflow_s3_azure.engine.properties import (
    CopyIdentity,
    PreservedProperties,
    SourceRecord,
    azure_metadata,
    metadata_with_record,
    s3_metadata,
)

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

header_characters = string.ascii_lowercase + string.digits + "!#$%&'*+-.^_`|~"
header_names = st.text(header_characters, min_size=1, max_size=12)
colliding_names = st.text("ab1-._", min_size=1, max_size=4)
prefixed_names = st.builds("s3{}source{}{}".format, *[st.sampled_from("_-.")] * 2, colliding_names)
s3_names = header_names | colliding_names | prefixed_names
ascii_values = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
s3_user_metadata = st.dictionaries(s3_names, ascii_values, max_size=8)
any_user_metadata = st.dictionaries(st.text(max_size=8) | s3_names, ascii_values, max_size=8)
words = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=12)
foreign_texts = st.lists(words, min_size=1, max_size=4).map(" ".join).filter(lambda text: not text.isascii())
records = st.builds(
    SourceRecord,
    etag=st.text(string.hexdigits + "-", min_size=1, max_size=40),
    size=st.integers(0, 2**50),
    version_id=st.none() | st.text(string.ascii_letters + string.digits + "._-", min_size=1, max_size=32),
    checksum=st.none()
    | st.builds(StoredChecksum, st.just("CRC32C"), st.integers(0, 2**32 - 1), st.integers(0, 9)).map(str),
    identity=st.none() | st.builds(CopyIdentity, st.just("bucket"), st.text(), st.text()).map(str),
    crc64nvme=st.none() | st.integers(0, 2**64 - 1).map(lambda value: s3_text("CRC64NVME", value)),
)


@given(user=any_user_metadata)
def test_metadata_names_are_ones_that_azure_accepts(user: dict[str, str]) -> None:
    """The name on the blob is a C# identifier, for any name in S3."""
    assert [name for name in azure_metadata(user) if not IDENTIFIER.fullmatch(name)] == []


@given(user=any_user_metadata)
def test_metadata_names_differ_also_without_case(user: dict[str, str]) -> None:
    """Azure's names have no case, so no two may differ in it alone."""
    names = list(azure_metadata(user))

    assert len({name.lower() for name in names}) == len(names)


@given(user=any_user_metadata)
def test_no_metadata_value_is_lost(user: dict[str, str]) -> None:
    """Each value is on the blob exactly once, under any name."""
    found = azure_metadata(user)

    found.pop("s3_source_metadata_names", None)
    assert sorted(found.values()) == sorted(user.values())


@given(user=s3_user_metadata)
@example(user={"a-b": "1", "a_b": "2", "a.b": "3", "a_b_2": "4", "a_b_3": "5"})
@example(user={"s3_source_etag": "1", "_s3_source_etag": "2", "s3-source-etag": "3"})
@example(user={"1": "1", "_1": "2", "-1": "3"})
def test_s3_metadata_comes_back_from_azure(user: dict[str, str]) -> None:
    """The original names and values can be derived from the blob's."""
    assert s3_metadata(azure_metadata(user)) == user


@given(user=any_user_metadata)
def test_metadata_under_any_name_comes_back_from_azure(user: dict[str, str]) -> None:
    """Also names that HTTP would not carry, such as upper-case and empty ones, come back as they were."""
    assert s3_metadata(azure_metadata(user)) == user


def test_metadata_that_collides_with_the_bare_prefix_comes_back() -> None:
    """``s3-source`` beside ``s3_source`` must not end up among the names that count as the package's own."""
    user = {"s3_source": "1", "s3-source": "2"}

    assert s3_metadata(azure_metadata(user)) == user


@given(user=s3_user_metadata, record=records)
def test_s3_metadata_comes_back_from_a_whole_blob(user: dict[str, str], record: SourceRecord) -> None:
    """The record of the source, which the blob carries too, is not taken for user metadata."""
    assert s3_metadata({**azure_metadata(user), **record.as_metadata()}) == user


def test_metadata_that_azure_accepts_is_unchanged() -> None:
    """Identifiers are kept, and no table of names is needed."""
    user = {"team": "etl", "_private": "1", "a_1": "x"}

    assert azure_metadata(user) == user


@pytest.mark.parametrize(
    ("name", "azure_name"),
    [
        ("team-name", "team_name"),
        ("a.b c", "a_b_c"),
        ("1st", "_1st"),
        ("", "_"),
        ("größe", "gr__e"),
        ("Team", "team"),
        ("s3_source_etag", "_s3_source_etag"),
        ("s3-source-etag", "_s3_source_etag"),
    ],
)
def test_a_name_that_azure_refuses_is_rewritten(name: str, azure_name: str) -> None:
    """The rule is the documented one, and the original name stands beside."""
    expected = {azure_name: "x", "s3_source_metadata_names": json.dumps({azure_name: name})}

    assert azure_metadata({name: "x"}) == expected


def test_colliding_names_are_numbered() -> None:
    """The name that needs no change keeps it; the others get a number, in a fixed order."""
    assert azure_metadata({"a-b": "1", "a.b": "2", "a_b": "3"}) == {
        "a_b": "3",
        "a_b_2": "1",
        "a_b_3": "2",
        "s3_source_metadata_names": '{"a_b_2": "a-b", "a_b_3": "a.b"}',
    }


@given(user=s3_user_metadata, random=st.randoms(use_true_random=False))
def test_the_order_of_headers_does_not_matter(user: dict[str, str], random: Random) -> None:
    """A second copy of the same object gets the same names."""
    shuffled = list(user.items())
    random.shuffle(shuffled)

    assert azure_metadata(dict(shuffled)) == azure_metadata(user)


@given(value=foreign_texts)
def test_a_foreign_value_becomes_ascii_that_mail_decodes(value: str) -> None:
    """Other characters are written as RFC 2047 words, as S3 itself does."""
    (found,) = azure_metadata({"name": value}).values()

    assert found.isascii()
    assert str(make_header(decode_header(found))) == value


@given(value=foreign_texts)
def test_a_foreign_value_stays_in_one_line(value: str) -> None:
    """A header value cannot be folded."""
    (found,) = azure_metadata({"name": value * 20}).values()

    assert found.splitlines() == [found]


@pytest.mark.parametrize("separator", ["\x85", "\u2028", "\u2029"])
def test_a_value_is_one_line_for_every_line_break_of_unicode(separator: str) -> None:
    """Python's ``email.header`` folds a value there; a line break would make the request invalid."""
    kept = PreservedProperties.from_s3({"x-amz-meta-a": f"b{separator}c"})

    (value,) = kept.metadata.values()
    assert "\n" not in value
    assert str(make_header(decode_header(value))) == f"b{separator}c"


def test_a_foreign_value_that_s3_already_encoded_is_kept() -> None:
    """S3 delivers its own RFC 2047 words; encoding them again would hide them."""
    assert azure_metadata({"name": "=?UTF-8?B?Z3LDvG4=?="}) == {"name": "=?UTF-8?B?Z3LDvG4=?="}


@given(record=records)
def test_a_record_comes_back_from_metadata(record: SourceRecord) -> None:
    """A blob's metadata names the version of which it is a copy."""
    assert SourceRecord.from_metadata(record.as_metadata()) == record


@given(record=records)
def test_a_record_is_found_under_names_in_any_case(record: SourceRecord) -> None:
    """Azurite and proxies may change the case of header names."""
    found = {name.title(): value for name, value in record.as_metadata().items()}

    assert SourceRecord.from_metadata(found) == record


@given(record=records, user=s3_user_metadata)
def test_user_metadata_does_not_disturb_a_record(record: SourceRecord, user: dict[str, str]) -> None:
    """No user metadata can change the record."""
    assert SourceRecord.from_metadata({**record.as_metadata(), **azure_metadata(user)}) == record


def test_a_record_is_metadata_with_a_prefix() -> None:
    """The names and texts are part of what users see, and of what a later release must read."""
    record = SourceRecord(
        etag="abc-2",
        size=5,
        version_id="v1",
        last_modified=datetime(2026, 11, 1, 2, 3, 4, tzinfo=UTC),
        checksum="CRC32:y/Q5Jg==",
        identity=str(CopyIdentity("bucket", "a/key", "a/blob")),
        crc64nvme="rosUhgp5mIg=",
    )

    assert record.as_metadata() == {
        "s3_source_etag": "abc-2",
        "s3_source_size": "5",
        "s3_source_version_id": "v1",
        "s3_source_last_modified": "Sun, 01 Nov 2026 02:03:04 GMT",
        "s3_source_checksum": "CRC32:y/Q5Jg==",
        "s3_source_identity": "bucket/5f470230e52df6bc768460b59accc286/76f87778337cc6db05f9d4bdb3d546da",
        "s3_source_crc64nvme": "rosUhgp5mIg=",
    }


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"etag": "abc", "size": "5"},
        {"s3_source_etag": "abc"},
        {"s3_source_size": "5"},
        {"s3_source_etag": "", "s3_source_size": "5"},
        {"s3_source_etag": "abc", "s3_source_size": ""},
        {"s3_source_etag": "abc", "s3_source_size": "-5"},
        {"s3_source_etag": "abc", "s3_source_size": "five"},
        {"s3_source_etag": "abc", "s3_source_size": "9" * 5_000},
        {"s3_source_etag": "abc", "s3_source_size": "\u0665"},
    ],
)
def test_another_tools_blob_has_no_record(metadata: dict[str, str]) -> None:
    """Without an ETag and a size there is nothing to compare."""
    assert SourceRecord.from_metadata(metadata) is None


@pytest.mark.parametrize(
    "text",
    ["", "x", "rosUhgp5mI==", "rosUhgp5mIg", "y/Q5Jg==", "rosUhgp5mIg=-2", "rosUhgp5mIh=", "rosUhgp5mIg=\n", "ü"],
)
def test_a_malformed_checksum_does_not_hide_a_record(text: str) -> None:
    """It is unknown. Only base64 of eight bytes is a CRC-64, in the one spelling that S3 has for them."""
    metadata = {"s3_source_etag": "abc", "s3_source_size": "5", "s3_source_crc64nvme": text, "s3_source_checksum": text}

    assert SourceRecord.from_metadata(metadata) == SourceRecord("abc", 5)


def _size(metadata: dict[str, str]) -> int:
    return sum(len(name) + len(value) for name, value in metadata.items())


@pytest.mark.parametrize(
    ("free", "left_out"),
    [
        (0, set()),
        (1, {"s3_source_checksum"}),
        (len("s3_source_checksumCRC32:y/Q5Jg=="), {"s3_source_checksum"}),
        (len("s3_source_checksumCRC32:y/Q5Jg==") + 1, {"s3_source_checksum", "s3_source_crc64nvme"}),
    ],
)
def test_checksums_give_way_to_user_metadata_near_azures_limit(free: int, left_out: set[str]) -> None:
    """Azure refuses more than 8 KiB of metadata; a copy without its recorded checksums is better than none."""
    record = SourceRecord("abc", 5, checksum="CRC32:y/Q5Jg==", identity="i", crc64nvme="rosUhgp5mIg=")
    user = {"a": "x" * (8 * 1024 - 1 - _size(record.as_metadata()) + free)}

    metadata = metadata_with_record(user, record)

    assert {**user, **record.as_metadata()}.keys() - metadata.keys() == left_out
    assert _size(metadata) <= 8 * 1024
    found = SourceRecord.from_metadata(metadata)
    assert found is not None
    assert found.is_same_content("abc", 5)


def test_user_metadata_beyond_azures_limit_is_left_to_azure_to_refuse() -> None:
    """Metadata of the user is never dropped in silence, and neither is what identifies the source."""
    record = SourceRecord("abc", 5, identity="i")
    user = {"a": "x" * 8 * 1024}

    assert metadata_with_record(user, record) == {**user, **record.as_metadata()}


def test_a_malformed_time_does_not_hide_a_record() -> None:
    """Nothing that stands on one blob may end the listing of all: ETag and size are what is compared."""
    metadata = {"s3_source_etag": "abc", "s3_source_size": "5", "s3_source_last_modified": "yesterday"}

    assert SourceRecord.from_metadata(metadata) == SourceRecord("abc", 5)


@pytest.mark.parametrize(
    ("etag", "size", "same"), [("abc", 5, True), ("abd", 5, False), ("abc", 6, False), ("ABC", 5, False)]
)
def test_the_same_content_has_the_same_etag_and_size(*, etag: str, size: int, same: bool) -> None:
    """Both must agree."""
    assert SourceRecord("abc", 5).is_same_content(etag, size) is same


ACCESS_POINT = "arn:aws:s3:eu-west-1:123456789012:accesspoint/landing"


@pytest.mark.parametrize("bucket", ["bucket", ACCESS_POINT])
@given(key=st.text(), blob=st.text(), other=st.text())
def test_a_record_names_one_copy(bucket: str, key: str, blob: str, other: str) -> None:
    """The bucket, the key and the blob; a record of an earlier version names none, so it may be of any."""
    identity = CopyIdentity(bucket, key, blob)
    record = SourceRecord("abc", 5, identity=str(identity))

    assert record.is_of(identity)
    assert record.is_of(CopyIdentity(bucket, other, blob)) == (other == key)
    assert record.is_of(CopyIdentity(bucket, key, other)) == (other == blob)
    assert not record.is_of(CopyIdentity(bucket + "x", key, blob))
    assert SourceRecord("abc", 5).is_of(identity)


@pytest.mark.parametrize("bucket", ["bucket", ACCESS_POINT])
@given(blob=st.text(), other=st.text())
def test_a_blob_is_owned_under_its_own_name_only(bucket: str, blob: str, other: str) -> None:
    """For any key, because the key is gone when the blob is deleted. Without an identity it belongs to no sync."""
    record = SourceRecord("abc", 5, identity=str(CopyIdentity(bucket, "key", blob)))

    assert record.is_owned(bucket, blob)
    assert record.is_owned(bucket, other) == (other == blob)
    assert not record.is_owned("other", blob)
    for identity in (None, "", "bucket", "bucket/x", "/", "//"):
        assert not SourceRecord("abc", 5, identity=identity).is_owned("bucket", blob)


@given(
    user=st.dictionaries(st.sampled_from(["s3_source_etag", "S3-Source-Size", "s3_source_identity", "x"]), st.text())
)
def test_metadata_that_came_over_from_s3_is_no_record(user: dict[str, str]) -> None:
    """Metadata that someone put on the S3 object, or that went there with a copy of our blob, is renamed."""
    headers = {f"x-amz-meta-{name.lower()}": value for name, value in user.items()}

    assert SourceRecord.from_metadata(PreservedProperties.from_s3(headers).metadata) is None


def test_content_headers_are_kept() -> None:
    """The five headers that Azure has properties for are kept; others are not."""
    content = {
        "content-type": "text/csv",
        "content-encoding": "gzip",
        "content-language": "de",
        "content-disposition": 'attachment; filename="a.csv"',
        "cache-control": "no-cache",
    }

    kept = PreservedProperties.from_s3({**content, "content-length": "5", "expires": "0", "etag": '"abc"'})

    assert kept == PreservedProperties(headers=content)


def test_user_metadata_is_kept_without_its_prefix() -> None:
    """Only ``x-amz-meta-`` headers are user metadata."""
    kept = PreservedProperties.from_s3({"x-amz-meta-team": "etl", "x-amz-version-id": "v", "x-amz-missing-meta": "1"})

    assert kept == PreservedProperties(metadata={"team": "etl"})


def test_an_empty_content_header_is_not_kept() -> None:
    """Azure would take it for a wish to set nothing."""
    assert PreservedProperties.from_s3({"content-type": "", "cache-control": ""}) == PreservedProperties()


@pytest.mark.parametrize(
    ("encoding", "kept"),
    [
        ("gzip", {"content-encoding": "gzip"}),
        ("aws-chunked", {}),
        ("AWS-Chunked", {}),
        ("aws-chunked,gzip", {"content-encoding": "gzip"}),
        ("gzip, aws-chunked", {"content-encoding": "gzip"}),
        ("gzip,br", {"content-encoding": "gzip,br"}),
        (" aws-chunked , ", {}),
    ],
)
def test_aws_chunked_is_dropped_from_the_content_encoding(encoding: str, kept: dict[str, str]) -> None:
    """It describes the upload; what remains describes the object."""
    assert PreservedProperties.from_s3({"content-encoding": encoding}).headers == kept


def test_records_are_compared_without_the_time_of_the_object() -> None:
    """It is not read back from metadata. Both operators agree, and so do the hashes."""
    record, other = SourceRecord("abc", 5, last_modified=datetime(2026, 11, 28, tzinfo=UTC)), SourceRecord("abc", 5)

    assert (record == other, record != other, hash(record) == hash(other)) == (True, False, True)
    assert (record == SourceRecord("abc", 6), record != SourceRecord("abc", 6)) == (False, True)
