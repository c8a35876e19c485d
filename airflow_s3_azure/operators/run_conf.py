"""What a run was triggered with, compared with what its DAG knows."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from typing import TYPE_CHECKING

from airflow_s3_azure.engine.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow.sdk import Context


def check_run_conf(context: Context) -> None:
    """Check that a run's conf has no key that is none of its DAG's params.

    Airflow accepts any key. One that is misspelled would leave its param at the default, which may select everything.
    A DAG without params may read any conf.

    :raises ConfigurationError: naming the first unknown key, and the param that is nearest to it
    """
    known = {*getattr(context.get("dag"), "params", ()), *getattr(context.get("task"), "params", ())}
    if known:
        check_keys(getattr(context.get("dag_run"), "conf", None) or {}, known)


def check_keys(conf: Collection[str], known: Collection[str]) -> None:
    """Check that all keys of a conf are known.

    :raises ConfigurationError: naming the first that is not
    """
    for key in sorted(map(str, conf)):
        if key not in known:
            nearest = get_close_matches(key, sorted(known), n=1, cutoff=0.5)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
            raise ConfigurationError(
                f"the run's conf has the key {key!r}, which is no param of this DAG{hint} Nothing was listed or copied. "
                f"The params are {', '.join(sorted(known))}"
            )
