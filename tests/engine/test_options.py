"""The options of a copy: valid values, and their JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.engine.options import CopyOptions


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "azcopy"}, "^mode is 'azcopy'; it takes 'stream' or 'server_side'$"),
        ({"max_concurrency": 0}, "^max_concurrency is 0; it takes at least 1 thread$"),
        ({"verify": "md5"}, "^verify is 'md5'; it takes 'auto', 'require' or 'read_back'$"),
        ({"archived": "wait"}, "^archived is 'wait'; it takes 'skip', 'fail' or 'restore'$"),
        ({"access_tier": "Warm"}, "^access_tier is 'Warm'; it takes 'Hot', 'Cool', 'Cold', 'Archive' or None$"),
        ({"block_size": 0}, "block_size is 0"),
        (
            {"overwrite_archived": True, "overwrite": False},
            "^overwrite_archived is True, but overwrite is False, so no blob is replaced: leave one of them out$",
        ),
        (
            {"overwrite_archived": True, "mode": "server_side"},
            "^overwrite_archived is True, but mode is 'server_side', in which .*: use mode='stream'$",
        ),
        (
            {"verify": "read_back", "access_tier": "Archive"},
            "^verify='read_back' cannot read blobs with access_tier='Archive'; use another tier$",
        ),
        (
            {"verify": "read_back", "access_tier": {"GLACIER": "Archive"}},
            "^verify='read_back' cannot read blobs with access_tier='Archive'; use another tier$",
        ),
        ({"access_tier": {"GLACIER": "Warm"}}, "^access_tier is {'GLACIER': 'Warm'}; it takes 'Hot'"),
    ],
)
def test_an_invalid_option_is_an_error(options: dict[str, Any], message: str) -> None:
    """Before anything is opened; the message has what the option takes."""
    with pytest.raises(ConfigurationError, match=message):
        CopyOptions(**options)


@pytest.mark.parametrize(
    ("tiers", "expected"),
    [
        (None, (None, None)),
        ("Cool", ("Cool", "Cool")),
        ({"GLACIER": "Archive"}, ("Archive", None)),
        ({"GLACIER": "Archive", "*": "Hot"}, ("Archive", "Hot")),
    ],
)
def test_the_storage_class_decides_on_the_tier(tiers: Any, expected: tuple[str | None, str | None]) -> None:
    """A class that is not named has the tier of ``*``, or the account's default."""
    options = CopyOptions(access_tier=tiers)

    assert (options.tier_of("GLACIER"), options.tier_of("STANDARD")) == expected


def test_options_survive_json() -> None:
    """Internal ones are left out and have their defaults again."""
    options = CopyOptions(mode="server_side", max_bandwidth=1.5, access_tier="Cool", retry_budget=1)

    found = json.loads(json.dumps(options.as_json()))

    assert {"retry", "retry_budget"} & found.keys() == set()
    assert CopyOptions.from_json(found) == CopyOptions(mode="server_side", max_bandwidth=1.5, access_tier="Cool")
