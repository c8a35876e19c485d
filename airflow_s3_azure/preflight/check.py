"""What a check is: what it proves, the permission that it needs, and what follows if it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from airflow_s3_azure.preflight.finding import Finding, Permission, Service
from airflow_s3_azure.preflight.subject import Subject


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    :param name: stable: results and options use it
    :param proves: one sentence
    :param run: returns what it found; an error of the package is a failure
    :param permission: that its requests need; None: none of their own
    :param remedy: what to do if it fails
    :param consequence: of a failure, if only a feature is missing then; empty: a failure is red
    :param needs: names of the checks without which this one cannot run
    """

    name: str
    service: Service
    proves: str
    run: Callable[[Subject], Finding]
    permission: Permission | None = None
    remedy: str = ""
    consequence: str = ""
    needs: tuple[str, ...] = ()
