"""The frozen data that a plan is made of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ListedObject:
    """One line of an S3 listing.

    :param size: bytes
    :param etag: without quotes
    :param last_modified: for a multipart upload, the time it began
    """

    key: str
    size: int
    etag: str
    last_modified: datetime
