"""Checks across the plans of one run, which are made separately: no key and no blob may be in two of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from airflow_s3_azure.engine.errors import PlanError
from airflow_s3_azure.sync.naming import Naming


def check_prefixes(prefixes: Sequence[str]) -> None:
    """Check that no key is under two of the prefixes.

    :raises PlanError: if a key can be
    """
    ordered = sorted(prefixes)
    for one, following in pairwise(ordered):
        if following.startswith(one):
            raise PlanError(
                f"prefixes {one!r} and {following!r} overlap, so keys would be copied twice; nothing was copied: leave "
                "one of them out"
            )


def check_destinations(destinations: Sequence[str], naming: Naming) -> None:
    """Check that keys of different prefixes do not get the same blob name.

    :param destinations: the common prefix of each plan's blob names
    :param naming: of all plans
    :raises PlanError: if they can
    """
    if naming.keeps_keys_apart:
        return
    for one, following in pairwise(sorted(destinations)):
        if following.startswith(one):
            raise PlanError(
                f"keys of different prefixes may become one blob under {one!r}; nothing was copied: let blob_template "
                "have {key}, or {folder} and {name}"
            )
