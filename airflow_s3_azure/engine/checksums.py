"""CRCs of blocks, their combination, and their text in S3 and Azure.

Theory of operation: Azure's ``x-ms-content-crc64`` and S3's ``x-amz-checksum-crc64nvme`` are the same function
(CRC-64/NVME); S3 writes the value big-endian, Azure little-endian. The CRC of a concatenation follows from the CRCs and
the lengths of its pieces: crc(A‖B) = combine(crc(A), crc(B), len(B)), and combining is associative. So the CRCs that Azure
checked for each block combine, in order and without another read, to the CRC that S3 stored for the whole object.

A composite checksum is a CRC of CRCs: of the parts' checksums, concatenated. The same combination gives each part's
checksum, if no block crosses the end of a part.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from awscrt import checksums as _crt

Algorithm = Literal["CRC64NVME", "CRC32", "CRC32C"]
"""The algorithms whose values for blocks combine to the value for the object."""

ChecksumType = Literal["FULL_OBJECT", "COMPOSITE"]
"""Whether a stored checksum is of the object's bytes, or of the checksums of its parts: S3's own names."""

Verified = Literal["crc64nvme", "crc32", "crc32c", "composite-crc32", "composite-crc32c", "md5", "blocks", "transport"]
"""What an object was verified by: a checksum that S3 stored; ``blocks``: only each block's CRC, between worker and Azure;
``transport``: Azure read a block from S3 itself, and only TLS and the response's length protected it."""

_WIDTHS: dict[Algorithm, int] = {"CRC64NVME": 8, "CRC32": 4, "CRC32C": 4}
_HEADER = "x-amz-checksum-"
_STORED_AS = {algorithm: f"{_HEADER}{algorithm.lower()}" for algorithm in _WIDTHS}
"""The headers in which S3 returns them, the strongest first."""
_SHA = ("SHA256", "SHA1")
"""Checksums that are recorded but verify nothing here, because they cannot be combined."""


