"""Checks the keys of a run's conf against the params of its DAG."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from typing import TYPE_CHECKING

from airflow_s3_azure.engine.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow.sdk import Context

OPENLINEAGE = "openlineage"
"""Key of the conf in which ``TriggerDagRunOperator`` passes the parent run on, if OpenLineage is on."""
AIRFLOW = "airflow/"
"""Keys that begin with it are read by Airflow itself, such as ``airflow/task_span_detail_level`` of its traces."""


def check_run_conf(context: Context) -> None:
    """Check that every key of a run's conf is a param of its DAG, or one of Airflow's own.

    Airflow accepts any key. A misspelled one would leave its param at the default, which may select everything.
    A DAG without params may read any conf.

    :raises ConfigurationError: naming the first unknown key, and the most similar param
    """
    known = {*getattr(context.get("dag"), "params", ()), *getattr(context.get("task"), "params", ())}
    if known:
        check_keys(getattr(context.get("dag_run"), "conf", None) or {}, known)


def is_triggered_with_conf(context: Context) -> bool:
    """Return whether a user gave the run a conf of its own, also in a backfill: it may select less than a scheduled run.

    From Airflow 3.3 on, runs that ``TriggerDagRunOperator`` starts have a type of their own; before, they are manual.
    """
    run = context.get("dag_run")
    keys = map(str, getattr(run, "conf", None) or {})
    return getattr(run, "run_type", None) in ("manual", "backfill") and not all(map(_is_of_airflow, keys))


def _is_of_airflow(key: str) -> bool:
    return key == OPENLINEAGE or key.startswith(AIRFLOW)


def check_keys(conf: Collection[str], known: Collection[str]) -> None:
    """Check that all keys of a conf are known, except those of Airflow and OpenLineage.

    :raises ConfigurationError: naming the first unknown key
    """
    for key in sorted(map(str, conf)):
        if key not in known and not _is_of_airflow(key):
            nearest = get_close_matches(key, sorted(known), n=1, cutoff=0.5)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else "."
            raise ConfigurationError(
                f"the run's conf has the key {key!r}, which is not a param of this DAG{hint} Nothing was listed or copied. "
                f"The params are {', '.join(sorted(known))}"
            )
