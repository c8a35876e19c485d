"""The stand-in for Azure responds as Azurite does: the same statuses, headers and documents for the same requests."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import requests
from awscrt.checksums import crc64nvme
from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

from benchmarks.stand_ins import KEY, StandIns, stand_ins

if TYPE_CHECKING:
    from tests.servers import AzureServer

pytestmark = pytest.mark.servers

DATA = bytes(range(256)) * 300
HEADERS = (
    "Accept-Ranges",
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Type",
    "x-ms-blob-type",
    "x-ms-error-code",
    "x-ms-meta-colour",
)


@dataclass(frozen=True)
class Account:
    """A server with Azure's API.

    :param url: of a container that does not exist yet
    :param sas: for its account
    """

    url: str
    sas: str

    def send(self, method: str, path: str, headers: dict[str, str] | None = None, data: bytes = b"") -> Any:
        """Send one request; the path may have a query."""
        url = f"{self.url}{path}{'&' if '?' in path else '?'}{self.sas}"
        common = {"x-ms-version": "2023-11-03", "Accept-Encoding": "identity"}
        return requests.request(method, url, headers=common | (headers or {}), data=data, timeout=30)

    def exchange(self, method: str, path: str, headers: dict[str, str] | None = None, data: bytes = b"") -> Any:
        """Send one request; return the status and what matters of the response."""
        response = self.send(method, path, headers, data)
        if response.status_code >= 400:
            return response.status_code, response.headers.get("x-ms-error-code")
        # Azurite sends some responses without a body with this header, and some without.
        kept = HEADERS if method in ("GET", "HEAD") else ()
        compared = {name: response.headers[name] for name in kept if name in response.headers}
        if "xml" in response.headers.get("Content-Type", ""):
            return response.status_code, document(response.content)
        return response.status_code, compared, response.content if response.headers.get("Content-Length") else b""


def document(text: bytes) -> Any:
    """Return the names, sizes and metadata in a list of blocks or blobs."""
    root = ET.fromstring(text)
    kinds = ("CommittedBlocks", "UncommittedBlocks", "Blobs")
    # Azurite lists folders before blobs, Azure in the order of names.
    return [
        (kind, sorted((found for element in root.iterfind(kind) for one in element for found in names(one)), key=str))
        for kind in kinds
    ], bool(root.findtext("NextMarker"))


def names(one: ET.Element) -> Iterator[tuple[str, str | None, str | None, dict[str, str | None]]]:
    """Yield what matters of one block, blob or prefix."""
    size = one.findtext("Size") or one.findtext("Properties/Content-Length")
    metadata = {element.tag: element.text for element in one.iterfind("Metadata/*")}
    yield one.tag, one.findtext("Name"), size, metadata


@pytest.fixture(scope="module")
def servers() -> Iterator[StandIns]:
    """Both stand-ins; the sink checks CRCs."""
    with stand_ins(check=True) as started:
        yield started


@pytest.fixture
def accounts(servers: StandIns, azure_server: AzureServer, request: pytest.FixtureRequest) -> tuple[Account, Account]:
    """The stand-in and Azurite, with a name for a container of this test."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:60].strip("-")
    both = ((servers.sink, "account", KEY), (azure_server.endpoint, azure_server.account, azure_server.key))
    ours, theirs = (
        Account(
            f"{url}/{name}",
            generate_account_sas(
                account,
                key,
                ResourceTypes(service=True, container=True, object=True),
                AccountSasPermissions(read=True, write=True, delete=True, list=True, create=True, add=True, tag=True),
                datetime.now(UTC) + timedelta(hours=1),
            ),
        )
        for url, account, key in both
    )
    return ours, theirs


def crc64(data: bytes) -> str:
    """Return a CRC-64 as Azure writes it."""
    return base64.b64encode(crc64nvme(data).to_bytes(8, "little")).decode()


def block(name: str) -> str:
    """Return the path of a block of the blob ``a/blob``."""
    return f"/a/blob?comp=block&blockid={base64.b64encode(name.encode()).decode()}"


def blocks(*found: str) -> bytes:
    """Return the body of a Put Block List."""
    listed = "".join(f"<Latest>{base64.b64encode(name.encode()).decode()}</Latest>" for name in found)
    return f'<?xml version="1.0" encoding="utf-8"?><BlockList>{listed}</BlockList>'.encode()


