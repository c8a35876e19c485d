"""Reads a page of an S3 listing: the document of ListObjectsV2, requested with ``EncodingType=url`` and, of archived objects,
the status of their restore (``OptionalObjectAttributes=RestoreStatus``). Pure.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from datetime import datetime
from urllib.parse import unquote_plus
from xml.etree.ElementTree import Element

from airflow_s3_azure.engine.quoting import quote_text
from airflow_s3_azure.engine.s3.identifiers import read_etag
from airflow_s3_azure.engine.xml import InvalidXML, parse_xml
from airflow_s3_azure.sync.listed_object import ListedObject, Restore
from airflow_s3_azure.sync.page import (
    PLACE,
    PLAIN_TEXT,
    MalformedPage,
    OtherForm,
    Page,
    check_rest,
    parse_page,
    rest_of,
    text_of_page,
)

_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,15}(?:Z|[+-][0-9]{2}:?[0-9]{2})"
_SIZE = r"[0-9]{1,18}"
_ETAG = r"[\x21\x23-\x25\x27-\x3b\x3d\x3f-\x7e]{1,1024}"
_RESTORE = r"(?:<RestoreStatus>((?:<([A-Za-z]+)>[0-9A-Za-z:.+-]*</\%d>)*)</RestoreStatus>)?"
_ENTRY = re.compile(
    rf"<Contents><Key>({PLAIN_TEXT})</Key><LastModified>({_TIME})</LastModified>"
    rf"<ETag>(&quot;|&#34;|\"|)(?!W/)({_ETAG})\3</ETag>"
    rf"(?:<(ChecksumAlgorithm|ChecksumType)>{PLAIN_TEXT}</\5>)*{_RESTORE % 7}"
    rf"<Size>({_SIZE})</Size>(?:<StorageClass>({PLAIN_TEXT})</StorageClass>)?{_RESTORE % 11}</Contents>"
)
_IN_PROGRESS = re.compile(r"<IsRestoreInProgress>([a-z]*)</IsRestoreInProgress>")
_VALID_SIZE = re.compile(_SIZE)
_VALID_TIME = re.compile(_TIME)

Fields = tuple[str, str, str, str, str, Restore]
"""Key, time, ETag (without quotes), size, storage class and restore of an entry; time, ETag and size are valid."""


def read_objects(document: bytes) -> Page[ListedObject]:
    """Return the page in a document.

    :raises MalformedPage: if it is no page of a listing, or an entry is not complete
    """
    try:
        fields, rest = _split(document)
        root = parse_xml(rest)
        check_rest(root.findall(f"{{*}}{PLACE}"), root.findall("{*}Contents"))
    except (OtherForm, InvalidXML, UnicodeDecodeError):
        root = parse_page(document)
        fields = [_fields(element) for element in root.iterfind("{*}Contents")]
    if root.tag.rpartition("}")[2] != "ListBucketResult":
        raise MalformedPage(f"its root is {quote_text(root.tag, 80)!r}")
    entries = _objects(fields, is_encoded=root.findtext("{*}EncodingType", "") == "url")
    return Page([one.key for one in entries], entries, _next_token(root))


def _split(document: bytes) -> tuple[list[Fields], bytes]:
    """Return the fields of the entries, and the document without them.

    :raises OtherForm: if it is in another encoding, or no entry is in the form of the service
    """
    text = text_of_page(document)
    first = position = max(text.find("<Contents>"), 0)
    fields: list[Fields] = []
    while (match := _ENTRY.match(text, position)) is not None:
        position = match.end()
        key, time, _, etag, _, before, _, size, storage_class, after, _ = match.groups("")
        status = before + after
        restore = _restore(_IN_PROGRESS.findall(status)) if status else ""
        fields.append((key, time, etag, size, storage_class, restore))
    if not fields:
        raise OtherForm
    return fields, rest_of(text, first, position)


def _next_token(root: Element) -> str | None:
    """Return the token for the next page; None: there is none.

    :raises MalformedPage: if the page does not show which: the keys of the next one would count as deleted
    """
    truncated, token = root.findtext("{*}IsTruncated"), root.findtext("{*}NextContinuationToken", "")
    if truncated is None and token:
        raise MalformedPage("it has a token for the next page, but no IsTruncated")
    truncated = "false" if truncated is None else truncated.strip()
    if truncated not in ("true", "false"):
        raise MalformedPage(f"IsTruncated is {quote_text(truncated, 40)!r}")
    if truncated == "true" and not token:
        raise MalformedPage("it is truncated, but has no token for the next page")
    return token if truncated == "true" else None


def _fields(element: Element) -> Fields:
    """Return the fields of an entry.

    :raises MalformedPage: if its ETag or size is not valid
    """
    found = {one.tag.rpartition("}")[2]: one.text or "" for one in element}
    key, time, quoted_etag, size = (found.get(name, "") for name in ("Key", "LastModified", "ETag", "Size"))
    etag = read_etag(quoted_etag)
    if etag is None or _VALID_SIZE.fullmatch(size) is None or _VALID_TIME.fullmatch(time) is None:
        raise MalformedPage(
            f"key {quote_text(key)!r}, size {quote_text(size, 40)!r}, ETag {quote_text(quoted_etag, 80)!r}, "
            f"time {quote_text(time, 40)!r}"
        )
    status = [one.text or "" for one in element.iterfind("{*}RestoreStatus/{*}IsRestoreInProgress")]
    return key, time, etag, size, found.get("StorageClass", ""), _restore(status)


def _restore(in_progress: list[str]) -> Restore:
    """Return the restore of an object, given the values of IsRestoreInProgress: none if it was not requested."""
    if in_progress == ["true"]:
        return "ongoing"
    return "done" if in_progress == ["false"] else ""


def _objects(fields: Sequence[Fields], *, is_encoded: bool) -> list[ListedObject]:
    """Return the entries.

    :raises MalformedPage: if one has no key, or a time that does not exist
    """
    keys = [one[0] for one in fields]
    names = _decoded(keys) if is_encoded else keys
    if not all(names):
        raise MalformedPage("an entry has no key")
    try:
        return [
            ListedObject(
                name, int(size), etag, datetime.fromisoformat(time), sys.intern(storage_class or "STANDARD"), restore
            )
            for name, (_, time, etag, size, storage_class, restore) in zip(names, fields, strict=True)
        ]
    except ValueError as error:
        raise MalformedPage(f"a time is none: {quote_text(str(error), 80)}") from None


def _decoded(keys: list[str]) -> list[str]:
    """Return keys without the encoding of ``EncodingType=url``.

    :raises MalformedPage: if one is not UTF-8
    """
    try:
        # One call for all keys is faster than one for each, but keys with line breaks need one each.
        decoded = unquote_plus("\n".join(keys), errors="strict").split("\n")
        return decoded if len(decoded) == len(keys) else [unquote_plus(key, errors="strict") for key in keys]
    except UnicodeDecodeError:
        raise MalformedPage("a key is not UTF-8") from None
