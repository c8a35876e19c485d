"""Which of the listed objects a sync is about. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.sync.days import DayRange
from airflow_s3_azure.sync.objects import ListedObject


def glob_pattern(glob: str) -> re.Pattern[str]:
    """Return the pattern of a glob over a whole key.

    ``*`` stays within one ``/`` level, ``**`` does not, ``**/`` is any number of levels, ``?`` is one character of a level; all else is itself.
    """
    parts = re.split(r"((?:^|(?<=/))\*\*/|\*\*|\*|\?)", glob)
    regex = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(regex.get(part, re.escape(part)) for part in parts), re.DOTALL)


@dataclass(frozen=True, slots=True)
class Selection:
    """A choice among listed objects. What it leaves out is not part of the sync and not in its ledger.

    :param include: globs over the whole key, of which one must match; empty: all do
    :param exclude: globs over the whole key, of which none may match
    :param modified_since: aware; objects last modified at this time or later
    :param modified_before: aware; objects last modified before this time
    :param min_size: bytes; objects of this size or more
    :param max_size: bytes; objects of this size or less
    :param storage_classes: S3's names, of which the object must have one; empty: any
    :param days: the day that is written in the key must be one of these; None: any key
    :raises ConfigurationError: if a time is naive, or the limits are the wrong way round
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    modified_since: datetime | None = None
    modified_before: datetime | None = None
    min_size: int = 0
    max_size: int | None = None
    storage_classes: Sequence[str] = ()
    days: DayRange | None = None
    _include: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)
    _exclude: tuple[re.Pattern[str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_include", tuple(map(glob_pattern, self.include)))
        object.__setattr__(self, "_exclude", tuple(map(glob_pattern, self.exclude)))
        for name, value in (("modified_since", self.modified_since), ("modified_before", self.modified_before)):
            if value is not None and value.tzinfo is None:
                raise ConfigurationError(f"{name} is {value.isoformat()}, without a time zone; add one, such as +00:00")
        if self.modified_since and self.modified_before and self.modified_since >= self.modified_before:
            raise ConfigurationError(
                f"modified_since ({self.modified_since}) is not before modified_before ({self.modified_before}): "
                "no object can be selected"
            )
        if self.max_size is not None and self.min_size > self.max_size:
            raise ConfigurationError(
                f"min_size ({self.min_size:,}) is above max_size ({self.max_size:,}): no object can be selected"
            )

    def __contains__(self, item: ListedObject) -> bool:
        if self.modified_since is not None and item.last_modified < self.modified_since:
            return False
        if self.modified_before is not None and item.last_modified >= self.modified_before:
            return False
        if item.size < self.min_size or (self.max_size is not None and item.size > self.max_size):
            return False
        if self.storage_classes and item.storage_class not in self.storage_classes:
            return False
        if self.days is not None and item.key not in self.days:
            return False
        if self._include and not any(pattern.fullmatch(item.key) for pattern in self._include):
            return False
        return not any(pattern.fullmatch(item.key) for pattern in self._exclude)


def is_folder_marker(item: ListedObject) -> bool:
    """Tell whether an object only stands for a folder: no bytes, and a key that ends in ``/``."""
    return item.size == 0 and item.key.endswith("/")
