"""Links from a task to its source, its account and its ledger."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_s3_azure.links import AzurePortalLink, LedgerLink, S3ConsoleLink

KEY: Any = None
"""None of them needs to know which task instance it is about."""


@pytest.mark.parametrize("key", ["a/b.csv", "a b+c%20?x=1&y#z", "日本語/🚀", "{{ x }}"])
def test_the_console_link_names_the_key_verbatim(key: str) -> None:
    """For keys of any characters."""
    url = urlsplit(S3ConsoleLink().get_link(SimpleNamespace(s3_bucket="my-bucket", s3_key=key), ti_key=KEY))

    assert (url.scheme, url.netloc, url.path) == ("https", "s3.console.aws.amazon.com", "/s3/object/my-bucket")
    assert parse_qs(url.query, keep_blank_values=True) == {"prefix": [key]}
    assert not url.fragment


def test_a_sync_is_linked_to_its_prefix() -> None:
    """Or to the whole bucket."""
    link = S3ConsoleLink()
    here = SimpleNamespace(s3_bucket="my-bucket", s3_prefix="exports/2026/")

    assert link.get_link(here, ti_key=KEY) == (
        "https://s3.console.aws.amazon.com/s3/buckets/my-bucket?prefix=exports%2F2026%2F"
    )
    for whole in (SimpleNamespace(s3_bucket="b", s3_prefix=""), SimpleNamespace(s3_bucket="b")):
        assert link.get_link(whole, ti_key=KEY) == "https://s3.console.aws.amazon.com/s3/buckets/b"


@pytest.mark.parametrize(
    ("container", "portal"),
    [
        ("https://acme.blob.core.windows.net/landing", "https://portal.azure.com/#"),
        ("https://acme.z1.blob.core.windows.net/landing", "https://portal.azure.com/#"),
        ("https://acme.blob.core.usgovcloudapi.net/landing", "https://portal.azure.us/#"),
        ("https://acme.blob.core.chinacloudapi.cn/landing", "https://portal.azure.cn/#"),
    ],
)
def test_each_cloud_has_its_portal(container: str, portal: str) -> None:
    """By the account's host."""
    assert AzurePortalLink().get_link(SimpleNamespace(container_url=container), ti_key=KEY).startswith(portal)


def test_what_is_in_no_cloud_is_linked_to_itself() -> None:
    """An emulator has no portal, nor has a host whose name only resembles Azure's."""
    for container in (
        "http://127.0.0.1:10000/devstoreaccount1/landing",
        "https://core.windows.net.example/landing",
        "",
    ):
        assert AzurePortalLink().get_link(SimpleNamespace(container_url=container), ti_key=KEY) == container


def test_the_ledger_is_the_one_that_the_task_opened() -> None:
    """Nothing if it ended before."""
    url = "https://acme.blob.core.windows.net/landing/_s3_to_azure/dag/run/group/20261122T000000Z/ledger/"

    here = "https://acme.blob.core.windows.net/landing"
    assert LedgerLink().get_link(SimpleNamespace(ledger_url=url, container_url=here), ti_key=KEY) == url
    assert LedgerLink().get_link(SimpleNamespace(ledger_url="", container_url=here), ti_key=KEY) == ""


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/landing/_s3_to_azure/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://acme.blob.core.windows.net@elsewhere.example/landing/",
        "https://user:secret@acme.blob.core.windows.net/landing/",
        "https://acme.blob.core.windows.net/landing/?sig=secret",
        "//acme.blob.core.windows.net/landing/",
    ],
)
def test_a_ledger_is_linked_to_only_in_the_container_of_the_connection(url: str) -> None:
    """Another host, another scheme and a credential give no link."""
    here = "https://acme.blob.core.windows.net/landing"
    assert LedgerLink().get_link(SimpleNamespace(ledger_url=url, container_url=here), ti_key=KEY) == ""


def test_a_container_is_linked_to_only_as_a_web_address() -> None:
    """A scheme that a browser would run gives no link."""
    assert AzurePortalLink().get_link(SimpleNamespace(container_url="javascript:alert(1)"), ti_key=KEY) == ""
