"""Preflight check of server-side copy: can Azure reach the S3 endpoint?"""

from __future__ import annotations

import ipaddress
import socket
from urllib.parse import urlsplit

from airflow_s3_azure.engine.azure.source_range import STREAM_INSTEAD
from airflow_s3_azure.engine.errors import ConfigurationError

_AWS = (".amazonaws.com", ".amazonaws.com.cn")
_OWN_NETWORK_ONLY = (".vpce.amazonaws.com", ".vpce.amazonaws.com.cn")
_AZURE = (".windows.net", ".azure.net", ".chinacloudapi.cn", ".usgovcloudapi.net")


def check_reachable(source: str, destination: str) -> None:
    """Raise an error if the S3 endpoint is on this machine or in a private network, which Azure cannot reach.

    A name that cannot be resolved here is accepted, because Azure may resolve it. AWS's public names are not resolved:
    within a VPC they may have private addresses, but Azure is outside of it. A destination with a private address (an
    emulator) may reach private endpoints.

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
        f"mode='server_side': Azure ({account}) cannot reach S3 at {found}: the address is private to this network; "
        f"{STREAM_INSTEAD}, or give the AWS connection an endpoint_url that is public"
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