def _base64_pattern(width: int) -> str:
    """Return the pattern of the base64 of ``width`` bytes, in its only canonical spelling: unused bits are zero."""
    digits, padding = -(-width * 8 // 6), -width % 3
    last = {1: "[AEIMQUYcgkosw048]", 2: "[AQgw]"}[padding]
    return f"[A-Za-z0-9+/]{{{digits - 1}}}{last}{'=' * padding}"


CRC64 = _base64_pattern(8)
"""Pattern of a CRC-64/NVME as :func:`s3_text` writes it, without a group."""
SOURCE_CHECKSUM = (
    f"(?:CRC64NVME:{_base64_pattern(8)}|CRC32C?:{_base64_pattern(4)}|SHA256:{_base64_pattern(32)}"
    f"|SHA1:{_base64_pattern(20)})(?:-[1-9][0-9]{{0,4}})?"
)
"""Pattern of a checksum as :func:`source_checksum` writes it, without a group."""
_CRC64, _SOURCE_CHECKSUM = re.compile(CRC64), re.compile(SOURCE_CHECKSUM)
_PARTS = re.compile("[1-9][0-9]{0,4}")
"""S3 takes 10,000 parts. Python refuses to parse numbers of more than 4,300 digits."""
_COMPUTE: dict[Algorithm, Callable[[memoryview, int], int]] = {
    "CRC64NVME": cast("Callable[[memoryview, int], int]", _crt.crc64nvme),
    "CRC32": cast("Callable[[memoryview, int], int]", _crt.crc32),
    "CRC32C": cast("Callable[[memoryview, int], int]", _crt.crc32c),
}
_COMBINE: dict[Algorithm, Callable[[int, int, int], int]] = {
    "CRC64NVME": _crt.combine_crc64nvme,
    "CRC32": _crt.combine_crc32,
    "CRC32C": _crt.combine_crc32c,
}


@dataclass(frozen=True, slots=True)
class StoredChecksum:
    """A checksum that S3 stored at upload.

    :param algorithm: how it was computed
    :param value: the value as a number
    :param parts: 0: of the whole object; else composite: of the checksums of this many parts, one after the other
    """

    algorithm: Algorithm
    value: int
    parts: int = 0

    def __str__(self) -> str:
        suffix = f"-{self.parts}" if self.parts else ""
        return f"{self.algorithm}:{s3_text(self.algorithm, self.value)}{suffix}"

    @property
    def verifies(self) -> Verified:
        """The ``verified`` value of a result that this checksum verified."""
        return cast("Verified", ("composite-" if self.parts else "") + self.algorithm.lower())


@dataclass(frozen=True, slots=True)
class BlockChecksums:
    """The CRCs of one block.

    :param size: bytes the block holds
    :param crc64: CRC-64/NVME
    :param crc32: CRC-32 or CRC-32C where the source's stored checksum is one, else 0
    """

    size: int
    crc64: int
    crc32: int = 0


def compute(algorithm: Algorithm, data: memoryview) -> int:
    """Return the checksum of ``data`` as a number."""
    return _COMPUTE[algorithm](data, 0)


class RunningChecksums:
    """The CRCs of a block while it arrives: CRC-64/NVME for Azure, and the 32-bit one that ``stored`` needs, if any.

    Adding each piece while it is in the processor's cache costs a third of adding the whole block later.
    """

    def __init__(self, stored: StoredChecksum | None) -> None:
        self._algorithm = None if stored is None or stored.algorithm == "CRC64NVME" else stored.algorithm
        self._size = self._crc64 = self._crc32 = 0

    def add(self, piece: memoryview) -> None:
        """Add the next bytes of the block."""
        self._size += len(piece)
        self._crc64 = _COMPUTE["CRC64NVME"](piece, self._crc64)
        if self._algorithm is not None:
            self._crc32 = _COMPUTE[self._algorithm](piece, self._crc32)

    def of_block(self) -> BlockChecksums:
        """Return the CRCs of what was added."""
        return BlockChecksums(size=self._size, crc64=self._crc64, crc32=self._crc32)


def checksum_block(data: memoryview, stored: StoredChecksum | None) -> BlockChecksums:
    """Return the CRCs of a block: CRC-64/NVME for Azure, and the 32-bit one that ``stored`` needs, if any."""
    running = RunningChecksums(stored)
    running.add(data)
    return running.of_block()


def combine(algorithm: Algorithm, blocks: Iterable[BlockChecksums]) -> int:
    """Return the checksum of the concatenated blocks from the blocks' own checksums, without reading them."""
    total = 0  # all three algorithms give 0 for no bytes
    for block in blocks:
        value = block.crc64 if algorithm == "CRC64NVME" else block.crc32
        total = _COMBINE[algorithm](total, value, block.size)
    return total


def combine_parts(algorithm: Algorithm, blocks: Iterable[BlockChecksums], part_size: int) -> int:
    """Return the composite checksum of an object that was uploaded in parts of ``part_size`` bytes.

    That is the checksum of the parts' checksums, concatenated in big-endian order. No block may cross the end of a part.
    """
    parts: list[int] = []
    part: list[BlockChecksums] = []
    for block in blocks:
        part.append(block)
        if sum(one.size for one in part) >= part_size:
            parts.append(combine(algorithm, part))
            part = []
    if part:
        parts.append(combine(algorithm, part))
    written = b"".join(value.to_bytes(_WIDTHS[algorithm], "big") for value in parts)
    return compute(algorithm, memoryview(written))


def azure_text(crc64: int) -> str:
    """Return a CRC-64/NVME as Azure's ``x-ms-content-crc64`` has it: base64, little-endian."""
    return binascii.b2a_base64(crc64.to_bytes(8, "little"), newline=False).decode("ascii")


def read_azure_text(text: str) -> int | None:
    """Return the CRC-64/NVME of a text as :func:`azure_text` writes it, or None if it is malformed."""
    try:
        raw = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
    return int.from_bytes(raw, "little") if len(raw) == _WIDTHS["CRC64NVME"] else None


def s3_text(algorithm: Algorithm, value: int) -> str:
    """Return a checksum as S3 writes it: base64, big-endian."""
    return binascii.b2a_base64(value.to_bytes(_WIDTHS[algorithm], "big"), newline=False).decode("ascii")


def read_crc64(text: str | None) -> str | None:
    """Return a CRC-64/NVME as :func:`s3_text` writes it, or None if the text is another one."""
    return text if text is not None and _CRC64.fullmatch(text) else None


def read_source_checksum(text: str | None) -> str | None:
    """Return a checksum as :func:`source_checksum` writes it, or None if the text is another one."""
    return text if text is not None and _SOURCE_CHECKSUM.fullmatch(text) else None


def checksum_type(text: str | None) -> ChecksumType | None:
    """Return the type of a :func:`source_checksum`; None if there is none."""
    if text is None:
        return None
    return "COMPOSITE" if "-" in text else "FULL_OBJECT"


def source_checksum(headers: Mapping[str, str], usable: StoredChecksum | None) -> str | None:
    """Return the strongest checksum that S3 stored, as ``str(StoredChecksum)`` writes it, for the record of the object.

    It may be one that cannot be verified from blocks: of SHA-1 or SHA-256.

    :param headers: by their names in lower case
    :param usable: what :func:`stored_checksum` returned for them
    """
    if usable is not None:
        return str(usable)
    texts = (f"{name}:{headers.get(_HEADER + name.lower(), '')}" for name in _SHA)
    return next(filter(None, map(read_source_checksum, texts)), None)


def stored_checksum(headers: Mapping[str, str]) -> StoredChecksum | None:
    """Return the strongest usable checksum among the headers of an S3 response, or None if there is none.

    A checksum is composite if its value ends in ``-N``, the number of parts (``x-amz-checksum-type: COMPOSITE``). SHA-1
    and SHA-256 cannot be combined from blocks and are left out.

    :param headers: by their names in lower case
    """
    type_ = headers.get("x-amz-checksum-type")
    for algorithm, name in _STORED_AS.items():
        if name not in headers:
            continue
        text, _, count = headers[name].partition("-")
        try:
            raw = binascii.a2b_base64(text, strict_mode=True)
        except ValueError:
            continue
        agrees = type_ is None or (type_ == "COMPOSITE") == bool(count)
        if len(raw) == _WIDTHS[algorithm] and agrees and (_PARTS.fullmatch(count) or not count):
            return StoredChecksum(algorithm, int.from_bytes(raw, "big"), parts=int(count or 0))
    return None
