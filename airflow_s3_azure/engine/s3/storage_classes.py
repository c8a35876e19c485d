"""The storage classes of S3. Pure."""

from __future__ import annotations

GENERAL_PURPOSE_CLASSES = frozenset(
    {
        "STANDARD",
        "REDUCED_REDUNDANCY",
        "STANDARD_IA",
        "ONEZONE_IA",
        "INTELLIGENT_TIERING",
        "GLACIER",
        "GLACIER_IR",
        "DEEP_ARCHIVE",
    }
)
"""The storage classes of general purpose buckets. Elsewhere (S3 Express One Zone, Outposts, FSx) an ETag of 32
hexadecimal digits need not be an MD5."""

ARCHIVE_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""The storage classes whose objects must be restored before they can be read. Intelligent-Tiering moves objects into archive
tiers of its own, which no listing shows."""
