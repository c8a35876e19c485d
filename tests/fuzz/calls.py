"""The calls whose responses are mutated, and an independent judge of what each of them returned.

The judge reads a response with h11, and reports what is wrong with a call that counts it as a success. It is no second
implementation of the translators: it knows what must hold whenever a call returns.
"""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import h11
import requests
from azure.core.pipeline import Pipeline
from azure.core.pipeline.transport import HttpRequest

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.azure.requests import ContainerAddress
from airflow_s3_azure.engine.azure.transport import ConnectionsTransport
from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.checksums import RunningChecksums
from airflow_s3_azure.engine.http.client import Connections
from airflow_s3_azure.engine.model import BlobContent, Precondition, SourceObject
from airflow_s3_azure.engine.s3.source import S3Source
from tests.fuzz import recorded

_READ_SECONDS = 1.0
_SOURCE = SourceObject(key="key", size=256, etag=recorded.ETAG)
_HALF = Block(0, 0, 128)


class Clients:
    """The real source and the real container, over real sockets."""

    def __init__(self, url: str) -> None:
        cancellation = Cancellation()
        self.source = S3Source(
            "bucket",
            lambda operation, parameters: f"{url}/bucket/{parameters.get('Key', '')}?operation={operation}",
            requests.Session(),
            cancellation,
            connect_timeout=5,
            read_timeout=_READ_SECONDS,
        )
        connections = Connections(requests.Session(), cancellation, connect_timeout=5, read_timeout=_READ_SECONDS)
        pipeline: Pipeline[HttpRequest, Any] = Pipeline(ConnectionsTransport(connections), [])
        self.container = BlobContainer(ContainerAddress(f"{url}/account/container"), pipeline, cancellation)
        self.buffer = memoryview(bytearray(256))


@dataclass(frozen=True, slots=True)
class Message:
    """A response as h11 reads it, if it can.

    :param is_complete: whether the body arrived to its end
    """

    status: int = 0
    headers: dict[str, list[str]] = field(default_factory=dict)
    body: bytes = b""
    is_complete: bool = False

    def only(self, name: str) -> str | None:
        """Return the value of a header that was sent once; else None."""
        values = self.headers.get(name, [])
        return values[0] if len(values) == 1 else None


def read_with_h11(method: str, data: bytes) -> Message | None:
    """Return a response as h11 reads it before the connection is closed; None if it is malformed to h11."""
    client = h11.Connection(h11.CLIENT, max_incomplete_event_size=2**20)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    client.send(h11.EndOfMessage())
    status, headers, body = 0, dict[str, list[str]](), bytearray()
    try:
        client.receive_data(data)
        is_closed = False
        while True:
            match client.next_event():
                case h11.Response() as response:
                    status = response.status_code
                    for name, value in response.headers:
                        headers.setdefault(name.decode(), []).append(value.decode("latin-1"))
                case h11.Data() as piece:
                    body += piece.data
                case h11.EndOfMessage():
                    return Message(status, headers, bytes(body), is_complete=True)
                case h11.NEED_DATA if not is_closed:
                    client.receive_data(b"")
                    is_closed = True
                case h11.InformationalResponse():
                    continue
                case _:
                    return Message(status, headers, bytes(body))
    except h11.RemoteProtocolError:
        return Message(status, headers, bytes(body)) if status else None


@dataclass(frozen=True, slots=True)
class Call:
    """A call, the responses that it may get, and what must hold if it returns.

    :param right: returns nothing if the result is right by the response that was sent; else what is wrong
    """

    name: str
    method: str
    run: Callable[[Clients], Any]
    responses: list[bytes]
    right: Callable[[Any, Message, Clients], str | None]


def _first(*checks: tuple[object, str]) -> str | None:
    """Return the reason of the first check that does not hold."""
    return next((text for holds, text in checks if not holds), None)


def _right_object(found: SourceObject, sent: Message, _: Clients) -> str | None:
    return _first(
        (sent.status == 200, "the status is not 200"),
        (found.size == _number(sent.only("content-length")), "the size is not the Content-Length"),
        (
            found.etag != "" and sent.only("etag") in {found.etag, f'"{found.etag}"'},
            "the ETag is not the one that was sent",
        ),
        (
            found.checksum is None or _is_sent(found.checksum.value, found.checksum.algorithm, sent),
            "the checksum is not the one that was sent",
        ),
    )


