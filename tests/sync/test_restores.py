"""Which objects of a batch wait for a restore, and what is requested for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from botocore.exceptions import ClientError

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import SourceAccessDenied, SourceArchived, SourceReadError, TransferError
from airflow_s3_azure.engine.model import CopyRequest, SourceObject
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.sync.restores import Restores, archived_keys, count_waiting

ONGOING = "<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>"
DONE = "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress></RestoreStatus>"
ONCE = RetryPolicy(attempts=1)


class Source:
    """A bucket of archived objects, listed in pages of two.

    :param archived_versions: that can only be read after a restore
    """

    bucket = "bucket"
    connection = "AWS connection 'night'"
    payer: Mapping[str, str] = {}

    def __init__(
        self, objects: Mapping[str, str], storage_class: str = "GLACIER", archived_versions: Iterable[str] = ()
    ) -> None:
        self.objects = objects
        self.archived_versions = set(archived_versions)
        self.storage_class = storage_class
        self.listed: list[Mapping[str, Any]] = []

    def url(self, key: str) -> str:
        """Return the name of a key."""
        return f"s3://bucket/{key}"

    def head(self, key: str, version_id: str | None = None) -> SourceObject:
        """Return an object."""
        is_archived = version_id in self.archived_versions
        return SourceObject(key, 1, "e", version_id, storage_class=self.storage_class, is_archived=is_archived)

    def list_page(self, params: Mapping[str, Any]) -> bytes:
        """Return a page."""
        self.listed.append(params)
        after = params.get("ContinuationToken", params.get("StartAfter", ""))
        names = [key for key in sorted(self.objects) if key > after and key.startswith(params["Prefix"])]
        entries = "".join(
            f"<Contents><Key>{quote(key)}</Key><LastModified>2026-11-27T15:24:52.000Z</LastModified><ETag>e</ETag>"
            f"<Size>1</Size><StorageClass>GLACIER</StorageClass>{self.objects[key]}</Contents>"
            for key in names[:2]
        )
        more = f"<NextContinuationToken>{names[1]}</NextContinuationToken>" if len(names) > 2 else ""
        truncated = f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>{more}"
        return f"<ListBucketResult>{truncated}<EncodingType>url</EncodingType>{entries}</ListBucketResult>".encode()


class Client:
    """Keeps requests for restores; refuses some."""

    def __init__(self, refused: Iterable[str] = ()) -> None:
        self.refused = set(refused)
        self.requests: dict[str, Any] = {}

    def restore_object(self, **request: Any) -> None:
        """Keep a request."""
        self.requests[request["Key"]] = request["RestoreRequest"]
        if request["Key"] in self.refused:
            meta: Any = {"HTTPStatusCode": 403, "HTTPHeaders": {}}
            raise ClientError({"Error": {"Code": "AccessDenied"}, "ResponseMetadata": meta}, "RestoreObject")


def _requests(*keys: str, is_archived: bool = True) -> list[CopyRequest]:
    return [CopyRequest(key, key, is_archived=is_archived) for key in keys]


def test_a_listing_shows_what_waits() -> None:
    """From the first key to the last, under their common prefix: an object is archived, being restored, restored or gone."""
    source: Any = Source({"a": "", "in/0": "", "in/1": ONGOING, "in/2": DONE, "in/3": "", "in/5": "", "in/6": ""})

    found = archived_keys(source, {"in/1", "in/2", "in/3", "in/4"}, ONCE, Cancellation())

    assert found == {"in/1": "ongoing", "in/3": ""}
    assert [(one["Prefix"], one.get("StartAfter"), one.get("ContinuationToken")) for one in source.listed] == [
        ("in/", "in/", None),
        ("in/", None, "in/1"),
        ("in/", None, "in/3"),
    ]


@pytest.mark.parametrize("key", ["a", "é", "\U0001f600", "a+b c%20\n"])
def test_one_key_is_found_whatever_it_is_called(key: str) -> None:
    """Also the first of the bucket."""
    source: Any = Source({key: ONGOING})

    assert archived_keys(source, {key}, ONCE, Cancellation()) == {key: "ongoing"}


def test_no_key_needs_no_listing() -> None:
    """As in a batch without archived objects."""
    source: Any = Source({})

    assert archived_keys(source, set(), ONCE, Cancellation()) == {}
    assert source.listed == []


def test_a_listing_that_cannot_be_read_ends_the_task() -> None:
    """A retry lists again."""
    source: Any = Source({"a": "<"})

    with pytest.raises(SourceReadError, match="a listing that cannot be read"):
        archived_keys(source, {"a"}, ONCE, Cancellation())


def test_a_listing_that_repeats_a_token_ends_the_task() -> None:
    """The pages are not requested without end."""
    source: Any = Source({f"in/{number}": "" for number in range(6)})
    first = source.list_page
    source.list_page = lambda _params: first({"Prefix": "in/"})

    with pytest.raises(SourceReadError, match="does not end"):
        archived_keys(source, {"in/0", "in/5"}, ONCE, Cancellation())


def test_only_what_nobody_requested_is_requested() -> None:
    """A restore in progress is waited for; one that is refused is an error of its key."""
    source: Any = Source({"a": "", "b": ONGOING, "c": "", "d": DONE})
    client = Client(refused=["c"])
    options = CopyOptions(restore_tier="Standard", restore_days=3, retry=ONCE)

    held = Restores(client, source, options, Cancellation()).hold(_requests("a", "b", "c", "d"))

    assert client.requests.keys() == {"a", "c"}
    assert client.requests["a"] == {"Days": 3, "GlacierJobParameters": {"Tier": "Standard"}}
    assert {key: type(error) for key, error in held.items()} == {
        "a": type(None),
        "b": type(None),
        "c": SourceAccessDenied,
    }


@pytest.mark.parametrize(("storage_class", "has_days"), [("INTELLIGENT_TIERING", False), ("GLACIER", True)])
def test_an_object_that_the_plan_did_not_know_to_be_archived_is_checked(storage_class: str, *, has_days: bool) -> None:
    """Intelligent-Tiering takes no days; an object that was archived since the plan does."""
    source: Any = Source({}, storage_class)
    client = Client()

    Restores(client, source, CopyOptions(retry=ONCE), Cancellation()).request(_requests("a", is_archived=False))

    assert ("Days" in client.requests["a"]) == has_days


def test_the_restore_of_a_single_object_is_of_its_version() -> None:
    """It is requested when the copy found it to be archived."""
    requested: list[dict[str, Any]] = []
    client = SimpleNamespace(restore_object=lambda **request: requested.append(request))
    source: Any = Source({})
    restores = Restores(client, source, CopyOptions(retry=ONCE), Cancellation())

    assert restores.request_if_archived(CopyRequest("a", "b", version_id="old"), SourceArchived("it is archived"))

    restore = {"Days": 7, "GlacierJobParameters": {"Tier": "Bulk"}}
    assert requested == [{"Bucket": "bucket", "Key": "a", "VersionId": "old", "RestoreRequest": restore}]


@pytest.mark.parametrize("error", [None, SourceAccessDenied("S3 returned 403")])
def test_a_copy_that_did_not_fail_for_an_archived_object_restores_nothing(error: TransferError | None) -> None:
    """Its result, or its error, is that of any copy."""
    source: Any = Source({})
    client = Client()

    assert not Restores(client, source, CopyOptions(), Cancellation()).request_if_archived(_requests("a")[0], error)
    assert client.requests == {}


def test_a_refused_restore_of_a_single_object_is_its_error() -> None:
    """It names the object."""
    source: Any = Source({})
    restores = Restores(Client(refused=["a"]), source, CopyOptions(retry=ONCE), Cancellation())

    with pytest.raises(SourceAccessDenied, match="s3://bucket/a"):
        restores.request_if_archived(_requests("a")[0], SourceArchived("it is archived"))


@pytest.mark.parametrize("archived", ["skip", "fail"])
def test_nothing_is_restored_unless_it_is_wanted(archived: Any) -> None:
    """A restore costs money."""
    source: Any = Source({})

    assert Restores.if_wanted(Client(), source, CopyOptions(archived=archived), Cancellation()) is None


@pytest.mark.parametrize(("current", "is_archived"), [("", False), (DONE, True)])
def test_the_state_of_a_named_version_is_its_own(current: str, *, is_archived: bool) -> None:
    """A listing shows the current version, which may be archived while the named one is not, and the reverse."""
    source: Any = Source({"a": current}, archived_versions=["old"] if is_archived else [])
    client = Client()
    requests = [CopyRequest("a", "a", version_id="old", is_archived=True)]

    held = Restores(client, source, CopyOptions(retry=ONCE), Cancellation()).hold(requests)

    assert held == ({"a": None} if is_archived else {})
    assert client.requests.keys() == ({"a"} if is_archived else set())
    assert source.listed == []


@pytest.mark.parametrize(("current", "waiting"), [("", 0), (DONE, 1)])
def test_a_batch_waits_for_the_version_that_it_copies(current: str, waiting: int) -> None:
    """Not for the current one."""
    source: Any = Source({"a": current}, archived_versions=["old"] * waiting)
    folder: Any = SimpleNamespace(
        read_unconfirmed_ledger=lambda *_: [],
        read_manifest=lambda _: [CopyRequest("a", "a", version_id="old", is_archived=True)],
    )
    reference: Any = SimpleNamespace(part="00000", objects=1)

    assert count_waiting(source, folder, reference, CopyOptions(retry=ONCE), Cancellation()) == waiting
