"""Reads the arguments that say how blobs are stored: access tiers and encryption scope. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, get_args

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.engine.options import AccessTier, AccessTiers
from airflow_s3_azure.engine.s3.storage_classes import GENERAL_PURPOSE_CLASSES
from airflow_s3_azure.values import choice, is_template, text

_CLASSES = ("*", *sorted(GENERAL_PURPOSE_CLASSES))
_SCOPE = re.compile("[A-Za-z0-9-]{3,63}")
_tier = choice(*get_args(AccessTier), may_be_none=True)


def access_tiers(name: str, value: Any) -> AccessTiers:
    """Return the tier of new blobs, or tiers by storage class; text that a template rendered may hold either.

    :raises ConfigurationError: if a tier or a storage class is not known
    """
    if isinstance(value, str) and value.lstrip().startswith("{") and not is_template(value):
        try:
            value = json.loads(value)
        except ValueError:
            raise ConfigurationError(
                f'{name} is {value!r}, which is no JSON object; it takes a tier or {{"GLACIER": "Archive", "*": "Cool"}}'
            ) from None
    if not isinstance(value, Mapping):
        return _tier(name, value)  # type: ignore[return-value]
    for storage_class, tier in value.items():
        if storage_class not in _CLASSES:
            raise ConfigurationError(
                f"{name} has the storage class {storage_class!r}; it takes {', '.join(map(repr, _CLASSES))}"
            )
        if tier not in get_args(AccessTier):
            _tier(f"{name}[{storage_class!r}]", tier or "")
            raise ConfigurationError(
                f"{name} has no tier for {storage_class!r}; leave it out for the account's default"
            )
    return dict(value)


def encryption_scope(name: str, value: str | None) -> str | None:
    """Return the name of an encryption scope, or None if the value is empty.

    :raises ConfigurationError: if it cannot be one
    """
    found = text(name, value).strip()
    if found in ("", "None"):
        return None
    if _SCOPE.fullmatch(found) is None:
        raise ConfigurationError(
            f"{name} is {found!r}; it takes the name of a scope: 3 to 63 letters, digits and dashes"
        )
    return found
