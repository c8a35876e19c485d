"""Reads a page of a listing of blobs: the document of List Blobs, with metadata. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from urllib.parse import unquote
from xml.etree.ElementTree import Element

from airflow_s3_azure.engine.checksums import CRC64, SOURCE_CHECKSUM
from airflow_s3_azure.engine.conflicts import Conflict, conflict_of
from airflow_s3_azure.engine.model import BlobState
from airflow_s3_azure.engine.properties import SIZE, SourceRecord, http_date
from airflow_s3_azure.engine.quoting import quote_text
from airflow_s3_azure.engine.xml import InvalidXML, parse_xml
from airflow_s3_azure.sync.page import (
    PLACE,
    PLAIN_TEXT,
    TEXT,
    MalformedPage,
    OtherForm,
    Page,
    check_rest,
    parse_page,
    rest_of,
    text_of,
    text_of_page,
)

BlobEntry = tuple[str, BlobState]
"""A blob's name and state."""

_START, _END, _END_OF_PROPERTIES = "<Blob>", "</Blob>", "</Properties>"
_RECORD = "|".join(
    f"{name}>{value}</s3_source_{name}>"
    for name, value in {
        "etag": f"({PLAIN_TEXT})",
        "size": f"({SIZE})",
        "version_id": f"({PLAIN_TEXT})",
        "last_modified": PLAIN_TEXT,
        "checksum": f"({SOURCE_CHECKSUM})",
        "identity": f"({PLAIN_TEXT})",
        "crc64nvme": f"({CRC64})",
    }.items()
)
"""One of the fields of a :class:`SourceRecord` in metadata, as this package writes it, in any order."""


def _properties(group: int) -> str:
    """Return the pattern of properties other than a blob's type and tier; the group has the last one's name."""
    return rf"(?:<(?!BlobType[ >/]|AccessTier[ >/])([A-Za-z][A-Za-z0-9-]*)(?:>{PLAIN_TEXT}</\{group}>| ?/>))*"


_HEAD = re.compile(
    f"<Blob><Name>({TEXT})</Name><Properties>(?:<Creation-Time>{PLAIN_TEXT}</Creation-Time>)?"
    f"<Last-Modified>({PLAIN_TEXT})</Last-Modified><Etag>([!-%'-;=?-~]{{1,256}})</Etag>"
    f"<Content-Length>({SIZE})</Content-Length>"
)
"""The beginning of an entry."""
_PROPERTIES = re.compile(
    f"{_properties(1)}<BlobType>({PLAIN_TEXT})</BlobType>{_properties(3)}"
    f"(?:<AccessTier>({PLAIN_TEXT})</AccessTier>{_properties(5)})?"
)
"""The properties after the beginning."""
_MAX_PROPERTIES = 4 * 1024
"""Characters; Azure writes some 500. Some of them are kept in memory."""
_MD5 = re.compile("<Content-MD5>[A-Za-z0-9+/]{22}==</Content-MD5>")
_REST = re.compile(
    f"{_END_OF_PROPERTIES}"
    f"(?:<Metadata>(?:(?:<s3_source_(?:{_RECORD}))*+|(.*))</Metadata>|<Metadata ?/>)?(?:<OrMetadata ?/>)?",
    re.DOTALL,
)
"""An entry after its properties, without its end tag. If its metadata is more than a record, only the group of all metadata counts."""
_METADATA = re.compile(rf"<([A-Za-z_][A-Za-z0-9_]*)>({TEXT})</\1>")
_VALID_ETAG = re.compile("[!-~]{1,256}")
_VALID_SIZE = re.compile(SIZE)


def read_blobs(document: bytes, *, with_directories: bool = False) -> Page[BlobEntry]:
    """Return the page in a document.

    :param with_directories: also return the directories of a hierarchical namespace, which are listed as blobs; their state
        has the conflict ``"directory"``
    :raises MalformedPage: if it is no page of a listing, or an entry is not complete
    """
    try:
        listed, rest = _split(document)
        root = parse_xml(rest)
        check_rest(root.findall(f"Blobs/{PLACE}"), root.findall("Blobs/Blob"))
    except (OtherForm, MalformedPage, InvalidXML, UnicodeDecodeError):
        root = parse_page(document)
        listed = [_parsed_entry(element) for element in root.iterfind("Blobs/Blob")]
    if root.tag != "EnumerationResults" or root.find("Blobs") is None:
        raise MalformedPage(f"its root is {quote_text(root.tag, 80)!r}, or it has no element Blobs")
    blobs = [one for one in listed if one[1].conflict != "directory"]
    entries = listed if with_directories else blobs
    return Page(
        [name for name, _ in entries],
        entries,
        root.findtext("NextMarker", "") or None,
        is_hierarchical=len(blobs) < len(listed),
    )


