"""Parses untrusted XML of a server: limited depth, no document type, no entities."""

from __future__ import annotations

import xml.etree.ElementTree as ET

MAX_DEPTH = 16


class InvalidXML(ValueError):
    """A document that is not well-formed, too deep, or has a document type."""


class _LimitedBuilder(ET.TreeBuilder):
    def __init__(self) -> None:
        super().__init__()
        self._depth = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> ET.Element:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise InvalidXML(f"elements are nested more than {MAX_DEPTH} deep")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> ET.Element:
        self._depth -= 1
        return super().end(tag)

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        """Refuse a document type: only one can declare entities."""
        del name, pubid, system
        raise InvalidXML("it has a document type")


def parse_xml(data: bytes) -> ET.Element:
    """Return the root of a document. The caller limits its size.

    :raises InvalidXML: if it is not valid XML within these limits
    """
    parser = ET.XMLParser(target=_LimitedBuilder())
    try:
        parser.feed(data)
        root: ET.Element = parser.close()
    except InvalidXML:
        raise
    except (ET.ParseError, ValueError, LookupError) as error:  # an unknown encoding is a LookupError
        raise InvalidXML(f"not well-formed ({type(error).__name__})") from None
    return root
