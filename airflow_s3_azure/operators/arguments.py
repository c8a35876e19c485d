"""What each argument of the operators takes: the value itself, or the text that a template rendered. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

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


def text(name: str, value: str | None) -> str:
    """Return a text; None is the empty one.

    :raises ConfigurationError: if it is something else
    """
    if value is None or isinstance(value, str):
        return value or ""
    raise ConfigurationError(f"{name} is {value!r}; it takes text")


def optional_text(name: str, value: str | None) -> str | None:
    """Return a text, or None.

    :raises ConfigurationError: if it is something else
    """
    return None if value is None else text(name, value)


def interval(name: str, value: timedelta | None) -> timedelta | None:
    """Return a duration, or None.

    :raises ConfigurationError: if it is something else
    """
    if value is None or isinstance(value, timedelta):
        return value
    raise ConfigurationError(f"{name} is {value!r}; it takes a duration such as timedelta(hours=1)")


def unchecked(_name: str, value: Any) -> Any:
    """Return the value as it is."""
    return value


@dataclass(frozen=True, slots=True)
class Argument:
    """What an argument takes.

    :param read: returns the value of the argument with a name, given what was passed or rendered
    :param is_templated: whether Airflow renders it
    """

    read: Callable[[str, Any], Any]
    is_templated: bool = False


ARGUMENTS = {
    # Endpoints
    "s3_bucket": Argument(text, is_templated=True),
    "container_name": Argument(text, is_templated=True),
    "aws_conn_id": Argument(optional_text, is_templated=True),
    "wasb_conn_id": Argument(text, is_templated=True),
    "create_container": Argument(flag),
    "requester_pays": Argument(flag),
    # CopyOptions
    "mode": Argument(text, is_templated=True),
    "block_size": Argument(unchecked),
    "max_concurrency": Argument(unchecked),
    "max_bandwidth": Argument(number, is_templated=True),
    "overwrite": Argument(flag, is_templated=True),
    "verify": Argument(text),
    "copy_tags": Argument(flag),
    "access_tier": Argument(optional_text),
    "discard_foreign_blocks": Argument(flag),
    # PlanArguments
    "s3_prefix": Argument(text, is_templated=True),
    "day_folder": Argument(text, is_templated=True),
    "first_day": Argument(day, is_templated=True),
    "last_day": Argument(day, is_templated=True),
    "blob_prefix": Argument(text, is_templated=True),
    "strip_prefix": Argument(text, is_templated=True),
    "blob_template": Argument(text, is_templated=True),
    "rename": Argument(flag),
    "include": Argument(strings, is_templated=True),
    "exclude": Argument(strings, is_templated=True),
    "modified_since": Argument(time, is_templated=True),
    "modified_before": Argument(time, is_templated=True),
    "lookback": Argument(interval),
    "min_size": Argument(unchecked),
    "max_size": Argument(unchecked),
    "storage_classes": Argument(strings, is_templated=True),
    "require_keys": Argument(flag),
    "compare": Argument(text, is_templated=True),
    "is_dry_run": Argument(flag, is_templated=True),
    "egress_price_per_gib": Argument(number, is_templated=True),
    "max_objects": Argument(whole, is_templated=True),
    "max_bytes": Argument(whole, is_templated=True),
    "delete": Argument(optional_text),
    "max_delete": Argument(number, is_templated=True),
    "batch_objects": Argument(unchecked),
    "batch_size": Argument(unchecked),
}
"""All options, by the name of the operators' argument."""


def read_argument(name: str, value: Any) -> Any:
    """Return the value of an argument, given what was passed or rendered.

    :raises ConfigurationError: if it is none of what the argument takes
    """
    return ARGUMENTS[name].read(name.removeprefix("is_"), value)
