"""Parses the XML documents of S3, within limits."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from airflow_s3_azure.engine.xml import InvalidXML, parse_xml

MAX_DOCUMENT = 1024 * 1024
"""Bytes. The longest document that S3 sends here, the tags of an object, has about 10 KiB."""

MAX_PAGE = 16 * 1024 * 1024
"""Bytes. The longest page of a listing, 1,000 keys of 1,024 bytes that are percent-encoded, has about 4 MiB."""


def parse_document(data: bytes, root: str) -> ET.Element:
    """Return the root of a document.

    :param root: its name, without a namespace
    :raises InvalidXML: if it is too long, has another root, or is not XML
    """
    if len(data) > MAX_DOCUMENT:
        raise InvalidXML(f"it has more than {MAX_DOCUMENT:,} bytes")
    element = parse_xml(data)
    if element.tag.rpartition("}")[2] != root:
        raise InvalidXML(f"its root is not {root!r}")
    return element