def _split(document: bytes) -> tuple[list[BlobEntry], bytes]:
    """Return the entries, and the document without them.

    :raises ValueError: if the parser must read it: it has another encoding, no entry, or one in another form
    """
    text = text_of_page(document)
    first = position = max(text.find(_START), 0)
    entries: list[BlobEntry] = []
    while (end := text.find(_END, position)) >= 0:
        entries.append(_read_entry(text, position, end))
        position = end + len(_END)
    if not entries:
        raise OtherForm
    return entries, rest_of(text, first, position)


def _read_entry(text: str, start: int, stop: int) -> BlobEntry:
    """Return the entry in this range of a document's text, which ends before the end tag.

    :raises ValueError: if it is in another form
    """
    head = _HEAD.match(text, start, stop)
    if head is None:
        raise OtherForm
    name, time, etag, size = head.groups()
    end_of_properties = text.find(_END_OF_PROPERTIES, head.end(), stop)
    rest = _REST.fullmatch(text, max(end_of_properties, start), stop)
    if rest is None or end_of_properties - head.end() > _MAX_PROPERTIES:
        raise OtherForm
    conflict = _conflict(_MD5.sub("", text[head.end() : end_of_properties], 1))
    source_etag, source_size, version_id, checksum, identity, crc64nvme, metadata = rest.groups()
    record = None
    if metadata is not None:
        conflict, record = _of_metadata(_read_metadata(metadata), conflict)
    elif source_etag and source_size:  # as in SourceRecord.from_metadata
        record = SourceRecord(source_etag, int(source_size), version_id, None, checksum, identity, crc64nvme)
    name = text_of(name)
    return name, BlobState(_quoted(etag), int(size), _modified(name, time), record, conflict)


@lru_cache(maxsize=256)
def _conflict(properties: str) -> Conflict | None:
    """Return the conflict that the properties of a blob show. Without an MD5, nearly all blobs of a page have the same ones.

    :raises OtherForm: if they are in another form
    """
    found = _PROPERTIES.fullmatch(properties)
    if found is None:
        raise OtherForm
    blob_type, tier = found[2], found[4] or ""
    return None if blob_type == "BlockBlob" and tier != "Archive" else conflict_of(blob_type, tier)


def _read_metadata(text: str) -> Mapping[str, str]:
    """Return metadata, given as ``<name>value</name><name>value</name>``.

    :raises OtherForm: if it is in another form
    """
    # What is between two pairs, a name and a value, again and again.
    parts = _METADATA.split(text)
    if any(parts[::3]):
        raise OtherForm
    found = dict(zip(parts[1::3], parts[2::3], strict=True))
    return {name: text_of(value) for name, value in found.items()} if "&" in text else found


def _parsed_entry(element: Element) -> BlobEntry:
    """Return an entry.

    :raises MalformedPage: if it has no name or no time, or its ETag or size is not valid
    """
    name = _name(element)
    time, etag, size = (
        element.findtext(f"Properties/{field}", "") for field in ("Last-Modified", "Etag", "Content-Length")
    )
    if not (_VALID_ETAG.fullmatch(etag) and _VALID_SIZE.fullmatch(size)):
        raise MalformedPage(f"name {quote_text(name)!r}, size {quote_text(size, 40)!r}, ETag {quote_text(etag, 80)!r}")
    conflict = conflict_of(element.findtext("Properties/BlobType", ""), element.findtext("Properties/AccessTier", ""))
    metadata = {one.tag: one.text or "" for one in element.iterfind("Metadata/*")}
    conflict, record = _of_metadata(metadata, conflict)
    return name, BlobState(_quoted(etag), int(size), _modified(name, time), record, conflict)


def _name(element: Element) -> str:
    name = element.find("Name")
    if name is None:
        return ""
    # Azure encodes names with characters that XML cannot hold (U+FFFE and U+FFFF), and marks them.
    return unquote(name.text or "") if name.get("Encoded") == "true" else name.text or ""


def _of_metadata(metadata: Mapping[str, str], conflict: Conflict | None) -> tuple[Conflict | None, SourceRecord | None]:
    """Return what the metadata of an entry shows: whether it is a directory, and its record."""
    is_directory = any(value == "true" and name.lower() == "hdi_isfolder" for name, value in metadata.items())
    return "directory" if is_directory else conflict, SourceRecord.from_metadata(metadata)


def _modified(name: str, time: str) -> datetime:
    """Return when an entry was last modified.

    :raises MalformedPage: if it has no name or no time
    """
    modified = _http_date(time)
    if not name or modified is None:
        raise MalformedPage(f"name {quote_text(name)!r}, time {quote_text(time, 40)!r}")
    return modified


def _quoted(etag: str) -> str:
    return etag if etag[0] == '"' else f'"{etag}"'


_http_date = lru_cache(maxsize=1_024)(http_date)
"""Many of a page's blobs were written in the same second."""
