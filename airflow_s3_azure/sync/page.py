"""One page of a listing, and how its document is read. Pure.

A listing is mostly XML. A parser creates an object for each of the up to 30 elements of an entry, at several times the cost of
reading the few fields of interest. So entries in the form that the services write are taken out of the document as text, and
the XML parser reads the rest, with one element in their place. If any entry has another form, or the parser does not find that
element where entries are, it reads the whole document. Both give the same page.
"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from xml.etree.ElementTree import Element
from xml.sax.saxutils import unescape

from airflow_s3_azure.engine.xml import InvalidXML, parse_xml

Entry = TypeVar("Entry")

_OTHER_ENCODING = re.compile(r"""<\?xml[^>]*\sencoding\s*=\s*["'](?!utf-8["'])""", re.IGNORECASE)
_QUOTES = {"&quot;": '"', "&apos;": "'"}

_NOT_IN_TEXT = r"\x00-\x08\x0b-\x1f<>"
PLAIN_TEXT, TEXT = f"[^{_NOT_IN_TEXT}&]*", f"[^{_NOT_IN_TEXT}]*"
"""Patterns of the text of an element: as it is, and with what :func:`text_of` replaces. Without what XML refuses (control
characters, ``]]>``) or replaces (carriage returns)."""
PLACE = "EntriesTakenOut"
"""Name of the element in the place of the entries."""
_OTHER_REFERENCE = re.compile("&(?!(?:amp|lt|gt|quot|apos);)")


class OtherForm(ValueError):
    """An entry is not in the form that the service writes: the XML parser must read the whole document."""


class MalformedPage(ValueError):
    """A document that is no page of a listing, or has an entry that is not complete."""


@dataclass(frozen=True, slots=True)
class Page(Generic[Entry]):
    """Consecutive entries of a listing.

    :param names: of the entries
    :param next: the token for the next page; None: there is none
    :param is_hierarchical: whether it shows that the service lists in the order of a hierarchy
    """

    names: list[str]
    entries: list[Entry]
    next: str | None = None
    is_hierarchical: bool = False

    def is_sorted(self) -> bool:
        """Return whether it may be of a listing in the order of the names' UTF-8 bytes."""
        return not self.is_hierarchical and all(map(str.__le__, self.names, self.names[1:]))


def parse_page(document: bytes) -> Element:
    """Return the root of a document.

    :raises MalformedPage: if it is not XML
    """
    try:
        return parse_xml(document)
    except InvalidXML as error:
        raise MalformedPage(str(error)) from None


def text_of_page(document: bytes) -> str:
    """Return the text of a document in UTF-8, without the byte order mark and the two characters beyond ASCII that XML refuses.

    :raises OtherForm: if it declares another encoding, or has one of these characters
    :raises UnicodeDecodeError: if it is not UTF-8
    """
    # Not with the codec utf-8-sig, which copies the document.
    start = len(BOM_UTF8) if document.startswith(BOM_UTF8) else 0
    text = str(memoryview(document)[start:], "utf-8")
    if _OTHER_ENCODING.match(text, 0, 200) or "\ufffe" in text or "\uffff" in text:
        raise OtherForm
    return text


def rest_of(text: str, start: int, stop: int) -> bytes:
    """Return a document without its entries, which are all from ``start`` to ``stop``.

    :raises OtherForm: if it has an element or a text with the name that takes their place
    """
    rest = f"{text[:start]}<{PLACE}/>{text[stop:]}"
    if rest.count(PLACE) != 1:
        raise OtherForm
    return rest.encode()


def check_rest(places: Sequence[object], entries: Sequence[object]) -> None:
    """Check what the parser found in the rest of a document where entries are.

    If it found the place, all entries were there: not in a comment, a CDATA section or another element.

    :raises OtherForm: if it did not find the place, or found an entry
    """
    if len(places) != 1 or entries:
        raise OtherForm


def text_of(escaped: str) -> str:
    """Return the text of an element without children.

    :raises OtherForm: if it has a reference that is none of the five named entities
    """
    if "&" not in escaped:
        return escaped
    if _OTHER_REFERENCE.search(escaped):
        raise OtherForm
    return unescape(escaped, _QUOTES)
