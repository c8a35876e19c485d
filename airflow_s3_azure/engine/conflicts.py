"""Blobs that no copy can overwrite, and how listings and HEAD requests show them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Conflict = Literal["archived", "append_blob", "page_blob", "directory"]
"""Why no copy can overwrite what has a blob's name."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a conflict means.

    :param what: what has the blob's name
    :param remedy: what a user can do
    """

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}"


_OTHER_TYPE = "delete it, or copy to another name"
CONFLICTS: Mapping[Conflict, Meaning] = {
    "archived": Meaning(
        "the blob is in the archive tier, where it cannot be overwritten",
        "rehydrate or delete it, or copy to another name",
    ),
    "append_blob": Meaning("there is an append blob of this name", _OTHER_TYPE),
    "page_blob": Meaning("there is a page blob of this name", _OTHER_TYPE),
    "directory": Meaning(
        "a directory has the blob's name (the account has a hierarchical namespace)",
        "rename or delete it, or copy to another name",
    ),
}
_OF_TYPES: Mapping[str, Conflict] = {"AppendBlob": "append_blob", "PageBlob": "page_blob"}


def conflict_of(blob_type: str, access_tier: str) -> Conflict | None:
    """Return the conflict of a blob, which is not a directory; None: a copy can overwrite it.

    :param blob_type: such as ``BlockBlob``; empty: unknown
    :param access_tier: such as ``Hot``; empty: unknown
    """
    return "archived" if access_tier == "Archive" else _OF_TYPES.get(blob_type)
