"""Real servers, started as child processes, that the tests, the demo and the benchmarks share.

Each is a context manager over a directory that the caller throws away: it takes free ports on 127.0.0.1,
waits until it responds to a real request, and on leaving stops with every process it started; logs stay in the
directory. Linux only. `python3 -m tests.servers.install` gets what they run on, `python3 -m tests.servers.debian` what
a cluster needs more.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.servers.airflow import AirflowServer
    from tests.servers.azure import AzureServer
    from tests.servers.process import ServerError
    from tests.servers.s3 import S3Server
    from tests.servers.tls import CertificateAuthority

__all__ = ["AirflowServer", "AzureServer", "CertificateAuthority", "S3Server", "ServerError"]

_HOMES = {
    "AirflowServer": "airflow",
    "AzureServer": "azure",
    "CertificateAuthority": "tls",
    "S3Server": "s3",
    "ServerError": "process",
}


def __getattr__(name: str) -> object:
    """Import a server on first access: install.py runs in a Python that has no boto3."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
