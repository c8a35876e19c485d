"""A stand-in for Azure Blob Storage that accepts everything and keeps only names and sizes.

Only what lies under ``_s3_to_azure/`` (the manifest and the ledger of a sync) is kept, because it is read again.
Authorisation is not checked. CRC-64 values are checked only on demand, the same for all clients.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from xml.sax.saxutils import escape

from benchmarks.http_server import Body, Handler, Request, Response, Steps

KEPT = "_s3_to_azure/"
PAGE = 5000
"""Most blobs of one listing."""
TOTALS = "_totals"
"""As a container's ``comp``: how many blobs it has, and of how many bytes."""

_ID = re.compile(rb"<(Latest|Uncommitted|Committed)>([^<]*)</")
_SERVICE_HEADERS = {"x-ms-request-id": "00000000-0000-0000-0000-000000000000", "x-ms-version": "2023-11-03"}
_LAST_MODIFIED = "Thu, 01 Jan 2026 00:00:00 GMT"
_NAMED = {
    "x-ms-blob-content-type": "Content-Type",
    "x-ms-blob-content-encoding": "Content-Encoding",
    "x-ms-blob-content-language": "Content-Language",
    "x-ms-blob-content-disposition": "Content-Disposition",
    "x-ms-blob-cache-control": "Cache-Control",
    "x-ms-blob-content-md5": "Content-MD5",
}


@dataclass(slots=True)
class Content:
    """The bytes of a block or blob, of which only the number is known unless they are kept."""

    size: int
    data: bytes | None = None


@dataclass(slots=True)
class Blob:
    """A committed blob.

    :param headers: as HEAD returns them
    """

    content: Content
    etag: str
    headers: dict[str, str]
    blocks: list[tuple[str, Content]] = field(default_factory=list)


@dataclass(slots=True)
class Container:
    """What a container holds: the committed blobs, and the blocks that are staged for a name, by ID."""

    blobs: dict[str, Blob] = field(default_factory=dict)
    staged: dict[str, dict[str, Content]] = field(default_factory=dict)


