"""The XML documents of block lists: of Put Block List, and of Get Block List. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element

from airflow_s3_azure.engine.blocks import MAX_BLOCK_SIZE
from airflow_s3_azure.engine.model import StagedBlock
from airflow_s3_azure.engine.xml import InvalidXML, parse_xml

MAX_STAGED = 100_000
"""Uncommitted blocks that Azure keeps for one blob."""
MAX_BLOCK_LIST = MAX_STAGED * 160
"""Bytes of the longest list of staged blocks: an ID of 64 bytes is 88 characters, and its tags and size 51."""
_SIZE = re.compile("[0-9]{1,10}")


def base64_id(block_id: str) -> str:
    """Return a block ID as requests and documents have it: base64."""
    return base64.b64encode(block_id.encode("ascii")).decode("ascii")


def write_block_list(block_ids: Iterable[str]) -> bytes:
    """Return the document that commits these blocks, in this order."""
    names = "".join(f"<Latest>{base64_id(block_id)}</Latest>" for block_id in block_ids)
    return f'<?xml version="1.0" encoding="utf-8"?><BlockList>{names}</BlockList>'.encode()


def read_staged_blocks(document: bytes) -> list[StagedBlock]:
    """Return the uncommitted blocks of a list, including those of other tools.

    :raises InvalidXML: if it is not such a list
    """
    root = parse_xml(document)
    if root.tag != "BlockList":
        raise InvalidXML("it is not a block list")
    elements = root.findall("UncommittedBlocks/Block")
    if len(elements) > MAX_STAGED:
        raise InvalidXML(f"it has more than {MAX_STAGED:,} blocks")
    return [_read_block(element) for element in elements]


def _read_block(element: Element) -> StagedBlock:
    name, size = element.findtext("Name", ""), element.findtext("Size", "")
    try:
        block_id = base64.b64decode(name, validate=True)
    except (binascii.Error, ValueError):  # ValueError: characters that are not ASCII
        block_id = b""
    if not block_id:
        raise InvalidXML("a block has no valid ID")
    if _SIZE.fullmatch(size) is None or int(size) > MAX_BLOCK_SIZE:
        raise InvalidXML("a block has no valid size")
    return StagedBlock(block_id, int(size))
