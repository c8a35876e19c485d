"""One page of a listing, and how its document is read. Pure.

A listing is mostly XML. A parser creates an object for each of the up to 30 elements of an entry, at several times the cost of
reading the few fields of interest. So entries in the form that the services write are taken out of the document as text, and
the XML parser reads the rest. If any entry has another form, the parser reads the whole document. Both give the same page.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Generic, TypeVar
from xml.etree.ElementTree import Element
from xml.sax.saxutils import unescape

from airflow_s3_azure.engine.xml import InvalidXML, parse_xml

Entry = TypeVar("Entry")

_OTHER_ENCODING = re.compile(rb"""<\?xml[^>]*\sencoding\s*=\s*["'](?!utf-8["'])""", re.IGNORECASE)
_CONTROL = bytes(set(range(0x20)) - set(b"\t\n"))
_QUOTES = {"&quot;": '"', "&apos;": "'"}


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


def parse_page(document: bytes) -> Element:
    """Return the root of a document.

    :raises MalformedPage: if it is not XML
    """
    try:
        return parse_xml(document)
    except InvalidXML as error:
        raise MalformedPage(str(error)) from None


def check_characters(document: bytes) -> None:
    """Check that the characters of a document are those of its bytes in UTF-8.

    :raises OtherForm: if it declares another encoding, or has control characters, which XML refuses or replaces
    """
    if _OTHER_ENCODING.match(document, 0, 200) or len(document.translate(None, _CONTROL)) < len(document):
        raise OtherForm


def text_of(escaped: str) -> str:
    """Return the text of an element without children.

    :raises OtherForm: if it has more than text and the five named entities
    """
    if "&" not in escaped:
        return escaped
    if "&#" in escaped:
        raise OtherForm
    return unescape(escaped, _QUOTES)
