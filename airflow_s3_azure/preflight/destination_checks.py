"""The checks of the account and the container that write nothing."""

from __future__ import annotations

from airflow_s3_azure.engine.errors import DestinationAccessDenied
from airflow_s3_azure.engine.progress import count_text
from airflow_s3_azure.preflight.check import Check
from airflow_s3_azure.preflight.connection_checks import clock, tls
from airflow_s3_azure.preflight.finding import CONTAINERS, Finding, Permission, amber, green
from airflow_s3_azure.preflight.subject import Subject
from airflow_s3_azure.sync.blob_page import read_blobs

_PROPERTIES = {"restype": "container"}
ACCOUNT = {"restype": "account", "comp": "properties"}
"""The query of Get Account Information."""


def _open(subject: Subject) -> Finding:
    subject.container = subject.open_container(subject.azure)
    return green(subject.blobs.url)


def _tls(subject: Subject) -> Finding:
    return tls(subject.azure, lambda: subject.blobs.properties(_PROPERTIES))


def _clock(subject: Subject) -> Finding:
    return clock(subject.azure, "Azure")


def _container(subject: Subject) -> Finding:
    try:
        found = subject.blobs.properties(_PROPERTIES)
    except DestinationAccessDenied:
        return amber(
            "its properties may not be read, which is normal for a SAS for blobs only",
            "whether a policy protects the container's blobs is not known",
        )
    policies = {
        "x-ms-has-immutability-policy": "a time-based retention policy",
        "x-ms-has-legal-hold": "a legal hold",
    }
    active = [text for name, text in policies.items() if found.get(name, "").lower() == "true"]
    if active:
        subject.is_protected = True
        return amber(
            f"it has {' and '.join(active)}",
            "blobs cannot be overwritten or deleted: new versions of an object fail; the preflight writes nothing here",
        )
    scope = found.get("x-ms-default-encryption-scope", "$account-encryption-key")
    return green(f"no retention policy, no legal hold, encryption scope {scope}")


def _account(subject: Subject) -> Finding:
    found = subject.blobs.properties(ACCOUNT)
    kind, sku = found.get("x-ms-account-kind", "unknown kind"), found.get("x-ms-sku-name", "unknown SKU")
    subject.is_hierarchical = is_hierarchical(found.get("x-ms-is-hns-enabled"))
    if subject.is_hierarchical:
        return amber(
            f"{kind}, {sku}, hierarchical namespace (ADLS Gen2)",
            "no blob index tags (copy_tags); a key and a key below it, such as a and a/b, cannot both be copied; listings "
            "are sorted through the container",
        )
    return green(f"{kind}, {sku}, flat namespace")


def is_hierarchical(header: str | None) -> bool:
    """Return whether a response to Get Account Information shows a hierarchical namespace."""
    return (header or "").strip().lower() == "true"


def _list(subject: Subject) -> Finding:
    prefix = subject.options.blob_prefix
    query = {"include": "metadata", "maxresults": "5000", **({"prefix": prefix} if prefix else {})}
    page = read_blobs(subject.blobs.list_page(query))
    return green(f"{count_text(len(page.entries), 'blob')} on the first page below {prefix!r}")


DESTINATION_CHECKS = (
    Check(
        "azure-connection",
        "Azure",
        "the wasb connection and the container exist, and the guardrails allow the destination",
        _open,
        remedy="correct the connection (Admin → Connections), or create the container",
    ),
    Check(
        "azure-tls",
        "Azure",
        "Azure responds over TLS with a certificate that is verified",
        _tls,
        remedy="allow this worker's network to reach the host; for a private certificate authority set connection_verify "
        "in the connection's extra to its bundle",
        needs=("azure-connection",),
    ),
    Check(
        "azure-clock",
        "Azure",
        "the clock of this worker and that of Azure agree, so that requests are accepted",
        _clock,
        remedy="synchronize the clock of this worker (NTP)",
        needs=("azure-tls",),
    ),
    Check(
        "azure-container",
        "Azure",
        "no policy keeps a copy from overwriting its own blobs",
        _container,
        permission=Permission(f"{CONTAINERS}/read"),
        remedy="remove the policy, or copy to another container",
        needs=("azure-tls",),
    ),
    Check(
        "azure-account",
        "Azure",
        "the kind of the account, and whether its namespace is hierarchical",
        _account,
        permission=Permission("Microsoft.Storage/storageAccounts/blobServices/getInfo/action", "any right"),
        consequence="whether the account has a hierarchical namespace is not known in advance",
        needs=("azure-tls",),
    ),
    Check(
        "azure-list",
        "Azure",
        "the container can be listed with the records of earlier copies",
        _list,
        permission=Permission(f"{CONTAINERS}/blobs/read", "rl"),
        remedy="assign the role Storage Blob Data Contributor on the container, or a SAS with racwl",
        needs=("azure-tls",),
    ),
)
