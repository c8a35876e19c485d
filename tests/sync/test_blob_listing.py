"""The listing of a container: what Azurite and Azure send, and what only a script can send."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import pytest
from azure.storage.blob import StandardBlobTier

from airflow_s3_azure.engine.errors import DestinationAccessDenied, DestinationWriteError
from airflow_s3_azure.engine.model import BlobState
from airflow_s3_azure.engine.properties import SourceRecord
from airflow_s3_azure.engine.retry import RetryPolicy
from airflow_s3_azure.sync.key_ranges import ServiceOrder
from airflow_s3_azure.sync.ledger import PlanFolder
from airflow_s3_azure.sync.listing import list_blobs
from airflow_s3_azure.sync.naming import Naming
from airflow_s3_azure.sync.plan_model import Listing, PlanOptions
from airflow_s3_azure.sync.planner import make_plan
from airflow_s3_azure.sync.select import Selection
from tests.fakes.memory_container import MemoryContainer
from tests.fakes.scripted_container import azure_response, scripted
from tests.rig import Rig
from tests.sync.plans import PATH, listed

if TYPE_CHECKING:
    from azure.storage.blob import ContainerClient

    from tests.conftest import Bucket
    from tests.faults.recorded import Recorded

ONCE = RetryPolicy(attempts=1)
WHEN = "Fri, 27 Nov 2026 15:24:52 GMT"


def entry(name: str, metadata: Any = None, **properties: str | None) -> str:
    """Return an entry as Azure writes it; a property of None is left out."""
    given = {"Last-Modified": WHEN, "Etag": "0x8DE", "Content-Length": "5", "BlobType": "BlockBlob", **properties}
    listed = "".join(f"<{field}>{value}</{field}>" for field, value in given.items() if value is not None)
    pairs = "".join(f"<{field}>{escape(value)}</{field}>" for field, value in (metadata or {}).items())
    return (
        f"<Blob><Name>{escape(name)}</Name><Properties><Creation-Time>{WHEN}</Creation-Time>{listed}"
        f"<Content-Encoding /></Properties><Metadata>{pairs}</Metadata><OrMetadata /></Blob>"
    )


def document(*entries: str, marker: str = "") -> bytes:
    """Return a page as Azure sends it, with its byte order mark."""
    return (
        '\ufeff<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://account/" '
        f'ContainerName="container"><Blobs>{"".join(entries)}</Blobs><NextMarker>{marker}</NextMarker>'
        "</EnumerationResults>"
    ).encode()


def page(*entries: str, marker: str = "") -> Any:
    """Return a response with a page."""
    return azure_response(200, content=document(*entries, marker=marker))


def queries(transport: Any) -> list[dict[str, str]]:
    """Return the query of each request."""
    return [
        {name: values[0] for name, values in parse_qs(urlsplit(request.url).query).items()}
        for request in transport.requests
    ]


def test_a_page_is_read() -> None:
    """With the record of a copy, and with metadata of another tool."""
    record = SourceRecord("e", 5, identity="bucket/1/2")
    container, transport = scripted(page(entry("a&b", record.as_metadata()), entry("ü", {"team": "<x>"}), entry("z")))

    state = BlobState('"0x8DE"', 5, datetime(2026, 11, 27, 15, 24, 52, tzinfo=UTC))
    assert list(list_blobs(container, "x y")) == [
        ("a&b", BlobState(state.etag, 5, state.last_modified, record)),
        ("ü", state),
        ("z", state),
    ]
    assert queries(transport) == [{"restype": "container", "comp": "list", "include": "metadata", "prefix": "x y"}]


def test_pages_follow_each_other() -> None:
    """By the marker of the page before, also after an empty one."""
    container, transport = scripted(page(entry("a"), marker="m1"), page(marker="m2"), page(entry("b")))

    assert [name for name, _ in list_blobs(container, "p")] == ["a", "b"]
    assert [query.get("marker") for query in queries(transport)] == [None, "m1", "m2"]


def test_a_marker_that_is_repeated_ends_the_listing() -> None:
    """It would never end otherwise."""
    container, _ = scripted(page(entry("a"), marker="m1"))

    with pytest.raises(DestinationWriteError, match="a page has the marker of the page before"):
        list(list_blobs(container, "p"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<EnumerationResults><Blobs>",
        document(entry("a"))[:-30],
        b"<html><body>Log in</body></html>",
        b"<EnumerationResults/>",
        b'<!DOCTYPE x [<!ENTITY e "f">]>' + document(entry("a")).removeprefix(b"\xef\xbb\xbf"),
        document(entry("")),
        document(entry("a", Etag=None)),
        document(entry("a", Etag="")),
        document(entry("a", **{"Content-Length": None})),
        document(entry("a", **{"Content-Length": "x"})),
        document(entry("a", **{"Content-Length": "-5"})),
        document(entry("a", **{"Content-Length": "9" * 5000})),
        document(entry("a", **{"Last-Modified": None})),
        document(entry("a", **{"Last-Modified": "yesterday"})),
        document(entry("a"), "<Blob><Name>b</Name></Blob>"),
        document(entry("a"), "<Blob><Name>b</Blob>"),
        document(entry("a") + "</Blob>"),
        document(entry("a")) + b"x",
    ],
)
def test_a_page_that_is_not_complete_ends_the_listing(content: bytes) -> None:
    """An entry is not left out: its blob would be copied again, or not deleted."""
    container, _ = scripted(azure_response(200, content=content))

    with pytest.raises(DestinationWriteError, match="Azure sent a listing that cannot be read") as caught:
        list(list_blobs(container, "p/"))

    assert caught.value.blob == "https://account.blob.core.windows.net/container/p/"


@pytest.mark.parametrize(
    "name",
    ['<Name Encoded="true">a%EF%BF%BE%2Fb</Name>', "<Name>a&#xFFFD;/b</Name>", "<Name><![CDATA[a/b]]></Name>"],
)
def test_names_in_another_form_are_read_by_the_xml_parser(name: str) -> None:
    """Azure encodes names with characters that XML cannot hold."""
    found = {"Encoded": "a\ufffe/b", "&#x": "a\ufffd/b", "CDATA": "a/b"}
    container, _ = scripted(page(entry("NAME").replace("<Name>NAME</Name>", name), entry("z")))

    assert [one for one, _ in list_blobs(container)] == [next(v for k, v in found.items() if k in name), "z"]


def test_a_refused_listing_has_a_remedy_and_no_signature() -> None:
    """The error names the container."""
    container, _ = scripted(azure_response(403, {"x-ms-error-code": "AuthorizationFailure"}), sas="sig=secret")

    with pytest.raises(
        DestinationAccessDenied, match=r"^the container could not be listed: Azure returned 403"
    ) as caught:
        list(list_blobs(container, "p"))

    assert "secret" not in str(caught.value)


def test_a_page_is_requested_again_after_a_transient_error() -> None:
    """The listing goes on where it was."""
    container, _ = scripted(page(entry("a"), marker="m"), azure_response(503), page(entry("b")))

    found = list_blobs(container, "p", retry=RetryPolicy(first_wait=0.0))

    assert [name for name, _ in found] == ["a", "b"]


def test_metadata_cannot_forge_the_end_of_an_entry() -> None:
    """Its names are those of elements, such as Blob and Metadata."""
    hostile = {"Metadata": "x", "Blob": "y", "OrMetadata": "z", "Name": "n", "Etag": "e", "s3_source_size": "5"}
    container, _ = scripted(page(entry("a", {**hostile, "s3_source_etag": "e"}), entry("b")))

    (_, first), (name, _) = list_blobs(container)

    assert first.record == SourceRecord("e", 5)
    assert name == "b"


@pytest.mark.parametrize(
    "refusal",
    [azure_response(400, {"x-ms-error-code": "InvalidHeaderValue"}), page(entry("A"), entry("_s3_to_azure/x"))],
    ids=["refused", "ignored"],
)
def test_a_service_that_does_not_list_from_a_name_on_lists_everything(refusal: Any) -> None:
    """One request more, and nothing is missing."""
    container, transport = scripted(refusal, page(entry("A"), entry("_s3_to_azure/x"), entry("b")))

    assert [name for name, _ in list_blobs(container)] == ["A", "_s3_to_azure/x", "b"]
    assert [query.get("startFrom") for query in queries(transport)] == ["_s3_to_azure/~", None]
    assert [request.headers["x-ms-version"] for request in transport.requests] == ["2026-02-06", "2023-11-03"]


@pytest.mark.parametrize(
    ("above", "below"),
    [(["a", "B"], ["A", "_s3_to_azure/x", "a", "B"]), (["a"], ["A", "_s3_to_azure/x", "B"])],
    ids=["above the records", "below the records"],
)
def test_a_plan_misses_no_blob_of_a_container_in_another_order(above: list[str], below: list[str]) -> None:
    """Wherever it shows: the container is listed again from its first name on, and sorted."""
    record = {"s3_source_etag": "etag", "s3_source_size": "5"}
    everything = ["A", "_s3_to_azure/x", "a", "B"]
    container, transport = scripted(
        *(page(*(entry(name, record) for name in names)) for names in (above, below, everything))
    )
    order = ServiceOrder()

    plan = make_plan(
        Listing(lambda: iter([listed(name) for name in "ABa"])),
        Listing(lambda: list_blobs(container, order=order)),
        PlanOptions(Selection(), Naming()),
        PlanFolder(MemoryContainer().as_client(), PATH),
    )

    assert plan.counts == {"copy": 0, "unchanged": 3, "skipped": 0}
    assert [query.get("startFrom") for query in queries(transport)] == ["_s3_to_azure/~", None, None]


@pytest.mark.servers
def test_the_records_of_earlier_runs_are_not_listed(
    to_azure: Recorded, bucket: Bucket, container: ContainerClient
) -> None:
    """A sync of a whole container takes two requests, however many runs were before; nothing else is left out."""
    data = ["A", "_r", "_s3_to_azure.txt", "_s3_to_azure0", "in/_s3_to_azure/x", "z"]
    records = [f"_s3_to_azure/{dag}/run-{number}/ledger/00000.jsonl" for dag in "Az" for number in range(10)]
    for name in [*data, *records]:
        container.upload_blob(name, b"")
    url = f"{to_azure.proxy.url}/{container.account_name}/{container.container_name}"

    found = [name for name, _ in list_blobs(Rig(bucket, container, container_url=url).blobs)]

    assert found == sorted(data)
    assert len(to_azure.requests) == 2


@pytest.mark.servers
def test_azurite_and_the_sdk_agree(bucket: Bucket, container: ContainerClient) -> None:
    """On names, sizes, ETags, times and metadata."""
    names = ["a b", "a&b<c>", "a+b%20", "ü/é", "emoji 😀", "quote'\"", "deep/" * 20 + "x", "dir/", "~"]
    for number, name in enumerate(names):
        container.upload_blob(name, b"x" * number, metadata={"s3_source_etag": "e&<", "S3_source_size": str(number)})

    blobs = list(container.list_blobs(include=["metadata"]))

    assert [
        (name, state.size, state.etag.strip('"'), state.last_modified)
        for name, state in list_blobs(Rig(bucket, container).blobs)
    ] == [(one.name, one.size, one.etag.strip('"'), one.last_modified) for one in blobs]
    assert {state.record for _, state in list_blobs(Rig(bucket, container).blobs)} == {
        SourceRecord("e&<", number) for number in range(len(names))
    }


@pytest.mark.servers
def test_the_directories_of_a_hierarchical_account_are_no_blobs(bucket: Bucket, container: ContainerClient) -> None:
    """Such an account lists them beside what is in them, marked in their metadata, in whatever case."""
    container.upload_blob("a", b"", metadata={"hdi_isfolder": "true"})
    container.upload_blob("a/b", b"b")
    container.upload_blob("c", b"", metadata={"Hdi_isfolder": "true"})
    container.upload_blob("d", b"", metadata={"hdi_isfolder": "false"})

    assert [name for name, _ in list_blobs(Rig(bucket, container).blobs)] == ["a/b", "d"]
    found = list_blobs(Rig(bucket, container).blobs, with_directories=True)
    assert {name: state.conflict for name, state in found} == {
        "a": "directory",
        "a/b": None,
        "c": "directory",
        "d": None,
    }


@pytest.mark.servers
def test_a_listing_and_a_head_show_what_no_copy_can_overwrite(bucket: Bucket, container: ContainerClient) -> None:
    """A blob in the archive tier, and blobs of another type."""
    container.upload_blob("block", b"b")
    container.upload_blob("cool", b"b", standard_blob_tier=StandardBlobTier.COOL)
    container.upload_blob("archived", b"b", standard_blob_tier=StandardBlobTier.ARCHIVE)
    container.get_blob_client("append").create_append_blob()
    container.get_blob_client("page").create_page_blob(512)
    blobs = Rig(bucket, container).blobs

    found = {name: state.conflict for name, state in list_blobs(blobs)}

    assert found == {
        "block": None,
        "cool": None,
        "archived": "archived",
        "append": "append_blob",
        "page": "page_blob",
    }
    assert {name: state.conflict for name in found if (state := blobs.head(name))} == found
