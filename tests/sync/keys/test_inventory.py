"""S3 inventories, as S3 writes them and as someone else would."""

from __future__ import annotations

import gzip
import io
import re
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.errors import ConfigurationError, PlanError
from airflow_s3_azure.sync.keys import inventory, inventory_parquet
from airflow_s3_azure.sync.keys.inventory import read_inventory
from airflow_s3_azure.sync.keys.key_entry import KeyEntry
from airflow_s3_azure.sync.keys.key_lines import MAX_LINE
from tests.sync.keys.inventories import CREATED, FOLDER, MemoryFile, csv_file, manifest, manifest_file, row

BUCKET, STORE = "acme-exports", "inventories"
MODIFIED = datetime(2026, 11, 20, 10, 11, 12, tzinfo=UTC)
PARQUET_SCHEMA = "message s3.inventory { required binary bucket (UTF8); required binary key (UTF8); }"

keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)


def read(files: dict[str, bytes], **changes: Any) -> list[KeyEntry]:
    """Return the entries of an inventory with these files."""
    stored = {key: MemoryFile(key, data) for key, data in files.items()}
    found = read_inventory(manifest_file(manifest(BUCKET, STORE, files, **changes)), BUCKET, STORE)
    assert found.created_at == CREATED
    return list(found.entries(stored.__getitem__))


@given(st.lists(keys, max_size=5))
def test_csv_has_encoded_keys(found: list[str]) -> None:
    """Any key of S3, with spaces, quotes, commas and line breaks."""
    data = csv_file([row(BUCKET, key, 5, "e") for key in found])

    entries = read({f"{FOLDER}/data/1.csv.gz": data})

    assert entries == [KeyEntry(key, None, 5, "e", MODIFIED, "STANDARD") for key in found]


def test_all_files_are_read_and_only_current_versions() -> None:
    """Delete markers and older versions are left out; the versions are not pinned."""
    first = csv_file(
        [
            row(BUCKET, "a", 1, "1", VersionId="v2"),
            row(BUCKET, "a", 1, "0", VersionId="v1", IsLatest="false"),
            row(BUCKET, "b", 0, "", VersionId="v3", IsDeleteMarker="true", Size="", StorageClass=""),
        ]
    )
    second = csv_file([row(BUCKET, "c", 3, "3", StorageClass="GLACIER")])

    entries = read({f"{FOLDER}/data/1.csv.gz": first, f"{FOLDER}/data/2.csv.gz": second})

    assert entries == [
        KeyEntry("a", None, 1, "1", MODIFIED, "STANDARD"),
        KeyEntry("c", None, 3, "3", MODIFIED, "GLACIER"),
    ]


def test_an_inventory_without_optional_fields_has_only_keys() -> None:
    """What the plan needs is then looked up."""
    assert read({f"{FOLDER}/data/1.csv.gz": csv_file([[BUCKET, "a"]])}, fileSchema="Bucket, Key") == [KeyEntry("a")]


def test_an_access_point_has_no_name_to_compare() -> None:
    """The rows still name the bucket of the manifest."""
    arn = "arn:aws:s3:eu-west-1:123456789012:accesspoint/exports"

    assert read_inventory(manifest_file(manifest(BUCKET, STORE, {})), arn, STORE).bucket == BUCKET


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"{", "it is no JSON document (JSONDecodeError)"),
        (b"[" * 100_000, "it is no JSON document (RecursionError)"),
        (b"[]", "it is a list, not an object"),
        ({"sourceBucket": "other"}, "it lists bucket 'other', and s3_bucket is 'acme-exports'"),
        ({"sourceBucket": 5}, "sourceBucket is 5; it takes text"),
        ({"destinationBucket": "arn:aws:s3:::else"}, "its files are in bucket 'else', and it is in 'inventories'"),
        ({"fileFormat": "ORC"}, "its files are 'ORC'; configure the inventory for CSV or Parquet"),
        ({"creationTimestamp": "yesterday"}, "creationTimestamp is 'yesterday'"),
        ({"creationTimestamp": "9" * 15}, "creationTimestamp is '999999999999999'"),
        ({"fileSchema": "Bucket, Size"}, "its columns are 'Bucket, Size', without Bucket and Key"),
        ({"files": None}, "files is None; it takes a list"),
        ({"files": ["x"]}, "file 0 is 'x'; it takes key, size and MD5checksum"),
        ({"files": [{"key": "x", "size": "1", "MD5checksum": "0" * 32}]}, "file 0 is"),
        ({"files": [{"key": "x", "size": True, "MD5checksum": "0" * 32}]}, "file 0 is"),
        ({"files": [{"key": "x", "size": 1, "MD5checksum": "0" * 31}]}, "file 0 is"),
        ({"files": [{"key": "secrets/x", "size": 1, "MD5checksum": "0" * 32}]}, f"which is not below '{FOLDER}/'"),
        ({"files": [{"key": f"{FOLDER}x/1", "size": 1, "MD5checksum": "0" * 32}]}, f"which is not below '{FOLDER}/'"),
    ],
)
def test_a_bad_manifest_is_named(content: Any, problem: str) -> None:
    """With what is expected; its files may be only those of the inventory."""
    file = manifest_file(content if isinstance(content, bytes) else manifest(BUCKET, STORE, {}) | content)

    with pytest.raises(PlanError, match=r"the inventory 's3://inventories/.*manifest.json' is not valid:\s") as error:
        read_inventory(file, BUCKET, STORE)

    assert problem in str(error.value).replace("\n  ", " ")


