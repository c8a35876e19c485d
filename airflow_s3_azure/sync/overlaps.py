"""Checks across the plans of one run, each of which knows only its own prefix: no key, and no blob, is in two. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from airflow_s3_azure.engine.errors import PlanError
from airflow_s3_azure.sync.naming import Naming


def check_prefixes(prefixes: Sequence[str]) -> None:
    """Make sure that no key is under two of the prefixes.

    :raises PlanError: if one is
    """
    ordered = sorted(prefixes)
    for one, following in pairwise(ordered):
        if following.startswith(one):
            raise PlanError(
                f"prefixes {one!r} and {following!r} overlap, so keys would be copied twice; nothing was copied: leave "
                "one of them out"
            )


def check_destinations(destinations: Sequence[str], naming: Naming) -> None:
    """Make sure that keys of different prefixes, whose plans know nothing of each other, do not become one blob.

    :param destinations: what the blob names of each plan begin with
    :param naming: of all of them
    :raises PlanError: if some may
    """
    if naming.keeps_keys_apart:
        return
    for one, following in pairwise(sorted(destinations)):
        if following.startswith(one):
            raise PlanError(
                f"keys of different prefixes may become one blob under {one!r}; nothing was copied: let blob_template "
                "have {key}, or {folder} and {name}"
            )