def _is_sent(value: int, algorithm: str, sent: Message) -> bool:
    text = (sent.only(f"x-amz-checksum-{algorithm.lower()}") or "").partition("-")[0]
    return int.from_bytes(base64.b64decode(text)) == value


def _read_range(clients: Clients) -> Any:
    return clients.source.read(_SOURCE, _HALF, clients.buffer[:128], lambda count: None)


def _right_range(found: Any, sent: Message, clients: Clients) -> str | None:
    data = clients.buffer[:128]
    expected = RunningChecksums(None)
    expected.add(data)
    return _first(
        (sent.status == 206, "the status is not 206"),
        (sent.only("etag") == f'"{recorded.ETAG}"', "the ETag is not the requested one"),
        (sent.only("content-range") == "bytes 0-127/256", "the range is not the requested one"),
        (sent.body == data, "the bytes are not the body that was sent"),
        (found == expected.of_block(), "the checksums are not those of the bytes"),
    )


def _read_whole(clients: Clients) -> Any:
    return clients.source.read_whole("key", recorded.ETAG, None, clients.buffer, lambda count: None)


def _right_whole(found: Any, sent: Message, clients: Clients) -> str | None:
    return _right_object(found, sent, clients) or _first(
        (found.etag == recorded.ETAG, "the ETag is not the requested one"),
        (sent.body == clients.buffer, "the bytes are not the body that was sent"),
    )


def _number(text: str | None) -> int | None:
    """Return the value of a Content-Length; zeros in front count for nothing."""
    return int(text) if text and text.isdecimal() else None


def _right_tags(found: Any, sent: Message, _: Clients) -> str | None:
    try:
        tags = [one for one in ET.fromstring(sent.body).iter() if one.tag.rpartition("}")[2] == "Tag"]
    except (ET.ParseError, ValueError, LookupError):
        return "the document is not XML"
    return _first(
        (sent.status == 200, "the status is not 200"),
        (sent.is_complete, "the document is not complete"),
        (found == {one.findtext("{*}Key", ""): one.findtext("{*}Value", "") for one in tags}, "these are other tags"),
    )


def _azure(sent: Message, status: int) -> str | None:
    """Return why a response is no success of Azure."""
    return _first(
        (sent.status == status, f"the status is not {status}"),
        (any(sent.headers.get("x-ms-request-id", [])), "it has no x-ms-request-id, so it is not Azure's"),
        (re.fullmatch("[0-9-]{10}", sent.only("x-ms-version") or ""), "it has no x-ms-version, so it is not Azure's"),
    )


def _missing(sent: Message) -> str | None:
    codes = sent.headers.get("x-ms-error-code", [])
    return _first(
        (sent.status == 404, "the status is not 404"),
        # Azurite sends no version with its errors, a busy front end of Azure no ID.
        (
            bool({"x-ms-request-id", "x-ms-error-code"} & set(sent.headers)),
            "it has no x-ms- header, so it is not Azure's",
        ),
        (not any(code.startswith("Container") for code in codes), "the container is missing, not the blob"),
    )


def _right_blob(found: Any, sent: Message, _: Clients) -> str | None:
    if found is None:
        return _missing(sent)
    return _azure(sent, 200) or _first(
        (bool(found.etag) and found.etag == sent.only("etag"), "the ETag is not the one that was sent"),
        (found.size == _number(sent.only("content-length")), "the size is not the Content-Length"),
    )


def _right_crc(sent: Message) -> str | None:
    if "x-ms-content-crc64" not in sent.headers:
        return None
    crc = base64.b64decode(sent.only("x-ms-content-crc64") or "")
    return _first((crc == recorded.CRC64.to_bytes(8, "little"), "Azure received other bytes"))


def _right_write(found: Any, sent: Message, _: Clients) -> str | None:
    is_etag = bool(found) and found == sent.only("etag")
    return _azure(sent, 201) or _right_crc(sent) or _first((is_etag, "the ETag is not the one that was sent"))


def _right_commit(found: Any, sent: Message, _: Clients) -> str | None:
    return _azure(sent, 201) or _first(
        (bool(found) and found == sent.only("etag"), "the ETag is not the one that was sent")
    )


