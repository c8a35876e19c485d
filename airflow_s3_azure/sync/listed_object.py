"""The frozen data that a plan is made of.

A plan creates one for each key, so they are structs: one is created at a fifth of the cost of a frozen dataclass, and the garbage collector
does not visit it (``gc=False``), because it refers to no container.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from airflow_s3_azure.engine.s3.storage_classes import ARCHIVE_CLASSES

Restore = Literal["", "ongoing", "done"]
"""Of an archived object: not requested, in progress, or done, so that it can be read for some days."""


class ListedObject(msgspec.Struct, frozen=True, gc=False):
    """One line of an S3 listing.

    :param size: bytes
    :param etag: without quotes
    :param last_modified: for a multipart upload, the time it began; None: unknown, which only a list of keys leaves it
    :param storage_class: S3's name of it, such as ``STANDARD`` or ``GLACIER``
    """

    key: str
    size: int
    etag: str
    last_modified: datetime | None
    storage_class: str = "STANDARD"
    restore: Restore = ""

    @property
    def is_archived(self) -> bool:
        """Whether it must be restored before it can be read, as far as a listing shows it."""
        return self.storage_class in ARCHIVE_CLASSES and self.restore != "done"


class ListedKey(ListedObject, frozen=True, gc=False):
    """A key of a list, with what the list or S3 says of its object.

    :param version_id: the version to copy; None: the current one
    :param state: ``gone``: it does not exist; ``unknown``: S3 refuses to describe it. Size and ETag are then empty
    """

    version_id: str | None = None
    state: Literal["known", "gone", "unknown"] = "known"