class Sink:
    """The account."""

    def __init__(self, *, check: bool) -> None:
        self._check = check
        self._containers: dict[str, Container] = {}
        self._etags = itertools.count(1)
        self._actions: dict[tuple[str, str], Callable[[Request, Container, str, Content], Response]] = {
            ("PUT", ""): self._put,
            ("PUT", "block"): self._stage,
            ("PUT", "blocklist"): self._commit_blocks,
            ("GET", "blocklist"): self._list_blocks,
            ("GET", ""): self._read,
            ("HEAD", ""): self._read,
            ("DELETE", ""): self._delete,
        }

    def handle(self, request: Request, body: Body) -> Steps[Response]:
        """Handle one request, with the headers of every response of Azure."""
        response = yield from self._handle(request, body)
        return replace(response, headers={**_SERVICE_HEADERS, **response.headers})

    def _handle(self, request: Request, body: Body) -> Steps[Response]:
        content, refused = yield from self._take(request, body)
        _, _, name, *rest = (*request.path.split("/", 3), "")
        blob = rest[0] if len(request.path.split("/", 3)) > 3 else ""
        if refused is not None:
            return refused
        if not name or request.query.get("restype") == "account":
            return Response(
                200, {"x-ms-sku-name": "Standard_LRS", "x-ms-account-kind": "StorageV2"}, name="GET account"
            )
        if not blob:
            return self._on_container(request, name)
        container = self._containers.get(name)
        if container is None:
            return _error(request, 404, "ContainerNotFound")
        return self._on_blob(request, container, blob, content)

    def _take(self, request: Request, body: Body) -> Steps[tuple[Content, Response | None]]:
        """Read or drop a request's body."""
        if f"/{KEPT}" in request.path or request.query.get("comp") == "blocklist":
            return Content(body.size, (yield from body.read())), None
        if self._check:
            crc64 = base64.b64encode((yield from body.checksum()).to_bytes(8, "little")).decode()
            if request.headers.get("x-ms-content-crc64", crc64) != crc64:
                return Content(body.size), _error(request, 400, "Crc64Mismatch")
        else:
            yield from body.drop()
        return Content(body.size), None

    def _on_container(self, request: Request, name: str) -> Response:
        if request.method == "PUT":
            if name in self._containers:
                return _error(request, 409, "ContainerAlreadyExists")
            self._containers[name] = Container()
            return Response(201, self._stamp(), name="Create Container")
        container = self._containers.get(name)
        if container is None:
            return _error(request, 404, "ContainerNotFound")
        if request.method == "DELETE":
            del self._containers[name]
            return Response(202, name="Delete Container")
        if request.query.get("comp") == "list":
            return _listing(request, name, container)
        if request.query.get("comp") == TOTALS:
            sizes = [blob.content.size for path, blob in container.blobs.items() if not path.startswith(KEPT)]
            return Response(200, {}, f"{len(sizes)} {sum(sizes)}".encode())
        return Response(
            200,
            {"ETag": '"0x1"', "Last-Modified": _LAST_MODIFIED, "x-ms-lease-status": "unlocked"},
            name="Get Container Properties",
        )

    def _on_blob(self, request: Request, container: Container, name: str, content: Content) -> Response:
        action = self._actions.get((request.method, request.query.get("comp", "")))
        if action is None:
            return _error(request, 501, "NotImplemented")
        return action(request, container, name, content)

    def _put(self, request: Request, container: Container, name: str, content: Content) -> Response:
        if refused := _refused(request, container.blobs.get(name)):
            return refused
        container.staged.pop(name, None)
        return self._commit(request, container, name, content, "Put Blob")

    def _stage(self, request: Request, container: Container, name: str, content: Content) -> Response:
        container.staged.setdefault(name, {})[request.query["blockid"]] = content
        return Response(201, self._stamp() | _echo(request), name="Put Block")

    def _commit_blocks(self, request: Request, container: Container, name: str, content: Content) -> Response:
        blob = container.blobs.get(name)
        if refused := _refused(request, blob):
            return refused
        staged = container.staged.get(name, {})
        committed = dict(blob.blocks) if blob else {}
        chosen = []
        for kind, found in _ID.findall(content.data or b""):
            block = found.decode()
            block_content = {
                b"Latest": staged.get(block) or committed.get(block),
                b"Uncommitted": staged.get(block),
                b"Committed": committed.get(block),
            }[kind]
            if block_content is None:
                return _error(request, 400, "InvalidBlockList")
            chosen.append((block, block_content))
        container.staged.pop(name, None)
        data = b"".join(one.data or b"" for _, one in chosen) if name.startswith(KEPT) else None
        response = self._commit(
            request, container, name, Content(sum(one.size for _, one in chosen), data), "Put Block List"
        )
        container.blobs[name].blocks = chosen
        return response

    def _commit(self, request: Request, container: Container, name: str, content: Content, action: str) -> Response:
        headers = {"Content-Type": request.headers.get("content-type", "application/octet-stream")}
        if action == "Put Block List":
            headers["Content-Type"] = "application/octet-stream"
        if "content-md5" in request.headers and action == "Put Blob":
            headers["Content-MD5"] = request.headers["content-md5"]
        for given, value in request.headers.items():
            if given in _NAMED:
                headers[_NAMED[given]] = value
            elif given.startswith("x-ms-meta-"):
                headers[given] = value
        stamp = self._stamp()
        container.blobs[name] = Blob(content, stamp["ETag"], headers)
        return Response(201, stamp | _echo(request), name=action)

    def _list_blocks(self, request: Request, container: Container, name: str, content: Content) -> Response:
        del content
        blob, staged = container.blobs.get(name), container.staged.get(name, {})
        if blob is None and not staged:
            return _error(request, 404, "BlobNotFound")
        kind = request.query.get("blocklisttype", "committed")
        sections = [
            ("CommittedBlocks", "committed", [(block, one.size) for block, one in blob.blocks] if blob else []),
            ("UncommittedBlocks", "uncommitted", [(block, one.size) for block, one in staged.items()]),
        ]
        shown = "".join(
            f"<{tag}>"
            + "".join(f"<Block><Name>{escape(block)}</Name><Size>{size}</Size></Block>" for block, size in blocks)
            + f"</{tag}>"
            for tag, this, blocks in sections
            if kind in (this, "all")
        )
        document = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{shown}</BlockList>'.encode()
        return Response(200, {"Content-Type": "application/xml"}, document, "Get Block List")

    def _read(self, request: Request, container: Container, name: str, content: Content) -> Response:
        del content
        blob = container.blobs.get(name)
        if blob is None:
            return _error(request, 404, "BlobNotFound")
        headers = {
            **blob.headers,
            "ETag": blob.etag,
            "Last-Modified": _LAST_MODIFIED,
            "Accept-Ranges": "bytes",
            "x-ms-blob-type": "BlockBlob",
            "x-ms-lease-status": "unlocked",
            "x-ms-lease-state": "available",
            "x-ms-server-encrypted": "true",
            "x-ms-creation-time": _LAST_MODIFIED,
        }
        size = blob.content.size
        if request.method == "HEAD":
            return Response(200, {**headers, "Content-Length": str(size)}, name="HEAD blob")
        data = blob.content.data
        if data is None:
            return _error(request, 501, "NotImplemented")
        requested = re.fullmatch(
            r"bytes=(\d+)-(\d*)", request.headers.get("x-ms-range") or request.headers.get("range", "")
        )
        if requested is None:
            return Response(200, headers, data, "GET blob")
        start, stop = int(requested[1]), min(int(requested[2] or size) + 1, size)
        if start >= size:
            return _error(request, 416, "InvalidRange")
        return Response(
            206, {**headers, "Content-Range": f"bytes {start}-{stop - 1}/{size}"}, data[start:stop], "GET blob"
        )

    def _delete(self, request: Request, container: Container, name: str, content: Content) -> Response:
        del content
        blob = container.blobs.get(name)
        if refused := _refused(request, blob):
            return refused
        if blob is None:
            return _error(request, 404, "BlobNotFound")
        del container.blobs[name]
        return Response(202, name="Delete Blob")

    def _stamp(self) -> dict[str, str]:
        return {
            "ETag": f'"0x{next(self._etags):015X}"',
            "Last-Modified": _LAST_MODIFIED,
            "x-ms-request-server-encrypted": "true",
        }


