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
    :param storage_class: S3's name of it, such as ``STANDARD`` or ``GLACIER``
    """

    key: str
    size: int
    etag: str
    last_modified: datetime
    storage_class: str = "STANDARD"
