"""From an S3 key to a blob name. Pure. Which names are refused: :mod:`airflow_s3_azure.engine.azure.blob_names`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from string import Formatter
from urllib.parse import quote, unquote

from airflow_s3_azure.engine.azure.blob_names import MAX_NAME, RESERVED, is_reserved
from airflow_s3_azure.engine.errors import ConfigurationError

_ESCAPED = re.compile(r"[%\\\x00-\x1f\x7f-\x9f\ufffe\uffff]")
_STRFTIME = re.compile(r"(?:[^%{}]|%-?[A-Za-z%])+")
"""A directive may have a width in C, which makes names of any length."""
_FIELDS = ("key", "folder", "name", "stem", "extension", "last_modified")
_PATTERNS = {"key": ".+", "folder": "(?:.*/)?", "name": "[^/]*", "stem": "[^/]*", "extension": r"(?:\.[^./]*)?"}
"""What the fields of a template match, apart from the time."""
_WHOLE_KEYS = (("key",), ("folder", "name"), ("folder", "stem", "extension"))
"""Fields that make up a key."""
_DIGITS = {"Y": 4, "G": 4, "j": 3, "f": 6, "u": 1, "w": 1} | dict.fromkeys("CdgHImMSUVWy", 2)
"""Directives of ``strftime`` that are written as so many digits, or, with ``-``, as fewer."""
_TIME_PATTERNS = {
    "%": "%",
    "D": r"\d{2}/\d{2}/\d{2}",
    "F": r"\d{4}-\d{2}-\d{2}",
    "R": r"\d{2}:\d{2}",
    "T": r"\d{2}:\d{2}:\d{2}",
    "s": r"\d{1,12}",
}
_OTHER_TIME = ".{1,40}?"
"""Pattern of any other directive, such as the name of a month. It is bounded, because names are untrusted, and several may follow each other."""


@dataclass(frozen=True, slots=True)
class Naming:
    """How keys become blob names.

    Either ``strip_prefix`` is removed from the front and ``blob_prefix`` put before the rest; both are plain text, not
    folders, so include the slash. Or ``template`` defines the name, with the fields

    * ``{key}``: the whole key, ``a/b/report.2026.csv``
    * ``{folder}``: up to and including its last slash, ``a/b/``; empty if it has none
    * ``{name}``: what follows, ``report.2026.csv``
    * ``{stem}`` and ``{extension}``: the name before its last dot, ``report.2026``, and from it on, ``.csv``
    * ``{last_modified:%Y/%m/%d}``: when the object was last modified, in UTC, in any format of ``strftime``

    :param rename: percent-encode the characters that Azure refuses, and each ``%``; ``urllib.parse.unquote`` reverses it
    :raises ConfigurationError: if the template has other fields, or comes together with a prefix, or if
        all names would be below the reserved prefix
    """

    blob_prefix: str = ""
    strip_prefix: str = ""
    template: str = ""
    rename: bool = False
    _fields: tuple[tuple[str, str | None, str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.template and (self.blob_prefix or self.strip_prefix):
            raise ConfigurationError(
                "blob_template cannot be combined with blob_prefix or strip_prefix; give one or the other"
            )
        object.__setattr__(self, "_fields", tuple(_parse(self.template)))
        front = self._fields[0][0] if self._fields else self.blob_prefix
        if "/" in front and is_reserved(front):
            raise ConfigurationError(
                f"blob names would begin with {front!r}, but {RESERVED}/ is reserved for manifests and ledgers; choose "
                "another blob_prefix or blob_template"
            )

    @property
    def keeps_order(self) -> bool:
        """Whether blob names sort as their keys do."""
        return not self.template and not self.rename

    @property
    def needs_time(self) -> bool:
        """Whether names depend on when an object was last modified."""
        return any(name == "last_modified" for _, name, _ in self._fields)

    @property
    def keeps_keys_apart(self) -> bool:
        """Whether each name contains the key's whole path, so that two keys never get the same name."""
        fields = {name for _, name, _ in self._fields}
        return not self.template or "key" in fields or ("folder" in fields and bool(fields & {"name", "stem"}))

    def name(self, key: str, last_modified: datetime | None = None) -> str:
        """Return the blob name for a key. With prefixes, different keys get different names.

        :param last_modified: for a template that asks for it
        :raises ConfigurationError: if the key does not begin with ``strip_prefix``
        """
        name = self._from_template(key, last_modified) if self.template else self._from_prefixes(key)
        return _renamed(name) if self.rename else name

    def key_of(self, name: str) -> str | None:
        """Return the key that gets this name. The inverse of :meth:`name`.

        :return: None: no key does, or the template has not all parts of a key
        """
        name = unquote(name) if self.rename else name
        if not self.template:
            return self.strip_prefix + name[len(self.blob_prefix) :] if name.startswith(self.blob_prefix) else None
        if (found := _pattern(self._fields).fullmatch(name)) is None:
            return None
        parts = found.groupdict()
        for together in _WHOLE_KEYS:
            if parts.keys() >= set(together):
                return "".join(parts[one] for one in together)
        return None

    def common_prefix(self, s3_prefix: str) -> str:
        """Return the common prefix of the blob names of all keys under a prefix; other blobs may have it too."""
        shared = self._shared(s3_prefix)
        if not self.rename:
            return shared
        # Whether a trailing dot or slash is renamed depends on the next character.
        return _renamed(shared + "x")[: -2 if shared.endswith((".", "/")) else -1]

    def covers(self, name: str, s3_prefix: str) -> bool:
        """Return whether a blob with the common prefix can be a copy of a key under ``s3_prefix``."""
        return not self.rename or unquote(name).startswith(self._shared(s3_prefix))

    def separates(self, s3_prefix: str) -> bool:
        """Return whether no key outside ``s3_prefix`` can get a name with the common prefix."""
        if not self.template:
            return True
        return self._shared(s3_prefix) == self._fields[0][0] + s3_prefix

    def _shared(self, s3_prefix: str) -> str:
        """Return the common prefix before renaming."""
        if not self.template:
            return self._from_prefixes(s3_prefix)
        literal, name, _ = self._fields[0]
        return literal + {"key": s3_prefix, "folder": s3_prefix[: s3_prefix.rfind("/") + 1]}.get(name or "", "")

    def _from_prefixes(self, key: str) -> str:
        if not key.startswith(self.strip_prefix):
            raise ConfigurationError(f"key {key!r} does not begin with strip_prefix {self.strip_prefix!r}")
        return self.blob_prefix + key[len(self.strip_prefix) :]

    def _from_template(self, key: str, last_modified: datetime | None) -> str:
        folder, slash, name = key.rpartition("/")
        stem, dot, extension = name.rpartition(".")
        if not stem:  # no dot, or one in front
            stem, dot, extension = name, "", ""
        values = {"key": key, "folder": folder + slash, "name": name, "stem": stem, "extension": dot + extension}
        parts = []
        for literal, wanted, spec in self._fields:
            parts.append(literal)
            if wanted == "last_modified":
                if last_modified is None:
                    raise ConfigurationError(
                        f"blob_template {self.template!r} needs last_modified, which is unknown here"
                    )
                parts.append(last_modified.astimezone(UTC).strftime(spec))
            elif wanted is not None:
                parts.append(values[wanted])
        return "".join(parts)


