"""Links from a task to its endpoints: its source in the S3 console, its account in the Azure portal, its ledger.

Airflow requests them in the worker when the task has ended, also when it failed, and stores them as XComs. A link leads to
the S3 console, to an Azure portal, or to the container of the task's connection, and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey

__all__ = ["AzurePortalLink", "LedgerLink", "S3ConsoleLink"]

_PORTALS = {
    "core.windows.net": "https://portal.azure.com",
    "core.usgovcloudapi.net": "https://portal.azure.us",
    "core.chinacloudapi.cn": "https://portal.azure.cn",
}


class S3ConsoleLink(BaseOperatorLink):
    """The object or the prefix in the S3 console."""

    @property
    def name(self) -> str:
        """The link's name."""
        return "Amazon S3 console"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the page of the object or the prefix; of the bucket for tasks that have neither."""
        del ti_key
        bucket = quote(operator.s3_bucket, safe="")
        if key := getattr(operator, "s3_key", ""):
            return f"https://s3.console.aws.amazon.com/s3/object/{bucket}?prefix={quote(key, safe='')}"
        prefix = getattr(operator, "s3_prefix", "")
        query = f"?prefix={quote(prefix, safe='')}" if isinstance(prefix, str) and prefix else ""
        return f"https://s3.console.aws.amazon.com/s3/buckets/{bucket}{query}"


class AzurePortalLink(BaseOperatorLink):
    """The storage accounts in the Azure portal."""

    @property
    def name(self) -> str:
        """The link's name."""
        return "Azure portal"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the portal's list of storage accounts; the container itself if it is not in an Azure cloud.

        The portal names an account's own page by its subscription and resource group, which connections do not contain.
        """
        del ti_key
        container = str(operator.container_url)
        host = urlsplit(container).hostname or ""
        for domain, portal in _PORTALS.items():
            if host.endswith(f".{domain}"):
                return f"{portal}/#view/HubsExtension/BrowseResource/resourceType/Microsoft.Storage%2FStorageAccounts"
        return _of_host(container, host)


class LedgerLink(BaseOperatorLink):
    """The ledger of the task's plan, or the batch's part of it."""

    @property
    def name(self) -> str:
        """The link's name."""
        return "Ledger"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the ledger's URL, without any credential; empty if the task ended before it had one."""
        del ti_key
        return _of_host(str(operator.ledger_url), urlsplit(str(operator.container_url)).hostname)


def _of_host(url: str, host: str | None) -> str:
    """Return the URL if it is a web address of this host without credentials, else an empty text.

    After a copy in the triggerer the URL comes from the trigger's event, which is stored in Airflow's database.
    """
    parts = urlsplit(url)
    is_plain = parts.scheme in ("http", "https") and parts.username is None and not parts.query
    return url if is_plain and host and parts.hostname == host else ""