def test_an_endless_manifest_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would not fit into memory."""
    monkeypatch.setattr(inventory, "MAX_MANIFEST", 2000)

    with pytest.raises(PlanError, match="it has more than 2,000 bytes"):
        read_inventory(manifest_file(b" " * 3000), BUCKET, STORE)


@pytest.mark.parametrize("change", ["truncated", "longer", "flipped"])
def test_a_file_that_is_not_the_manifests_fails_the_plan(change: str) -> None:
    """By its size and its MD5, at the latest after its last row."""
    good = csv_file([row(BUCKET, "a", 5, "e")])
    other = csv_file([row(BUCKET, "b", 5, "e")])
    data = {"truncated": good[:-1], "longer": good + good, "flipped": other}[change]
    key = f"{FOLDER}/data/1.csv.gz"
    found = read_inventory(manifest_file(manifest(BUCKET, STORE, {key: good})), BUCKET, STORE)

    with pytest.raises(PlanError, match=r"is not the one that its manifest names|it ends within a gzip member"):
        list(found.entries(lambda key: MemoryFile(key, data)))


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (row("other", "a", 5, "e"), "it is of bucket 'other', and the inventory is of 'acme-exports'"),
        (row(BUCKET, "", 5, "e"), "the key is None"),
        (row(BUCKET, "a", 5, "e", Size="-5"), "the size is '-5'"),
        (row(BUCKET, "a", 5, "e", Size="5.0"), "the size is '5.0'"),
        (row(BUCKET, "a", 5, "W/x"), "the etag is 'W/x'"),
        (row(BUCKET, "a", 5, "e", LastModifiedDate="2026-13-01T00:00:00Z"), "LastModifiedDate is '2026-13-01"),
        (row(BUCKET, "a", 5, "e", LastModifiedDate="2026-11-01T00:00:00"), "it takes a time with a zone"),
        (row(BUCKET, "a", 5, "e", StorageClass="x\ny"), "a quoted value does not end on its line"),
        (row(BUCKET, "a", 5, "e", StorageClass="standard"), "StorageClass is 'standard'"),
        (row(BUCKET, "a", 5, "e", IsLatest="yes"), "IsLatest or IsDeleteMarker is neither true nor false"),
        ([BUCKET, "a"], "it has 2 values, and the manifest 9 columns"),
        (row(BUCKET, "a" * 1025, 5, "e"), "the key has 1,025 bytes"),
        (row(BUCKET, "a\0", 5, "e"), "has a NUL character"),
        (row(BUCKET, "a", 5, "e" * MAX_LINE), "is longer than 65,536 bytes"),
    ],
)
def test_a_bad_row_is_named(bad: list[str], problem: str) -> None:
    """With its file and its line."""
    data = csv_file([row(BUCKET, "a", 5, "e"), bad])

    with pytest.raises(PlanError) as error:
        read({f"{FOLDER}/data/1.csv.gz": data})

    text = str(error.value).replace("\n  ", " ")
    number = 1 if "longer than" in problem else 2
    assert f"line {number} of the key list 's3://inventories/{FOLDER}/data/1.csv.gz' is not valid: " in text
    assert problem in text


@pytest.mark.parametrize("text", [b'"acme-exports","%ff"\n', b'"acme-exports","\xff"\n'])
def test_a_key_that_is_not_utf_8_is_named(text: bytes) -> None:
    """Encoded, or as it is."""
    with pytest.raises(PlanError, match="line 1 of the key list"):
        read({f"{FOLDER}/data/1.csv.gz": gzip.compress(text)}, fileSchema="Bucket, Key")


def parquet_file(rows: dict[str, Any], *, row_group_size: int = 100) -> bytes:
    """Return a Parquet file with columns as S3 names them."""
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    target = io.BytesIO()
    types = {"size": pa.int64(), "last_modified_date": pa.timestamp("ms")}
    table = pa.table({name: pa.array(values, types.get(name)) for name, values in rows.items()})
    parquet.write_table(table, target, row_group_size=row_group_size)
    return target.getvalue()


def parquet_rows(count: int, **changes: Any) -> dict[str, Any]:
    """Return the columns of objects."""
    return {
        "bucket": [BUCKET] * count,
        "key": [f"a b/{number}" for number in range(count)],
        "is_latest": [True] * count,
        "is_delete_marker": [False] * count,
        "size": [5] * count,
        "last_modified_date": [datetime(2026, 11, 20, 10, 11, 12)] * count,  # noqa: DTZ001 - Parquet has no zone
        "e_tag": ["e"] * count,
        "storage_class": ["STANDARD"] * count,
        "encryption_status": ["SSE-S3"] * count,
        **changes,
    }


def test_parquet_is_read_by_ranges() -> None:
    """Its keys are not encoded; columns that are not needed are left out."""
    data = parquet_file(parquet_rows(300, is_latest=[True] * 299 + [False]))

    entries = read({f"{FOLDER}/data/1.parquet": data}, fileFormat="Parquet", fileSchema=PARQUET_SCHEMA)

    assert entries == [KeyEntry(f"a b/{number}", None, 5, "e", MODIFIED, "STANDARD") for number in range(299)]


def test_parquet_without_optional_fields_has_only_keys() -> None:
    """As CSV."""
    data = parquet_file({"bucket": [BUCKET], "key": ["a%20b"]})

    assert read({f"{FOLDER}/data/1.parquet": data}, fileFormat="Parquet", fileSchema=PARQUET_SCHEMA) == [
        KeyEntry("a%20b")
    ]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"key": ["a", None]}, "row 2 .* is not valid: the key is None"),
        ({"bucket": [BUCKET, "other"]}, "row 2 .* is not valid: it is of bucket 'other'"),
        ({"size": [5, -5]}, "row 2 .* is not valid: the size is -5"),
        ({"e_tag": [5, 5]}, "row 1 .* is not valid: the etag is 5"),
        ({"storage_class": ["STANDARD", "x y"]}, "row 2 .* is not valid: StorageClass is 'x y'"),
    ],
)
def test_a_bad_row_of_parquet_is_named(changes: dict[str, Any], problem: str) -> None:
    """With its file."""
    data = parquet_file(parquet_rows(2, **changes))

    with pytest.raises(PlanError, match=problem):
        read({f"{FOLDER}/data/1.parquet": data}, fileFormat="Parquet", fileSchema=PARQUET_SCHEMA)


def test_what_is_no_parquet_is_named() -> None:
    """Whatever its bytes are."""
    pytest.importorskip("pyarrow")

    with pytest.raises(PlanError, match=r"row 0 of the inventory file .* is not valid: .*magic bytes"):
        read({f"{FOLDER}/data/1.parquet": b"x" * 1000}, fileFormat="Parquet", fileSchema=PARQUET_SCHEMA)


def test_a_row_group_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read as a whole."""
    data = parquet_file(parquet_rows(100))
    monkeypatch.setattr(inventory_parquet, "MAX_ROW_GROUP", 100)

    with pytest.raises(PlanError, match=r"it has a row group of [\d,]+ bytes, and 100 is the limit"):
        read({f"{FOLDER}/data/1.parquet": data}, fileFormat="Parquet", fileSchema=PARQUET_SCHEMA)


def test_parquet_needs_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names it."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(ConfigurationError, match=re.escape("install airflow-s3-azure[parquet]")):
        read({f"{FOLDER}/data/1.parquet": b""}, fileFormat="Parquet", fileSchema=PARQUET_SCHEMA)
