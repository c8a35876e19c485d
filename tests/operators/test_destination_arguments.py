"""How blobs are stored: tiers by storage class, and the encryption scope."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.operators.destination_arguments import access_tiers, encryption_scope


@pytest.mark.parametrize(
    ("value", "tiers"),
    [
        (None, None),
        ("", None),
        ("None", None),
        ("Cool", "Cool"),
        ({"GLACIER": "Archive", "*": "Cool"}, {"GLACIER": "Archive", "*": "Cool"}),
        ('{"DEEP_ARCHIVE": "Archive"}', {"DEEP_ARCHIVE": "Archive"}),
        ({}, {}),
    ],
)
def test_tiers_are_one_or_a_mapping(value: Any, tiers: Any) -> None:
    """A mapping, or the JSON that a template rendered."""
    assert access_tiers("access_tier", value) == tiers


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("cool", "^access_tier is 'cool'; it takes 'Hot', 'Cool', 'Cold' or 'Archive' or None$"),
        (
            {"GLACEIR": "Archive"},
            r"^access_tier has the storage class 'GLACEIR'; it takes '\*', 'DEEP_ARCHIVE', 'GLACIER'",
        ),
        ({"GLACIER": "cool"}, r"^access_tier\['GLACIER'\] is 'cool'; it takes 'Hot'"),
        ({"GLACIER": None}, "^access_tier has no tier for 'GLACIER'; leave it out for the account's default$"),
        ('{"GLACIER"}', "which is no JSON object; it takes a tier or"),
        (["Cool"], r"^access_tier is \['Cool'\]; it takes 'Hot'"),
    ],
)
def test_an_unknown_tier_or_class_is_named(value: Any, message: str) -> None:
    """With what it takes."""
    with pytest.raises(ConfigurationError, match=message):
        access_tiers("access_tier", value)


@pytest.mark.parametrize(("value", "scope"), [(None, None), ("", None), (" None ", None), (" tenant-a ", "tenant-a")])
def test_an_encryption_scope_is_a_name(value: str | None, scope: str | None) -> None:
    """Or nothing, as an empty template gives it."""
    assert encryption_scope("encryption_scope", value) == scope


@pytest.mark.parametrize("value", ["ab", "a b c", "x" * 64, "scope_a", "a\r\nx-evil: 1"])
def test_what_no_scope_can_be_called_is_refused(value: str) -> None:
    """Before a request has it as a header."""
    with pytest.raises(ConfigurationError, match="it takes the name of a scope"):
        encryption_scope("encryption_scope", value)