def sink(*, check: bool = False) -> Handler:
    """Return what responds for an Azure account.

    :param check: refuse bodies whose CRC-64 is not the one that the request names
    """
    return Sink(check=check).handle


def _refused(request: Request, blob: Blob | None) -> Response | None:
    """Return the refusal of a request whose condition does not hold."""
    if request.headers.get("if-none-match") == "*" and blob is not None:
        return _error(request, 409, "BlobAlreadyExists")
    wanted = request.headers.get("if-match")
    if wanted is not None and (blob is None or wanted not in ("*", blob.etag)):
        return _error(request, 412, "ConditionNotMet")
    return None


def _echo(request: Request) -> dict[str, str]:
    """Return the checksum that a request named, as Azure echoes it."""
    names = {"content-md5": "Content-MD5", "x-ms-content-crc64": "x-ms-content-crc64"}
    return {name: request.headers[given] for given, name in names.items() if given in request.headers}


def _listing(request: Request, name: str, container: Container) -> Response:
    query = request.query
    prefix, delimiter, marker = query.get("prefix", ""), query.get("delimiter", ""), query.get("marker", "")
    with_metadata = "metadata" in query.get("include", "")
    most = min(int(query.get("maxresults", PAGE)), PAGE)
    shown: dict[str, str] = {}
    after = ""
    for path in sorted(path for path in container.blobs if path.startswith(prefix) and path >= marker):
        end = path.find(delimiter, len(prefix)) if delimiter else -1
        folder = path[: end + 1] if end >= 0 else ""
        if folder and folder in shown:
            continue
        if len(shown) == most:
            after = path
            break
        shown[folder or path] = (
            f"<BlobPrefix><Name>{escape(folder)}</Name></BlobPrefix>"
            if folder
            else _listed(path, container.blobs[path], with_metadata=with_metadata)
        )
    document = (
        f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="{name}">'
        f"<Prefix>{escape(prefix)}</Prefix><MaxResults>{most}</MaxResults><Blobs>{''.join(shown.values())}</Blobs>"
        f"<NextMarker>{escape(after)}</NextMarker></EnumerationResults>"
    )
    return Response(200, {"Content-Type": "application/xml"}, document.encode(), "List Blobs")


def _listed(path: str, blob: Blob, *, with_metadata: bool) -> str:
    described = {
        "Last-Modified": _LAST_MODIFIED,
        "Etag": blob.etag.strip('"'),
        "Content-Length": str(blob.content.size),
        "Content-Type": blob.headers["Content-Type"],
        "Content-MD5": blob.headers.get("Content-MD5", ""),
        "BlobType": "BlockBlob",
        "LeaseStatus": "unlocked",
        "LeaseState": "available",
    }
    properties = "".join(f"<{tag}>{escape(value)}</{tag}>" for tag, value in described.items())
    metadata = "".join(
        f"<{tag}>{escape(value)}</{tag}>"
        for tag, value in (
            (header.removeprefix("x-ms-meta-"), value)
            for header, value in blob.headers.items()
            if header.startswith("x-ms-meta-")
        )
    )
    return (
        f"<Blob><Name>{escape(path)}</Name><Properties>{properties}</Properties>"
        + (f"<Metadata>{metadata}</Metadata>" if with_metadata else "")
        + "</Blob>"
    )


def _error(request: Request, status: int, code: str) -> Response:
    document = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
    body = b"" if request.method == "HEAD" else document.encode()
    headers = {"x-ms-error-code": code, "Content-Type": "application/xml"}
    return Response(
        status, headers, body, f"{request.method} refused" if status != 404 else f"{request.method} missing"
    )
