"""A server for the benchmark of plans: pages of S3 and Azure listings, and a container for what a plan writes.

It runs in a process of its own, so that neither its CPU nor its memory is the plan's. The entries have the fields, and about the
size, of real ones: 350 bytes for a key, 1,250 for a blob with a record, its checksums and its identity.
"""

from __future__ import annotations

import base64
import re
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import overload
from urllib.parse import parse_qs, urlsplit

from airflow_s3_azure.engine.properties import CopyIdentity

FOLDER = 500
"""Keys in a folder."""
BUCKET = "bucket"
"""Of the records."""
OBJECTS_PER_PAGE, BLOBS_PER_PAGE = 1_000, 5_000
"""As S3 and Azure list them."""

_UPLOADED = datetime(2026, 1, 1, tzinfo=UTC)
_DAY_SECONDS = 86_400
_COPIES_PER_SECOND = 100


@dataclass(frozen=True, slots=True)
class Names(Sequence[str]):
    """Names of some 60 characters: folders, and next to each folder a file that is named like it.

    In the order of the names' bytes the file, whose name goes on with a dot, comes before what is in the folder; where
    the slash sorts before all other characters it comes after.

    :param is_blobs: of four keys, one has a blob of another name
    :param is_unchanged: each key has a blob of its own name, an unchanged copy
    """

    length: int
    hierarchical: bool
    is_blobs: bool = False
    is_unchanged: bool = False

    def __len__(self) -> int:
        return self.length

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice) -> list[str]: ...

    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(self.length))]
        if not 0 <= at < self.length:
            raise IndexError(at)
        number = self.number(at)
        key = self.key(number)
        return f"{key}~" if self.is_blobs and number % 4 == 3 and not self.is_unchanged else key

    @staticmethod
    def key(number: int) -> str:
        """Return the key of an object, given its number."""
        folder = f"exports/region=eu-west-1/2026/batch-{number // FOLDER:06d}"
        return f"{folder}/orders-{number:08d}.json.gz" if number % FOLDER else f"{folder}.manifest.json"

    def number(self, at: int) -> int:
        """Return the number of an object, given its position in the listing."""
        if not self.hierarchical:
            return at
        first = at - at % FOLDER
        last = min(first + FOLDER, self.length) - 1
        return first if at == last else at + 1


def _uploaded(number: int) -> datetime:
    return _UPLOADED + timedelta(seconds=number % _DAY_SECONDS)


def _http_date(when: datetime) -> str:
    return format_datetime(when, usegmt=True)


def object_page(names: Names, start: int) -> bytes:
    """Return a page of S3, from a position on."""
    stop = min(start + OBJECTS_PER_PAGE, len(names))
    entries = []
    for at in range(start, stop):
        number = names.number(at)
        when = _uploaded(number)
        entries.append(
            f"<Contents><Key>{names[at].replace('=', '%3D')}</Key><LastModified>{when:%Y-%m-%dT%H:%M:%S}.000Z"
            f"</LastModified><ETag>&quot;{number:032x}&quot;</ETag><ChecksumAlgorithm>CRC64NVME</ChecksumAlgorithm>"
            f"<ChecksumType>FULL_OBJECT</ChecksumType><Size>{20_000 + number % 1_000}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>"
        )
    more = f"<NextContinuationToken>{stop}</NextContinuationToken>" if stop < len(names) else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>bucket</Name><Prefix></Prefix>{more}<KeyCount>{stop - start}</KeyCount><MaxKeys>1000</MaxKeys>"
        f"<EncodingType>url</EncodingType><IsTruncated>{'true' if more else 'false'}</IsTruncated>"
        f"{''.join(entries)}</ListBucketResult>"
    ).encode()


