"""The options of a preflight."""

from __future__ import annotations

from dataclasses import dataclass

OPTIONAL = ("azure-rejected-block", "azure-tags", "azure-tiers", "azure-names", "server-side", "idle-connections")
"""The checks that take most of the time, or that are about what only some copies use."""


@dataclass(frozen=True, slots=True)
class PreflightOptions:
    """What a preflight reads and writes.

    :param s3_prefix: of the keys to copy: it is listed, and one object below it is read
    :param s3_key: the object to read; empty: the first one that the listing shows
    :param blob_prefix: under which the preflight writes, below a random name of its own
    :param write_source: also write one small object with a difficult key below ``s3_prefix``, and delete it
    :param skip: names of checks that are not run
    """

    s3_prefix: str = ""
    s3_key: str = ""
    blob_prefix: str = ""
    write_source: bool = False
    skip: tuple[str, ...] = ()