def _right_stage(_: Any, sent: Message, __: Clients) -> str | None:
    return _azure(sent, 201) or _right_crc(sent)


def _right_list(found: Any, sent: Message, _: Clients) -> str | None:
    if sent.status == 404:
        return _missing(sent) or _first((found == [], "blocks of a blob that is missing"))
    try:
        blocks = list(ET.fromstring(sent.body).iterfind("UncommittedBlocks/Block"))
        expected = [(base64.b64decode(one.findtext("Name", "")), int(one.findtext("Size", ""))) for one in blocks]
    except (ET.ParseError, ValueError, LookupError):
        return "the document cannot be read"
    return _azure(sent, 200) or _first(
        (sent.is_complete, "the document is not complete"),
        (
            [(one.name if isinstance(one.name, bytes) else one.name.encode(), one.size) for one in found] == expected,
            "these are other blocks",
        ),
    )


def _right_delete(_: Any, sent: Message, __: Clients) -> str | None:
    return _missing(sent) if sent.status == 404 else _azure(sent, 202)


_CONTENT = BlobContent({"content-type": "text/csv"}, {"owner": "ops"})
_NEW = Precondition(None)
_DATA = memoryview(recorded.BODY)


def _right_part(found: Any, sent: Message, _: Clients) -> str | None:
    size = _number(sent.only("content-length"))
    return _first(
        (sent.status in {200, 206}, "the status is neither 200 nor 206"),
        (sent.only("etag") == f'"{recorded.ETAG}"', "the ETag is not the requested one"),
        (
            found is None or (found == size and sent.only("x-amz-mp-parts-count") == "2"),
            "the size is not the part's",
        ),
    )


CALLS = [
    Call(
        "s3 head",
        "HEAD",
        lambda it: it.source.head("key"),
        [recorded.S3_HEAD] * 4 + [recorded.S3_HEAD_MISSING],
        _right_object,
    ),
    Call("s3 part", "HEAD", lambda it: it.source.part_size(_SOURCE), [recorded.S3_PART], _right_part),
    Call("s3 range", "GET", _read_range, [recorded.S3_RANGE] * 16 + recorded.S3_ERRORS, _right_range),
    Call("s3 whole", "GET", _read_whole, [recorded.S3_WHOLE] * 16 + recorded.S3_ERRORS, _right_whole),
    Call("s3 tags", "GET", lambda it: it.source.tags("key"), [recorded.S3_TAGS] * 16 + recorded.S3_ERRORS, _right_tags),
    Call(
        "azure head",
        "HEAD",
        lambda it: it.container.head("blob"),
        [recorded.AZURE_HEAD] * 3 + [recorded.AZURE_HEAD_MISSING],
        _right_blob,
    ),
    Call(
        "azure put",
        "PUT",
        lambda it: it.container.put("blob", _DATA, recorded.CRC64, _CONTENT, _NEW),
        [recorded.AZURE_PUT, recorded.AZURE_PUT_WITHOUT_CRC] * 8 + recorded.AZURE_ERRORS,
        _right_write,
    ),
    Call(
        "azure stage",
        "PUT",
        lambda it: it.container.stage("blob", recorded.BLOCK_ID, _DATA, recorded.CRC64),
        [recorded.AZURE_STAGE] * 16 + recorded.AZURE_ERRORS,
        _right_stage,
    ),
    Call(
        "azure list",
        "GET",
        lambda it: it.container.staged("blob"),
        [recorded.AZURE_LIST, recorded.AZURE_LIST_WITH_BOM] * 8 + [recorded.AZURE_MISSING] * 3 + recorded.AZURE_ERRORS,
        _right_list,
    ),
    Call(
        "azure commit",
        "PUT",
        lambda it: it.container.commit("blob", [recorded.BLOCK_ID], _CONTENT, _NEW),
        [recorded.AZURE_PUT_WITHOUT_CRC] * 16 + recorded.AZURE_ERRORS,
        _right_commit,
    ),
    Call(
        "azure delete",
        "DELETE",
        lambda it: it.container.delete("blob", recorded.BLOB_ETAG),
        [recorded.AZURE_DELETE] * 16 + recorded.AZURE_ERRORS,
        _right_delete,
    ),
]
