"""Whether Azure can reach an S3 endpoint at all: a look in advance, before it is asked to."""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.engine.server_side.request import STREAM_INSTEAD

_AWS = (".amazonaws.com", ".amazonaws.com.cn")
_OWN_NETWORK_ONLY = (".vpce.amazonaws.com", ".vpce.amazonaws.com.cn")
_AZURE = (".windows.net", ".azure.net", ".chinacloudapi.cn", ".usgovcloudapi.net")


def check_reachable(source: str, destination: str) -> None:
    """Do nothing, or say that Azure cannot read from an endpoint: it is on this machine or in a private network.

    A name that cannot be resolved here may still be known to Azure, which has the last word. AWS's public names are
    not resolved: within a VPC they may lead to private addresses, but Azure is not within it. An account that is no
    Azure, in a private network itself (an emulator), may reach its neighbours.

    :param source: URL of the S3 endpoint, without credentials
    :param destination: URL of the container
    :raises ConfigurationError: if it cannot
    """
    host, account = urlsplit(source).hostname or "", urlsplit(destination).hostname or ""
    if host.endswith(_AWS) and not host.endswith(_OWN_NETWORK_ONLY):
        return
    address = _private_address(host)
    if address is None or (not account.endswith(_AZURE) and _private_address(account) is not None):
        return
    found = host if host == address else f"{host} ({address})"
    raise ConfigurationError(
        f"mode='server_side': Azure ({account}) is to read from S3 by itself, but S3 is at {found}, an address that "
        f"only this network knows; {STREAM_INSTEAD}, or give the AWS connection an endpoint_url that is public"
    )


def _private_address(host: str) -> str | None:
    """Return an address of a host that has no public one."""
    try:
        found = [
            str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        ]
    except (OSError, UnicodeError):
        return None
    if not found or any(ipaddress.ip_address(address).is_global for address in found):
        return None
    return found[0]
