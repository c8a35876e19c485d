"""Which of the listed objects a sync is about. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.sync.days import DayRange
from airflow_s3_azure.sync.listed_object import ListedObject

_SECTIONS = re.compile(r"((?:^|(?<=/))\*\*/|\*\*)")
_ANY_LEVELS = "(?:[^/]*+/)*?"


def glob_pattern(glob: str) -> re.Pattern[str]:
    """Return the pattern of a glob over a whole key. Matching takes time in proportion to glob times key, at most.

    ``*`` stays within one ``/`` level, ``**`` does not, ``**/`` is any number of levels, ``?`` is one character of a
    level; all else is itself.

    Invariant: the pattern never tries a second way through what it has matched. Between two ``**`` the match that ends
    first leaves the most to the rest, so no other is needed; within a level the same holds for the text between two
    ``*``. Atomic groups drop the other ways, and a ``**`` moves on by whole levels: where the leftmost match in a level
    fails, a later one in that level fails too.
    """
    sections = _SECTIONS.split(glob)
    pattern = ""
    for at in range(0, len(sections), 2):
        wildcard, text, is_last = sections[at - 1] if at else "", sections[at], at == len(sections) - 1
        section = _ANY_LEVELS if wildcard else ""
        section += _section_pattern(
            text, is_open_before=wildcard == "**", is_open_after=not is_last and sections[at + 1] == "**"
        )
        pattern += section if is_last else f"(?>{section})"
    return re.compile(pattern)


def _section_pattern(text: str, *, is_open_before: bool, is_open_after: bool) -> str:
    """Return the pattern of the part of a glob that has no ``**``.

    :param is_open_before: whether it may begin anywhere in a level
    :param is_open_after: whether it may end anywhere in a level; then the pattern matches as little as it can
    """
    levels = text.split("/")
    last = len(levels) - 1
    return "/".join(
        _level_pattern(level.split("*"), is_open_before and at == 0, is_open_after and at == last)
        for at, level in enumerate(levels)
    )


def _level_pattern(parts: list[str], is_open_before: bool, is_open_after: bool) -> str:
    """Return the pattern of one level, given the texts between its ``*``."""
    pattern = ""
    for at, part in enumerate(parts):
        text = "[^/]".join(map(re.escape, part.split("?")))
        if at == 0 and not is_open_before:
            pattern += text
        elif at == len(parts) - 1 and not is_open_after:
            pattern += f"(?>[^/]*{text})"  # the last place in the level, which is its end if the level ends with it
        elif text:
            pattern += f"(?>[^/]*?{text})"
    return pattern


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter of listed objects. An object that does not match is not part of the sync, and not in its ledger.

    :param include: globs over the whole key; at least one must match. Empty: all keys
    :param exclude: globs over the whole key; none may match
    :param modified_since: aware; objects last modified at this time or later
    :param modified_before: aware; objects last modified before this time
    :param min_size: bytes; objects of this size or more
    :param max_size: bytes; objects of this size or less
    :param storage_classes: the object's class must be one of these; empty: any
    :param days: the day in the key must be one of these; None: any key
    :raises ConfigurationError: if a time is naive, or a lower limit is above its upper limit
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
        if self.modified_since is not None and (item.last_modified is None or item.last_modified < self.modified_since):
            return False
        if self.modified_before is not None and (
            item.last_modified is None or item.last_modified >= self.modified_before
        ):
            return False
        if item.size < self.min_size or (self.max_size is not None and item.size > self.max_size):
            return False
        if self.storage_classes and item.storage_class not in self.storage_classes:
            return False
        return self.has_key(item.key)

    def has_key(self, key: str) -> bool:
        """Return whether an object of this key can be selected."""
        if self.days is not None and key not in self.days:
            return False
        if self._include and not any(pattern.fullmatch(key) for pattern in self._include):
            return False
        return not (self._exclude and any(pattern.fullmatch(key) for pattern in self._exclude))

    @property
    def needs_all(self) -> bool:
        """Whether it depends on the time or the storage class of an object."""
        return bool(self.modified_since or self.modified_before or self.storage_classes)


def is_folder_placeholder(item: ListedObject) -> bool:
    """Return whether an object is a folder placeholder: no bytes, and a key that ends in ``/``."""
    return item.size == 0 and item.key.endswith("/")
