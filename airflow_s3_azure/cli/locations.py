"""Reads the source and the destination of a command. Pure; credentials in a URL are never quoted in an error."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, unquote, urlsplit

from airflow_s3_azure.engine.errors import ConfigurationError

_ACCESS_POINT = re.compile(r"(arn:[^/]*:accesspoint[:/][^/]+)/?(.*)", re.DOTALL)
_CREDENTIALS = "credentials come from the Airflow connections: leave out everything from the question mark on"


@dataclass(frozen=True, slots=True)
class Destination:
    """A container, and a blob or a prefix in it.

    :param account_url: of the account; empty: the connection's
    :param path: a blob's name, or a prefix
    """

    account_url: str
    container: str
    path: str

    @property
    def is_prefix(self) -> bool:
        """Whether names go on after the path."""
        return not self.path or self.path.endswith("/")

    def check_connection(self, wasb_conn_id: str, account_url: str) -> None:
        """Check that a connection reaches this destination's account.

        :param account_url: the connection's, without credentials
        :raises ConfigurationError: if it reaches another account
        """
        if self.account_url and self.account_url != account_url.rstrip("/"):
            raise ConfigurationError(
                f"the destination is in {self.account_url}, but connection {wasb_conn_id!r} (--wasb-conn-id) leads to "
                f"{account_url}; name that account's connection, or write container/blob alone"
            )


def read_source(text: str) -> tuple[str, str]:
    """Return bucket and key of ``s3://bucket/key``; the key is taken verbatim.

    :raises ConfigurationError: if it is something else
    """
    scheme, found, path = text.partition("://")
    if not found or scheme.lower() != "s3":
        raise ConfigurationError(f"the source is {_without_query(text)!r}; it takes s3://bucket/key")
    if match := _ACCESS_POINT.fullmatch(path):
        return match[1], match[2]
    bucket, _, key = path.partition("/")
    return bucket, key


def read_destination(text: str) -> Destination:
    """Return the container and the blob of a URL, or of ``container/blob``.

    A URL is percent-decoded; ``container/blob`` is taken verbatim.

    :raises ConfigurationError: if it is something else, or holds credentials
    """
    if "://" not in text:
        container, _, path = text.partition("/")
        return Destination("", container, path)
    try:
        parts = urlsplit(text)
        account_url, path = _account(parts)
        path = unquote(path, errors="strict")
    except ValueError:
        raise ConfigurationError(
            "the destination is no valid URL; it takes https://account.blob.core.windows.net/container/blob"
        ) from None
    if parts.scheme not in ("https", "http"):
        raise ConfigurationError(
            f"the destination is {_without_query(text)!r}; it takes "
            "https://account.blob.core.windows.net/container/blob, or container/blob"
        )
    if "@" in parts.netloc or parts.query:
        raise ConfigurationError(f"the destination has credentials or a query: {_CREDENTIALS}")
    if parts.fragment or text.endswith("#"):
        raise ConfigurationError("the destination has a '#'; in a URL, write %23 for it")
    container, _, path = path.partition("/")
    return Destination(account_url, container, path)


def _account(parts: SplitResult) -> tuple[str, str]:
    """Return the URL of a blob URL's account, and the path in the account."""
    host, path = (parts.hostname or "").lower(), parts.path.removeprefix("/")
    port = f":{parts.port}" if parts.port and (parts.scheme, parts.port) != ("https", 443) else ""
    if _names_no_account(host):
        account, _, path = path.partition("/")
        return f"{parts.scheme}://{host}{port}/{account}", path
    return f"{parts.scheme}://{host.replace('.dfs.', '.blob.', 1)}{port}", path


def _names_no_account(host: str) -> bool:
    """Return whether the account is the first segment of the path, as at Azurite."""
    try:
        ip_address(host)
    except ValueError:
        return "." not in host
    return True


def _without_query(text: str) -> str:
    """Return text of a URL without what may be a credential."""
    text = text.partition("?")[0]
    scheme, found, rest = text.partition("://")
    return f"{scheme}{found}{rest.rpartition('@')[2]}" if found and "@" in rest.partition("/")[0] else text
