"""What templated arguments may be: the value itself, or the text that a template rendered. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from airflow_s3_azure.engine.errors import ConfigurationError

_NOTHING = ("", "None")
"""What a template renders that finds nothing."""


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
    return [line.strip() for line in value.splitlines() if line.strip() not in _NOTHING]


def time(name: str, value: datetime | str | None) -> datetime | None:
    """Return a time, or None where there is none.

    :raises ConfigurationError: if the text is none
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
    """Return a day, or None where there is none.

    :raises ConfigurationError: if the text is none
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
    """Return whether something is on; nothing is off.

    :raises ConfigurationError: if the text says neither
    """
    if isinstance(value, bool):
        return value
    found = {"true": True, "false": False, "": False, "none": False}.get(str(value).strip().lower())
    if found is None:
        raise ConfigurationError(f"{name} is {value!r}; it takes True or False")
    return found


def number(name: str, value: float | str | None) -> float | None:
    """Return a number that is not below zero, or None where there is none.

    :raises ConfigurationError: if the text is none, or it is below zero
    """
    if value is None or (isinstance(value, str) and value.strip() in _NOTHING):
        return None
    try:
        found = float(value)
        if found >= 0:
            # Not by way of a float, which rounds above 9 PB.
            return int(str(value)) if str(value).strip().isdecimal() else int(found) if found.is_integer() else found
    except (TypeError, ValueError, OverflowError):
        pass
    raise ConfigurationError(f"{name} is {value!r}; it takes a number from 0 up")


def whole(name: str, value: float | str | None) -> int | None:
    """Return a whole number that is not below zero, or None where there is none.

    :raises ConfigurationError: if it is none
    """
    found = number(name, value)
    if isinstance(found, float):
        raise ConfigurationError(f"{name} is {value!r}; it takes a whole number")
    return found