def blob_page(names: Names, start: int) -> bytes:
    """Return a page of Azure, from a position on. Of four blobs, two are unchanged copies, or all."""
    stop = min(start + BLOBS_PER_PAGE, len(names))
    entries = []
    for at in range(start, stop):
        number = names.number(at)
        size, etag = 20_000 + number % 1_000, number if number % 4 < 2 or names.is_unchanged else number + 1
        copied = _http_date(_UPLOADED + timedelta(days=1, seconds=number // _COPIES_PER_SECOND))
        crc64 = base64.b64encode((number * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "big")).decode()
        identity = CopyIdentity(BUCKET, names.key(number), names[at])
        entries.append(
            f"<Blob><Name>{names[at]}</Name><Properties><Creation-Time>{copied}</Creation-Time>"
            f"<Last-Modified>{copied}</Last-Modified><Etag>0x{number:015X}</Etag><Content-Length>{size}</Content-Length>"
            "<Content-Type>application/octet-stream</Content-Type><Content-Encoding /><Content-Language /><Content-CRC64 />"
            "<Content-MD5 /><Cache-Control /><Content-Disposition /><BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier>"
            "<AccessTierInferred>true</AccessTierInferred><LeaseStatus>unlocked</LeaseStatus><LeaseState>available</LeaseState>"
            "<ServerEncrypted>true</ServerEncrypted></Properties>"
            f"<Metadata><s3_source_etag>{etag:032x}</s3_source_etag><s3_source_size>{size}</s3_source_size>"
            f"<s3_source_last_modified>{_http_date(_uploaded(number))}</s3_source_last_modified>"
            f"<s3_source_checksum>CRC64NVME:{crc64}</s3_source_checksum><s3_source_identity>{identity}</s3_source_identity>"
            f"<s3_source_crc64nvme>{crc64}</s3_source_crc64nvme></Metadata><OrMetadata /></Blob>"
        )
    marker = f"<NextMarker>{stop}</NextMarker>" if stop < len(names) else "<NextMarker />"
    return (
        '\ufeff<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="https://account.blob/" '
        f'ContainerName="container"><Blobs>{"".join(entries)}</Blobs>{marker}</EnumerationResults>'
    ).encode()


class PlanServer(BaseHTTPRequestHandler):
    """Below ``/bucket-<keys>-<order>`` a bucket, below ``/account/<keys>-<order>`` a container.

    The container stores what is read back: the runs of a sort and the manifest, but no ledger.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    latency = 0.0
    """Seconds before each page of a listing."""
    blocks: dict[str, bytes] = {}  # noqa: RUF012 - all handlers' own
    committed: dict[str, bytes] = {}  # noqa: RUF012

    def do_PUT(self) -> None:
        """Stage a block, or commit blocks."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        if "/ledger/" not in url.path and query["comp"] == ["block"]:
            self.blocks[url.path + query["blockid"][0]] = body
        elif "/ledger/" not in url.path:
            ids = re.findall(r"<Latest>([^<]+)</Latest>", body.decode())
            self.committed[url.path] = b"".join(self.blocks.pop(url.path + one) for one in ids)
        self._respond(201)

    def do_GET(self) -> None:
        """Return a page of a listing, or a range of a file."""
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if query.get("comp") == "list" or "list-type" in query:
            time.sleep(self.latency)
            self._respond(200, {"Content-Type": "application/xml"}, self._page(url.path, query))
            return
        whole = self.committed[url.path]
        first, last = re.findall(r"\d+", self.headers["x-ms-range"])
        piece = whole[int(first) : int(last) + 1]
        if not piece:
            self._respond(416, {"x-ms-error-code": "InvalidRange"})
            return
        span = f"bytes {first}-{int(first) + len(piece) - 1}/{len(whole)}"
        self._respond(206, {"Content-Range": span, "x-ms-blob-type": "BlockBlob"}, piece)

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def do_DELETE(self) -> None:
        """Delete a sorted run."""
        del self.committed[urlsplit(self.path).path]
        self._respond(202)

    def _page(self, path: str, query: Mapping[str, str]) -> bytes:
        is_blobs = "comp" in query
        count, order = path.strip("/").rsplit("/", 1)[-1].split("-")[-2:]
        names = Names(int(count), order == "hierarchical", is_blobs, order == "unchanged")
        token = query.get("marker") or query.get("continuation-token")
        after = query.get("startFrom") or query.get("start-after") or ""
        start = int(token) if token else 0 if names.hierarchical or not after else bisect_right(names, after)
        return blob_page(names, start) if is_blobs else object_page(names, start)

    def _respond(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        usual = {"ETag": '"0x1"', "x-ms-request-id": "1", "x-ms-version": "2026-02-06"}
        for name, value in {**usual, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Log nothing."""


def serve(port_to: Connection, latency: float = 0.0) -> None:
    """Send the port, then serve until the process is killed.

    :param latency: seconds before each page of a listing
    """
    PlanServer.latency = latency
    server = ThreadingHTTPServer(("127.0.0.1", 0), PlanServer)
    port_to.send(server.server_port)
    server.serve_forever()
