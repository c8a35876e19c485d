"""Reads a page of a listing of blobs: the document of List Blobs, with metadata. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from airflow_s3_azure.engine.conflicts import Conflict, conflict_of
from airflow_s3_azure.engine.model import BlobState
from airflow_s3_azure.engine.properties import SourceRecord, http_date
from airflow_s3_azure.engine.quoting import quote_text
from airflow_s3_azure.engine.xml import InvalidXML, parse_xml
from airflow_s3_azure.sync.page import MalformedPage, OtherForm, Page, check_characters, parse_page, text_of

BlobEntry = tuple[str, BlobState]
"""A blob's name and state."""

_START, _END = b"<Blob>", b"</Blob>"
_TEXT = "[^<]*"
_ETAG = r"[!-%'-;=-~]{1,256}"
_SIZE = r"[0-9]{1,18}"
_HEAD = re.compile(
    f"<Blob><Name>({_TEXT})</Name><Properties>(?:<Creation-Time>{_TEXT}</Creation-Time>)?"
    f"<Last-Modified>({_TEXT})</Last-Modified><Etag>({_ETAG})</Etag><Content-Length>({_SIZE})</Content-Length>"
)
_METADATA = "</Properties><Metadata>"
_NO_METADATA = re.compile(r"</Properties>(?:<Metadata ?/>)?(?:<OrMetadata ?/>)?\Z")
_AFTER_METADATA = re.compile(r"</Metadata>(?:<OrMetadata ?/>)?\Z")
_VALID_ETAG = re.compile("[!-~]{1,256}")
_VALID_SIZE = re.compile(_SIZE)

_BLOB_TYPE = re.compile(f"<BlobType>({_TEXT})</BlobType>")
_ACCESS_TIER = re.compile(f"<AccessTier>({_TEXT})</AccessTier>")

_Fields = tuple[str, str, str, str, Conflict | None, Mapping[str, str]]
"""Name, time, ETag, size, conflict and metadata of an entry; time, ETag and size are text, the latter two are valid."""


def read_blobs(document: bytes, *, with_directories: bool = False) -> Page[BlobEntry]:
    """Return the page in a document.

    :param with_directories: also return the directories of a hierarchical namespace, which are listed as blobs; their state
        has the conflict ``"directory"``
    :raises MalformedPage: if it is no page of a listing, or an entry is not complete
    """
    try:
        fields, rest = _split(document)
        root = parse_xml(rest)
        if root.find("Blobs/Blob") is not None:
            raise OtherForm
    except (OtherForm, InvalidXML, UnicodeDecodeError):
        root = parse_page(document)
        fields = [_fields(element) for element in root.iterfind("Blobs/Blob")]
    if root.tag != "EnumerationResults" or root.find("Blobs") is None:
        raise MalformedPage(f"its root is {quote_text(root.tag, 80)!r}, or it has no element Blobs")
    entries = [(one[0], _state(one)) for one in fields if not _is_directory(one[-1])]
    is_hierarchical = len(entries) < len(fields)
    if is_hierarchical and with_directories:
        entries = [(one[0], _state(_with_directory_marked(one))) for one in fields]
    return Page(
        [name for name, _ in entries],
        entries,
        root.findtext("NextMarker", "") or None,
        is_hierarchical=is_hierarchical,
    )


def _with_directory_marked(fields: _Fields) -> _Fields:
    return (*fields[:4], "directory", fields[-1]) if _is_directory(fields[-1]) else fields


def _split(document: bytes) -> tuple[list[_Fields], bytes]:
    """Return the fields of the entries, and the document without them.

    :raises OtherForm: if it is in another encoding, or an entry is in another form
    """
    check_characters(document)
    start = position = max(document.find(_START), 0)
    fields: list[_Fields] = []
    while document.startswith(_START, position):
        end = document.find(_END, position)
        if end < 0:
            raise OtherForm
        fields.append(_read_entry(document[position:end].decode()))
        position = end + len(_END)
    return fields, document[:start] + document[position:]


def _read_entry(text: str) -> _Fields:
    """Return the fields of an entry, which is given without its end tag.

    :raises OtherForm: if it is in another form
    """
    head = _HEAD.match(text)
    if head is None:
        raise OtherForm
    name, time, etag, size = head.groups()
    end = text.find("</Properties>", head.end())
    metadata: Mapping[str, str] = {}
    if text.startswith(_METADATA, end):
        first = end + len(_METADATA)
        last = text.find("</Metadata>", first)
        if _AFTER_METADATA.match(text, last) is None:
            raise OtherForm
        metadata = _read_metadata(text[first:last])
    elif _NO_METADATA.match(text, end) is None:
        raise OtherForm
    return text_of(name), time, etag, size, _conflict(text, head.end(), end), metadata


def _conflict(text: str, start: int, stop: int) -> Conflict | None:
    """Return the conflict of an entry whose properties end in ``[start, stop)``."""
    # Two searches for the millions of blobs that have none.
    if text.find("<BlobType>BlockBlob<", start, stop) >= 0 and text.find("<AccessTier>Archive<", start, stop) < 0:
        return None
    blob_type, tier = _BLOB_TYPE.search(text, start, stop), _ACCESS_TIER.search(text, start, stop)
    return conflict_of(blob_type[1] if blob_type else "", tier[1] if tier else "")


def _read_metadata(text: str) -> dict[str, str]:
    """Return metadata, given as ``<name>value</name><name>value</name>``.

    :raises OtherForm: if it is in another form
    """
    before, *tags = text.split("<")
    if before or len(tags) % 2:
        raise OtherForm
    found: dict[str, str] = {}
    for start, end in zip(tags[::2], tags[1::2], strict=True):
        name, _, value = start.partition(">")
        if end != f"/{name}>":
            raise OtherForm
        found[name] = value
    return {name: text_of(value) for name, value in found.items()} if "&" in text else found


def _fields(element: Element) -> _Fields:
    """Return the fields of an entry.

    :raises MalformedPage: if its ETag or size is not valid
    """
    name = _name(element)
    time, etag, size = (
        element.findtext(f"Properties/{field}", "") for field in ("Last-Modified", "Etag", "Content-Length")
    )
    if not (_VALID_ETAG.fullmatch(etag) and _VALID_SIZE.fullmatch(size)):
        raise MalformedPage(f"name {quote_text(name)!r}, size {quote_text(size, 40)!r}, ETag {quote_text(etag, 80)!r}")
    conflict = conflict_of(element.findtext("Properties/BlobType", ""), element.findtext("Properties/AccessTier", ""))
    return name, time, etag, size, conflict, {one.tag: one.text or "" for one in element.iterfind("Metadata/*")}


def _name(element: Element) -> str:
    name = element.find("Name")
    if name is None:
        return ""
    # Azure encodes names with characters that XML cannot hold (U+FFFE and U+FFFF), and marks them.
    return unquote(name.text or "") if name.get("Encoded") == "true" else name.text or ""


def _is_directory(metadata: Mapping[str, str]) -> bool:
    return "true" in metadata.values() and any(
        value == "true" and field.lower() == "hdi_isfolder" for field, value in metadata.items()
    )


def _state(fields: _Fields) -> BlobState:
    """Return the state of a blob.

    :raises MalformedPage: if it has no name or no time
    """
    name, time, etag, size, conflict, metadata = fields
    modified = http_date(time)
    if not name or modified is None:
        raise MalformedPage(f"name {quote_text(name)!r}, time {quote_text(time, 40)!r}")
    quoted = etag if etag[0] == '"' else f'"{etag}"'
    return BlobState(quoted, int(size), modified, SourceRecord.from_metadata(metadata), conflict)
