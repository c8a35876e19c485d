"""What is signed here with an account's key is what the SDK signs."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import quote

import pytest
from azure.core.pipeline import PipelineContext, PipelineRequest
from azure.core.pipeline.transport import HttpRequest
from azure.storage.blob import BlobServiceClient
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_s3_azure.engine.azure.shared_key import SharedKeyPolicy
from tests.examples import examples

SDK = BlobServiceClient(
    "https://account.blob.core.windows.net", credential=base64.b64encode(bytes(range(64))).decode()
).credential

metadata_names = st.from_regex(r"x-ms-(meta-)?[a-z0-9_-]{0,8}", fullmatch=True)
odd_names = st.from_regex(r"x-ms-meta-[A-Za-z0-9_-]{1,6}", fullmatch=True)
values = st.text(st.characters(codec="latin-1", min_codepoint=32), max_size=12)
standard = st.fixed_dictionaries(
    {},
    optional={
        "Content-Length": st.sampled_from(["0", "1", "65536"]),
        "Content-Type": values,
        "Content-Encoding": values,
        "If-Match": values,
        "If-None-Match": st.just("*"),
    },
)
queries = st.dictionaries(st.sampled_from(["comp", "blockid", "Timeout", "sig"]), values, max_size=3)


def authorisation(policy: Any, method: str, url: str, headers: dict[str, str]) -> str:
    """Return the Authorization header that a policy gives a request."""
    request = HttpRequest(method, url, headers=headers)
    policy.on_request(PipelineRequest(request, PipelineContext(None)))
    return str(request.headers["Authorization"])


@settings(max_examples=examples(4))
@given(
    method=st.sampled_from(["GET", "PUT", "HEAD", "DELETE"]),
    path=st.text(st.characters(codec="utf-8"), max_size=20),
    query=queries,
    headers=standard,
    metadata=st.dictionaries(metadata_names | odd_names, values, max_size=8),
)
def test_any_request_is_signed_as_the_sdk_signs_it(
    method: str, path: str, query: dict[str, str], headers: dict[str, str], metadata: dict[str, str]
) -> None:
    """For any blob name and any metadata."""
    url = f"https://account.blob.core.windows.net/container/{quote(path, safe='/~')}"
    if query:
        url += "?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    sent = {**headers, **metadata}

    assert authorisation(SharedKeyPolicy(SDK), method, url, sent) == authorisation(SDK, method, url, sent)


@pytest.mark.parametrize(
    "names",
    [
        ["x-ms-meta-a", "x-ms-meta_a", "x-ms-meta-a-", "x-ms-metaa"],
        ["x-ms-meta-a_b", "x-ms-meta-ab", "x-ms-meta-a1", "x-ms-meta-a-b", "x-ms-meta-a"],
        ["x-ms-meta-a-bc", "x-ms-meta-ab-c", "x-ms-meta-abc", "x-ms-meta-abc-"],
    ],
)
def test_names_that_are_nearly_the_same_are_sorted_as_the_service_sorts_them(names: list[str]) -> None:
    """A hyphen hardly counts."""
    headers = {name: str(number) for number, name in enumerate(names)}
    url = "https://account.blob.core.windows.net/container/blob"

    assert authorisation(SharedKeyPolicy(SDK), "PUT", url, headers) == authorisation(SDK, "PUT", url, headers)


def test_a_name_that_cannot_be_sorted_here_goes_to_the_sdk() -> None:
    """Such a name is no metadata name of Azure's, but the signature is the SDK's all the same."""
    url, headers = "https://account.blob.core.windows.net/container/blob", {"x-ms-meta-a.b": "1", "x-ms-meta-a!": "2"}

    assert authorisation(SharedKeyPolicy(SDK), "PUT", url, headers) == authorisation(SDK, "PUT", url, headers)
