"""The options of a copy: one value that passes whole from the operators to the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self, get_args

from airflow_s3_azure.engine.blocks import DEFAULT_BLOCK_SIZE, block_size_for
from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.engine.retry import RetryPolicy

AccessTier = Literal["Hot", "Cool", "Cold", "Archive"]
AccessTiers = AccessTier | Mapping[str, AccessTier] | None
"""The tier of new blobs, or tiers by the object's storage class, ``*`` for all others; None: the account's default."""
Mode = Literal["stream", "server_side"]
"""``stream``: blocks pass through this process; ``server_side``: Azure reads them from S3."""
Verify = Literal["auto", "require", "read_back"]
Archived = Literal["skip", "fail", "restore"]
"""What becomes of an archived object, which must be restored before it can be read."""
RestoreTier = Literal["Bulk", "Standard", "Expedited"]

DEFAULT_CONCURRENCY = 8

_INTERNAL = {"internal": True}
"""Marks a field that no operator takes and that is not serialized."""


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """How objects are copied.

    :param mode: ``"stream"``: blocks pass through this process; ``"server_side"``: Azure reads them from S3
    :param block_size: bytes; grows if Azure's 50,000 blocks would not suffice
    :param max_concurrency: maximum of blocks that are read at the same time
    :param max_bandwidth: maximum of bytes per second that are read from S3; None: no limit
    :param overwrite: replace a blob that is not a copy of this version of the object; False: skip it
    :param overwrite_archived: replace a blob in the archive tier too: it is deleted first, because it cannot be overwritten
    :param verify: ``"auto"`` verifies against what S3 stored, if it is usable; ``"require"`` fails if it is not;
        ``"read_back"`` is ``"auto"`` and reads resumed blocks back after the commit
    :param archived: ``"skip"`` an archived object, ``"fail"``, or ``"restore"`` it and wait
    :param restore_tier: S3's retrieval tier of a restore
    :param restore_days: for which a restored object can be read
    :param restore_poll_interval: seconds between two checks whether objects are restored
    :param copy_tags: copy the object's tags as blob index tags; costs a request per object
    :param access_tier: of the new blob, or tiers by the storage class of the object, with ``*`` for all others, such as
        ``{"GLACIER": "Archive", "*": "Cool"}``; None: the account's default
    :param encryption_scope: that encrypts the new blob; None: the container's default
    :param discard_foreign_blocks: discard conflicting blocks that another tool staged for a blob that does not exist yet;
        for a moment an empty blob is visible, and if it may not be deleted then, it stays
    :param retry: for each request
    :param retry_budget: retries of all requests of one object together; one more for every ten blocks
    :raises ConfigurationError: if a value is not valid
    """

    mode: Mode = "stream"
    block_size: int = DEFAULT_BLOCK_SIZE
    max_concurrency: int = DEFAULT_CONCURRENCY
    max_bandwidth: float | None = None
    overwrite: bool = True
    overwrite_archived: bool = False
    verify: Verify = "auto"
    archived: Archived = "fail"
    restore_tier: RestoreTier = "Bulk"
    restore_days: int = 7
    restore_poll_interval: float = 300
    copy_tags: bool = False
    access_tier: AccessTiers = None
    encryption_scope: str | None = None
    discard_foreign_blocks: bool = False
    retry: RetryPolicy = field(default_factory=RetryPolicy, metadata=_INTERNAL)
    retry_budget: int = field(default=200, metadata=_INTERNAL)

    def __post_init__(self) -> None:
        block_size_for(0, self.block_size)
        if self.max_concurrency < 1:
            raise ConfigurationError(f"max_concurrency is {self.max_concurrency}; it takes at least 1 thread")
        if self.mode not in get_args(Mode):
            raise ConfigurationError(f"mode is {self.mode!r}; it takes 'stream' or 'server_side'")
        if self.verify not in get_args(Verify):
            raise ConfigurationError(f"verify is {self.verify!r}; it takes 'auto', 'require' or 'read_back'")
        if self.archived not in get_args(Archived):
            raise ConfigurationError(f"archived is {self.archived!r}; it takes 'skip', 'fail' or 'restore'")
        check_overwrite_archived(self.overwrite_archived, overwrite=self.overwrite, mode=self.mode)
        tiers = self.access_tier.values() if isinstance(self.access_tier, Mapping) else [self.access_tier]
        if self.verify == "read_back" and "Archive" in tiers:
            raise ConfigurationError(
                "verify='read_back' cannot read blobs with access_tier='Archive'; use another tier"
            )
        if any(tier is not None and tier not in get_args(AccessTier) for tier in tiers):
            known = ", ".join(map(repr, get_args(AccessTier)))
            raise ConfigurationError(f"access_tier is {self.access_tier!r}; it takes {known} or None")

    def tier_of(self, storage_class: str) -> AccessTier | None:
        """Return the tier of the blob of an object with this storage class; None: the account's default."""
        if isinstance(self.access_tier, Mapping):
            return self.access_tier.get(storage_class, self.access_tier.get("*"))
        return self.access_tier

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """Return the options that :meth:`as_json` returned as JSON."""
        return cls(**found)

    def as_json(self) -> dict[str, Any]:
        """Return the options as JSON values, for a trigger, without internal ones."""
        return {one.name: getattr(self, one.name) for one in fields(self) if not one.metadata.get("internal")}


def check_overwrite_archived(overwrite_archived: object, *, overwrite: object, mode: object) -> None:
    """Check what ``overwrite_archived`` is combined with.

    :raises ConfigurationError: if it excludes that
    """
    if overwrite_archived is True and overwrite is False:
        raise ConfigurationError(
            "overwrite_archived is True, but overwrite is False, so no blob is replaced: leave one of them out"
        )
    if overwrite_archived is True and mode == "server_side":
        raise ConfigurationError(
            "overwrite_archived is True, but mode is 'server_side', in which an archived blob would be deleted before Azure has "
            "read anything of the object: use mode='stream'"
        )
