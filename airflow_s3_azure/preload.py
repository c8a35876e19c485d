"""Imports in advance what a sync's tasks import, for processes from which Airflow forks tasks. See `docs/deploy.md`."""

from __future__ import annotations

import pkgutil
from importlib import import_module

__all__ = ["preload"]

_PACKAGES = ("engine", "sync", "connections", "preflight")
_MODULES = ("live_progress", "metrics", "operators.stream", "sync_group")


def preload() -> None:
    """Import both hooks, the engine, the planner and the operators of a sync, and read botocore's description of S3.

    It opens no connection and reads no credentials. Call it in ``airflow_local_settings.py``.
    """
    for package in _PACKAGES:
        folder = import_module(f"airflow_s3_azure.{package}")
        for module in pkgutil.walk_packages(folder.__path__, f"{folder.__name__}."):
            import_module(module.name)
    for name in _MODULES:
        import_module(f"airflow_s3_azure.{name}")
    from airflow_s3_azure.connections.s3_data import read_in_advance

    read_in_advance()