PUT = {"x-ms-blob-type": "BlockBlob"}
CREATE = ("PUT", "?restype=container")
STAGE: tuple[Any, ...] = ("PUT", block("one"), {}, DATA)
CONVERSATIONS: dict[str, list[tuple[Any, ...]]] = {
    "a container": [
        ("HEAD", "?restype=container"),
        ("PUT", "/blob", PUT, DATA),
        CREATE,
        CREATE,
        ("HEAD", "/blob"),
        ("GET", "/blob"),
    ],
    "put blob": [
        CREATE,
        ("PUT", "/a/blob", PUT | {"x-ms-meta-colour": "red", "x-ms-blob-content-type": "text/plain"}, DATA),
        ("HEAD", "/a/blob"),
        ("PUT", "/a/blob", PUT | {"If-None-Match": "*"}, DATA),
        ("PUT", "/a/blob", PUT | {"If-Match": '"0x123"'}, DATA),
        ("PUT", "/a/blob", PUT | {"x-ms-blob-content-language": "de", "x-ms-blob-content-encoding": "gzip"}),
        ("HEAD", "/a/blob"),
    ],
    "put blob with a checksum": [
        CREATE,
        ("PUT", "/right", PUT | {"x-ms-content-crc64": crc64(DATA)}, DATA),
        ("PUT", "/wrong", PUT | {"x-ms-content-crc64": crc64(b"")}, DATA),
        ("HEAD", "/wrong"),
    ],
    "blocks": [
        CREATE,
        ("GET", "/a/blob?comp=blocklist&blocklisttype=all"),
        STAGE,
        ("PUT", block("two"), {"x-ms-content-crc64": crc64(DATA[5:])}, DATA[5:]),
        ("PUT", block("bad"), {"x-ms-content-crc64": crc64(DATA)}, DATA[5:]),
        ("HEAD", "/a/blob"),
        ("GET", "/a/blob?comp=blocklist&blocklisttype=uncommitted"),
        ("PUT", "/a/blob?comp=blocklist", {}, blocks("one", "none")),
        ("PUT", "/a/blob?comp=blocklist", {"If-Match": '"0x123"'}, blocks("one")),
        ("PUT", "/a/blob?comp=blocklist", {"x-ms-meta-colour": "blue", "If-None-Match": "*"}, blocks("two", "one")),
        ("HEAD", "/a/blob"),
        ("PUT", "/a/blob?comp=blocklist", {"If-None-Match": "*"}, blocks("two")),
        ("GET", "/a/blob?comp=blocklist&blocklisttype=all"),
        ("PUT", block("six"), {}, DATA[6:]),
        ("GET", "/a/blob?comp=blocklist&blocklisttype=all"),
        ("PUT", "/a/blob?comp=blocklist", {}, blocks("two", "six")),
        ("HEAD", "/a/blob"),
        ("DELETE", "/a/blob"),
        ("DELETE", "/a/blob"),
        ("HEAD", "/a/blob"),
    ],
    "listings": [
        CREATE,
        *(
            ("PUT", f"/{name}", PUT | {"x-ms-meta-colour": "red"}, DATA)
            for name in ("b/1", "b/2", "a/1", "a/2/3", "top&<")
        ),
        STAGE,
        ("GET", "?restype=container&comp=list"),
        ("GET", "?restype=container&comp=list&include=metadata"),
        ("GET", "?restype=container&comp=list&prefix=a/"),
        ("GET", "?restype=container&comp=list&delimiter=/"),
        ("GET", "?restype=container&comp=list&delimiter=/&prefix=a/"),
        ("GET", "?restype=container&comp=list&maxresults=2"),
        ("GET", "?restype=container&comp=list&prefix=none"),
        ("DELETE", "?restype=container"),
    ],
    "manifests and ledgers are kept": [
        CREATE,
        ("PUT", "/_s3_to_azure/whole", PUT, DATA),
        ("GET", "/_s3_to_azure/whole"),
        ("GET", "/_s3_to_azure/whole", {"x-ms-range": "bytes=10-99"}),
        ("PUT", "/_s3_to_azure/blocks?comp=block&blockid=b25l", {}, DATA),
        ("PUT", "/_s3_to_azure/blocks?comp=blocklist", {}, blocks("one")),
        ("GET", "/_s3_to_azure/blocks", {"x-ms-range": "bytes=0-1000000"}),
        ("PUT", "/_s3_to_azure/blocks?comp=block&blockid=dHdv", {}, DATA[5:]),
        ("PUT", "/_s3_to_azure/blocks?comp=blocklist", {}, blocks("one", "two")),
        ("GET", "/_s3_to_azure/blocks", {"x-ms-range": "bytes=0-1000000"}),
    ],
}


@pytest.mark.parametrize("conversation", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_the_stand_in_responds_as_azurite_does(accounts: tuple[Account, Account], conversation: list[Any]) -> None:
    """The same requests, one after the other, bring the same statuses, error codes, headers and documents."""
    ours, theirs = ([account.exchange(*request) for request in conversation] for account in accounts)
    assert ours == theirs


def test_each_commit_changes_the_etag_that_conditions_need(accounts: tuple[Account, Account]) -> None:
    """Each commit has an ETag of its own, HEAD returns the last one, and If-Match accepts no other."""
    for account in accounts:
        account.send("PUT", "?restype=container")
        first, second = (account.send("PUT", "/blob", PUT, DATA).headers["ETag"] for _ in range(2))
        assert first != second
        assert account.send("HEAD", "/blob").headers["ETag"] == second
        assert account.send("PUT", "/blob", PUT | {"If-Match": first}, DATA).status_code == 412
        assert account.send("PUT", "/blob", PUT | {"If-Match": second}, DATA).status_code == 201


def test_bytes_and_requests_are_counted(servers: StandIns) -> None:
    """The sink counts its responses by kind and the received bytes, and the content of a container."""
    servers.create_container("counted")
    servers.reset_counts()
    for name in ("a", "b"):
        requests.put(f"{servers.sink}/counted/{name}", DATA, headers=PUT, timeout=30)
    requests.head(f"{servers.sink}/counted/a", timeout=30)
    counts = dict(servers.counts()[1])
    assert counts.pop("ms cpu") >= 0
    assert counts == {"Put Blob": 2, "HEAD blob": 1, "bytes in": 2 * len(DATA)}
    assert servers.totals("counted") == (2, 2 * len(DATA))
