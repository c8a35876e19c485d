"""The parts of trigger forms: fields, their defaults from the environment, and the templates that pass their values on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow.sdk import Param

from airflow_s3_azure.guardrails import Guardrails
from airflow_s3_azure.values import flag, number

MORE = "More"
"""The section of the fields that are folded when the form opens."""
TEXT = ["null", "string"]
"""The type of a text that may be empty."""
NUMBER = {"type": ["null", "integer"], "minimum": 0}
"""The schema of a number that may be empty."""


@dataclass(frozen=True, slots=True)
class Form:
    """A DAG's params, and the arguments made of them.

    :param params: for the DAG
    :param arguments: for the task group or the operator of the DAG
    """

    params: dict[str, Param]
    arguments: dict[str, Any]


def params_of(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Param]:
    """Return the params of a form."""
    return {name: Param(**one) for name, one in fields.items()}


def template(name: str, schema: Mapping[str, Any]) -> str:
    """Return the template of a field's value; an empty field becomes empty text."""
    if "array" in schema["type"]:
        return f"{{{{ (params.{name} or []) | join('\\n') }}}}"
    return f"{{{{ params.{name} or '' }}}}" if schema["type"] == TEXT else f"{{{{ params.{name} }}}}"


def field(title: str, description: str, default: Any, **schema: Any) -> dict[str, Any]:
    """Return a field: its title, its description in Markdown, its default and its schema."""
    return {"default": default, "title": title, "description_md": description, **schema}


def env(name: str) -> str | None:
    """Return the value of an environment variable ``S3_TO_AZURE_<name>``; None if it is not set."""
    return os.environ.get(f"S3_TO_AZURE_{name}")


def env_flag(name: str, *, default: bool) -> bool:
    """Return the flag in an environment variable ``S3_TO_AZURE_<name>``."""
    found = env(name)
    return default if not found else flag(f"S3_TO_AZURE_{name}", found)


def env_number(name: str) -> float | None:
    """Return the number in an environment variable ``S3_TO_AZURE_<name>``; None if it is not set or empty."""
    return number(f"S3_TO_AZURE_{name}", env(name))


def bucket_choice() -> dict[str, Any]:
    """Return the default and the schema of a bucket's name."""
    return choice_of(env("BUCKET") or "my-bucket", Guardrails.configured().buckets)


def container_choice() -> dict[str, Any]:
    """Return the default and the schema of a container's name."""
    return choice_of(env("CONTAINER") or "my-container", Guardrails.configured().containers)


def choice_of(default: str, choices: tuple[list[str], bool]) -> dict[str, Any]:
    """Return the default and the schema of a name; guardrails may restrict it to an enum."""
    names, are_all = choices
    if are_all:
        return {"default": default if default in names else names[0], "enum": names}
    return {"default": default, "minLength": 3, **({"examples": names} if names else {})}
