"""Reads values of arguments: the value itself, or the text that a template rendered. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from airflow_s3_azure.engine.azure.blob_names import why_invalid_container
from airflow_s3_azure.engine.blocks import MAX_BLOCK_SIZE
from airflow_s3_azure.engine.errors import ConfigurationError

_NOTHING = ("", "None")
"""Text that an empty template renders to."""
SMALLEST_BLOCK = 64 * 1024
"""Bytes. Smaller blocks are dominated by request latency: 3 MB in blocks of 1,000 bytes were copied at 0.3 MiB/s."""
SOONEST_SECONDS = 15
"""The least time that a task stays deferred. Airflow's supervisor may notice a deferral 5 s late, and the scheduler fails a task
that runs again before that (seen on 3.3.2)."""
_UNITS = {"B": 1} | {
    f"{letter}{middle}B": base**power
    for power, letter in enumerate("KMGTP", 1)
    for middle, base in (("", 1000), ("I", 1024))
}
_SIZE = re.compile(r"(\d[\d_]*(?:\.\d+)?(?:e\d+)?)\s*([a-z]*)", re.IGNORECASE)
_TOO_MUCH = Decimal("1e40")
"""Bytes. Python refuses to write numbers of more than 4,300 digits, as in an error."""
_SHA256 = re.compile("[0-9a-f]{64}")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")


def strings(name: str, value: Sequence[str] | None) -> Sequence[str]:
    """Return a list of texts; one text holds one on each line. Empty ones, as an empty template gives, are left out.

    :raises ConfigurationError: if it is a list that a template turned into text
    """
    if not isinstance(value, str):
        return [one for one in value or () if one.strip() not in _NOTHING]
    if value.strip().startswith("[") and value.strip().endswith("]"):
        raise ConfigurationError(
            f"{name} is the text {value!r}, a list that a template turned into text; join it: "
            f"{{{{ params.{name} | join('\\n') }}}}"
        )
    return [line.strip() for line in value.split("\n") if line.strip() not in _NOTHING]


def time(name: str, value: datetime | str | None) -> datetime | None:
    """Return a time, or None if the value is empty.

    :raises ConfigurationError: if the text cannot be parsed
    """
    if value is None or isinstance(value, datetime):
        return value
    text = str(value).strip()
    if text in _NOTHING:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(f"{name} is {value!r}; it takes a time such as 2026-11-22T00:00:00+00:00") from None


def day(name: str, value: date | str | None) -> date | None:
    """Return a day, or None if the value is empty.

    :raises ConfigurationError: if the text cannot be parsed
    """
    if value is None or isinstance(value, date):
        return value
    if value.strip() in _NOTHING:
        return None
    try:
        return date.fromisoformat(value.strip())
    except ValueError:
        raise ConfigurationError(f"{name} is {value!r}; it takes a day such as 2026-11-22") from None


def flag(name: str, value: bool | str | None) -> bool:
    """Return a flag; empty is False.

    :raises ConfigurationError: if the text is neither true nor false
    """
    if isinstance(value, bool):
        return value
    found = {"true": True, "false": False, "": False, "none": False}.get(str(value).strip().lower())
    if found is None:
        raise ConfigurationError(f"{name} is {value!r}; it takes True or False")
    return found


def number(name: str, value: float | str | None) -> float | None:
    """Return a number that is not below zero, or None if the value is empty.

    :raises ConfigurationError: if it is not a number, or below zero
    """
    if value is None or (isinstance(value, str) and value.strip() in _NOTHING):
        return None
    try:
        found = float(value)
        if found >= 0:
            # Not through a float, which rounds above 9 PB.
            return int(str(value)) if str(value).strip().isdecimal() else int(found) if found.is_integer() else found
    except (TypeError, ValueError, OverflowError):
        pass
    raise ConfigurationError(f"{name} is {value!r}; it takes a number from 0 up")


def whole(name: str, value: float | str | None) -> int | None:
    """Return a whole number that is not below zero, or None if the value is empty.

    :raises ConfigurationError: if it is invalid
    """
    found = number(name, value)
    if isinstance(found, float):
        raise ConfigurationError(f"{name} is {value!r}; it takes a whole number")
    return found


def size(name: str, value: float | str | None) -> int | None:
    """Return a number of bytes, or None if the value is empty. Text may have a unit: ``8 MiB``, ``8MB``.

    :raises ConfigurationError: if it is invalid
    """
    if value is None or (isinstance(value, str) and value.strip() in _NOTHING):
        return None
    if not isinstance(value, bool) and (match := _SIZE.fullmatch(str(value).strip())):
        unit = _UNITS.get(match[2].upper() or "B")
        with suppress(ArithmeticError):  # Decimal has exponents of six digits
            if unit is not None and (found := Decimal(match[1]) * unit) < _TOO_MUCH and found == int(found):
                return int(found)
    raise ConfigurationError(
        f"{name} is {value!r}; it takes a size in bytes, or with a unit: 8388608, '8 MiB' or '8MB'{_not_rendered(value)}"
    )


def required(read: Callable[[str, Any], Any], least: int = 0, example: str = "") -> Callable[[str, Any], Any]:
    """Return a reader of a required number, ``least`` or more."""

    def reading(name: str, value: Any) -> Any:
        found = read(name, value)
        if found is None or found < least:
            raise ConfigurationError(f"{name} is {value!r}; it takes at least {least:,}{example}")
        return found

    return reading


def optional(read: Callable[[str, Any], Any], least: int = 0, example: str = "") -> Callable[[str, Any], Any]:
    """Return a reader of a number, ``least`` or more, or None."""

    def reading(name: str, value: Any) -> Any:
        found = read(name, value)
        if found is not None and found < least:
            raise ConfigurationError(f"{name} is {value!r}; it takes at least {least:,}{example}, or None")
        return found

    return reading


def share(name: str, value: float | str | None) -> float | None:
    """Return a share, above 0 and at most 1, or None if the value is empty.

    :raises ConfigurationError: if it is invalid
    """
    found = number(name, value)
    if found is not None and not 0 < found <= 1:
        raise ConfigurationError(f"{name} is {value!r}; it takes a share above 0 and at most 1, such as 0.01, or None")
    return found


def block_size(name: str, value: float | str | None) -> int:
    """Return the size of a block in bytes.

    :raises ConfigurationError: if it is invalid, or outside the useful range
    """
    found = size(name, value)
    if found is None or not SMALLEST_BLOCK <= found <= MAX_BLOCK_SIZE:
        raise ConfigurationError(
            f"{name} is {value!r}; it takes 64 KiB to 4000 MiB, such as '8 MiB': every block costs a request to S3 and "
            "one to Azure, so below 1 MiB a copy is mostly waiting"
        )
    return found


def bandwidth(name: str, value: float | str | None) -> int | None:
    """Return bytes per second, or None for no limit.

    :raises ConfigurationError: if it is invalid
    """
    found = size(name, value)
    if found == 0:
        raise ConfigurationError(
            f"{name} is {value!r}; it takes bytes per second above zero, such as '50 MB', or None for no limit"
        )
    return found


def text(name: str, value: str | None) -> str:
    """Return a text; None is the empty one.

    :raises ConfigurationError: if it is not text
    """
    if value is None or isinstance(value, str):
        return value or ""
    raise ConfigurationError(f"{name} is {value!r}; it takes text")


def sha256(name: str, value: str | None) -> str:
    """Return a SHA-256 in hexadecimal, or the empty text.

    :raises ConfigurationError: if it is invalid
    """
    found = text(name, value).strip()
    if found in _NOTHING or _SHA256.fullmatch(found):
        return found.replace("None", "")
    raise ConfigurationError(
        f"{name} is {found!r}; it takes the files_digest of a run's report: 64 hexadecimal digits{_not_rendered(found)}"
    )


def optional_text(name: str, value: str | None) -> str | None:
    """Return a text, or None.

    :raises ConfigurationError: if it is not text
    """
    return None if value is None else text(name, value)


def choice(*values: str, may_be_none: bool = False) -> Callable[[str, Any], str | None]:
    """Return a reader of one of several texts."""

    def reading(name: str, value: Any) -> str | None:
        if value in values:
            return str(value)
        if may_be_none and (value is None or value in _NOTHING):
            return None
        known = ", ".join(map(repr, values[:-1])) + " or " * (len(values) > 1) + repr(values[-1])
        raise ConfigurationError(
            f"{name} is {value!r}; it takes {known}{' or None' * may_be_none}{_not_rendered(value)}"
        )

    return reading


def duration(name: str, value: timedelta | None) -> timedelta:
    """Return a duration that is not below zero.

    :raises ConfigurationError: if it is invalid
    """
    if isinstance(value, timedelta) and value >= timedelta(0):
        return value
    raise ConfigurationError(f"{name} is {value!r}; it takes a duration such as timedelta(hours=1)")


def optional_duration(name: str, value: timedelta | None) -> timedelta | None:
    """Return a duration above zero, or None.

    :raises ConfigurationError: if it is invalid
    """
    if value is None or (isinstance(value, timedelta) and value > timedelta(0)):
        return value
    raise ConfigurationError(f"{name} is {value}; it takes a time above zero, such as timedelta(hours=1)")


def bucket(name: str, value: str) -> str:
    """Return the name of a bucket, or the ARN of an access point.

    :raises ConfigurationError: if it is invalid, such as a URL
    """
    found = text(name, value).strip()
    if not found:
        raise ConfigurationError(f"{name} is empty; name the bucket to copy from")
    if found.startswith("arn:") or _BUCKET.fullmatch(found):
        return found
    raise ConfigurationError(
        f"{name} is {found!r}; it takes the bucket's name alone{_parts(found, name, 's3_prefix')}{_not_rendered(found)}"
    )


def container(name: str, value: str) -> str:
    """Return the name of a container.

    :raises ConfigurationError: if it is invalid, such as a URL
    """
    found = text(name, value).strip()
    if not found:
        raise ConfigurationError(f"{name} is empty; name the container to copy to")
    if "/" in found:
        hint = _parts(found, name, "blob_prefix")
        raise ConfigurationError(f"{name} is {found!r}; it takes the container's name alone{hint}")
    if not (invalid := why_invalid_container(found)):
        return found
    hint = f": {found.lower()!r}" if not why_invalid_container(found.lower()) else ""
    raise ConfigurationError(f"{name} is {found!r}, but {invalid}{hint}{_not_rendered(found)}")


def prefix(name: str, value: str | None) -> str:
    """Return a prefix of keys.

    :raises ConfigurationError: if it is the URL of a prefix
    """
    found = text(name, value)
    if found.lower().startswith(("s3://", "s3a://", "s3n://")):
        at, _, rest = found.partition("://")[2].partition("/")
        raise ConfigurationError(
            f"{name} is {found!r}; it takes a prefix of keys, without the bucket: s3_bucket={at!r}, {name}={rest!r}"
        )
    return found


def _parts(url: str, name: str, prefix_name: str) -> str:
    """Return how to write a URL or a path as two arguments."""
    parts = urlsplit(url)
    path = (parts.path if parts.scheme.startswith("http") else f"{parts.netloc}{parts.path}").strip("/")
    first, _, rest = path.partition("/")
    if not first or first == url:
        return ""
    return f": {name}={first!r}" + (f", {prefix_name}={rest!r}" if rest else "")


def _not_rendered(value: Any) -> str:
    return "; this argument is not rendered as a template" if is_template(value) else ""


def is_template(value: Any) -> bool:
    """Return whether Airflow knows a value only at run time: text with Jinja, a ``DagParam`` or an ``XComArg``, or what holds some."""
    if hasattr(value, "iter_references"):
        return True
    if isinstance(value, str):
        return any(mark in value for mark in ("{{", "{%", "{#"))
    if isinstance(value, Mapping):
        return any(map(is_template, value.values()))
    return isinstance(value, list | tuple) and any(map(is_template, value))