def _parse(template: str) -> Iterator[tuple[str, str | None, str]]:
    """Yield the template's parts: literal text, the field after it (None at the end), the field's format."""
    if len(template) > MAX_NAME:
        raise ConfigurationError(
            f"blob_template has {len(template):,} characters; a blob name has at most {MAX_NAME:,}"
        )
    try:
        pieces = list(Formatter().parse(template))
    except ValueError as error:
        raise ConfigurationError(f"blob_template {template!r} is not a template: {error}") from None
    for literal, name, spec, conversion in pieces:
        if name is not None and (name not in _FIELDS or conversion):
            known = ", ".join(f"{{{one}}}" for one in _FIELDS)
            raise ConfigurationError(f"blob_template {template!r} has the field {{{name}}}; there are {known}")
        if name == "last_modified" and not spec:
            raise ConfigurationError("blob_template needs a format for last_modified, as {last_modified:%Y/%m/%d}")
        if name == "last_modified" and _STRFTIME.fullmatch(spec or "") is None:
            raise ConfigurationError(
                f"blob_template {template!r} has the format {spec!r}; it takes text and strftime's directives, such as "
                "%Y or %-d, without a width"
            )
        if name not in (None, "last_modified") and spec:
            raise ConfigurationError(f"blob_template {template!r}: the field {{{name}}} takes no format")
        yield literal, name, spec or ""


@lru_cache(maxsize=16)
def _pattern(fields: tuple[tuple[str, str | None, str], ...]) -> re.Pattern[str]:
    """Return the pattern of the names that a template makes, with a group for each field of the key."""
    pattern, known = "", set()
    for literal, name, spec in fields:
        pattern += re.escape(literal)
        if name == "last_modified":
            pattern += _pattern_of_time(spec)
        elif name in known:
            pattern += f"(?P={name})"
        elif name is not None:
            known.add(name)
            pattern += f"(?P<{name}>{_PATTERNS[name]})"
    return re.compile(pattern, re.DOTALL)


def _pattern_of_time(spec: str) -> str:
    """Return the pattern of a time in a format of ``strftime``."""
    pieces = re.split("(%-?[A-Za-z%])", spec)
    return "".join(_pattern_of_directive(one) if place % 2 else re.escape(one) for place, one in enumerate(pieces))


def _pattern_of_directive(directive: str) -> str:
    if width := _DIGITS.get(directive[-1]):
        return rf"\d{{1,{width}}}" if directive[1] == "-" else rf"\d{{{width}}}"
    return _TIME_PATTERNS.get(directive[-1], _OTHER_TIME)


def _renamed(name: str) -> str:
    """Return the name with the characters that Azure refuses percent-encoded, and each ``%`` too."""
    escaped = _ESCAPED.sub(lambda match: quote(match[0], safe=""), name)
    segments = [one[:-1] + "%2E" if one.endswith(".") else one for one in escaped.split("/")]
    whole = "/".join(segments)
    return whole[:-1] + "%2F" if whole.endswith("/") else whole
