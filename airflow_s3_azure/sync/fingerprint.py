"""The identity of a file in the untrusted container: its ETag, digest and number of lines. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from hashlib import _Hash


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The identity of the lines that a writer committed. It is passed in XCom or in memory, never in the container.

    :param etag: Azure's, of the committed blob
    :param digest: of the blob's bytes, or of a range of them; see :func:`digest_text` and :func:`range_digest_text`
    :param rows: how many lines there are
    :param size: bytes; None: unknown, because an earlier version of this package wrote them
    :param sha256: of the stored bytes, in hexadecimal; None: unknown
    """

    etag: str
    digest: str
    rows: int
    size: int | None = None
    sha256: str | None = None

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """Return the fingerprint that was :meth:`as_json`."""
        return cls(found["etag"], found["digest"], found["rows"], found.get("size"), found.get("sha256"))

    def as_json(self) -> dict[str, str | int]:
        """Return the fingerprint as XCom holds it."""
        return asdict(self)


def digest_text(digest: _Hash) -> str:
    """Return the first 24 bytes of a SHA-256 in base64: 32 characters."""
    return base64.b64encode(digest.digest()[:24]).decode("ascii")


def range_digest_text(digest: _Hash) -> str:
    """Return the first 16 bytes of a SHA-256 in base64: 22 characters, which XCom holds a thousand times.

    128 bits suffice: other lines with the digest of given ones take 2**128 attempts. Two texts with one digest take 2**64, but
    both must be known before the plan writes one of them, and replacing it changes the ETag by which it is read.
    """
    return base64.b64encode(digest.digest()[:16]).decode("ascii").rstrip("=")


def is_digest(text: str, digest: _Hash) -> bool:
    """Return whether a text is this digest, as of a file or as of a range; earlier versions wrote the longer one for both."""
    return text in (digest_text(digest), range_digest_text(digest))
