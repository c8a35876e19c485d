"""The names that Azure can hold, and those that are kept for the records of syncs."""

from __future__ import annotations

from urllib.parse import quote

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.azure.blob_names import (
    RESERVED,
    is_reserved,
    why_invalid,
    why_invalid_container,
    why_refused,
)

CONTAINER = "https://account.blob.core.windows.net/landing/"
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
plain_segments = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cn"], exclude_characters="/\\."), min_size=1, max_size=20
)
hostile_names = st.text("ab./\\%2eE5fF_ 漢", max_size=12)
REASON = "_s3_to_azure/ is where manifests and ledgers are; copy it under a blob_prefix"


@pytest.mark.parametrize(
    "name",
    [
        "_s3_to_azure/x",
        "_s3_to_azure",
        "_S3_to_Azure/x",
        "_\u017f3_to_azure/x",
        "/_s3_to_azure/x",
        "///_s3_to_azure/x",
        "./_s3_to_azure/x",
        ".//../_s3_to_azure/x",
        "\\_s3_to_azure\\x",
        "_s3_to_azure\\x",
        "_s3_to_azure./x",
        "%5fs3_to_azure/x",
        "%5Fs3%5fto_azure%2Fx",
        "%255fs3_to_azure/x",
        "%2f_s3_to_azure/x",
        "%2e%2e/_s3_to_azure/x",
        "_s3_to_azure%5Cx",
    ],
)
def test_no_spelling_of_the_reserved_prefix_is_taken(name: str) -> None:
    """A server that ignores case or empty segments, or decodes twice, would reach the records of a sync."""
    assert is_reserved(name)
    assert why_refused(name) == REASON


@pytest.mark.parametrize(
    "name", ["_s3_to_azure_2/x", "a/_s3_to_azure/x", "s3_to_azure/x", "_s3/x", "_", "%", "%zz", "100%/_s3_to_azure"]
)
def test_other_names_are_not_reserved(name: str) -> None:
    """Only the first segment counts, and the whole of it."""
    assert not is_reserved(name)
    assert why_refused(name) is None


@given(key=hostile_names)
def test_an_accepted_name_stays_in_its_container(key: str) -> None:
    """The URL that is sent names this blob, although libraries resolve dot segments, decode and normalize."""
    if why_refused(key) is not None:
        return
    sent = requests.Request("GET", CONTAINER + quote(key, safe="/~")).prepare().url

    assert sent == CONTAINER + quote(key, safe="/~")


@given(key=hostile_names)
def test_no_name_that_is_let_through_is_below_the_reserved_prefix(key: str) -> None:
    """Not even behind hostile characters."""
    for name in (f"{RESERVED}/{key}", f"/{RESERVED}/{key}", f"{RESERVED.upper()}/{key}"):
        assert why_refused(name) is not None


@pytest.mark.parametrize("name", ["", "..", "../finance/x", "a/../../finance/x", "a\\..\\b", "a/b/"])
def test_invalid_names_are_refused(name: str) -> None:
    """With Azure's reason."""
    assert why_refused(name) == why_invalid(name) is not None


@pytest.mark.parametrize("name", ["abc", "landing", "a-1", "1-a-b", "x" * 63, "$root", "$web", "$logs"])
def test_a_container_can_have_a_name(name: str) -> None:
    """Azure's rules, and its special containers."""
    assert why_invalid_container(name) is None


@pytest.mark.parametrize(
    "name",
    [
        *("", "ab", "x" * 64, "A-b", "-ab", "ab-", "a--b", "a_b", "a.b", "..", "a/b", "landing/../finance", "a?b"),
        *("a%2Fb", "landing\n", "a#b", "a\\b", "https://x", "$rootx"),
    ],
)
def test_no_container_can_have_a_name(name: str) -> None:
    """A name with a slash, a query or a dot segment would lead to another container."""
    assert why_invalid_container(name) == ("a container name has 3 to 63 lowercase letters, digits and single hyphens")


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "a.csv",
        ".hidden",
        "a..b",
        "a/.b/c",
        "a/..b/c",
        "/a",
        "a//b",
        " a ",
        "a b/c+d%20&=?#.x",
        "ä/😀/é",
        "{{ ds }}",
        "~",
        "x" * 1024,
        "ä" * 1024,
        "/".join("a" * 254),
    ],
)
def test_azure_accepts_a_name(name: str) -> None:
    """Azure accepts most keys of S3."""
    assert why_invalid(name) is None


@given(segments=st.lists(plain_segments, min_size=1, max_size=10))
def test_azure_accepts_plain_segments(segments: list[str]) -> None:
    """Letters, marks, digits, signs and spaces of all scripts are no reason to refuse."""
    assert why_invalid("/".join(segments)) is None


@pytest.mark.parametrize(
    ("name", "why"),
    [
        pytest.param("", "a blob name cannot be empty", id="empty"),
        pytest.param("x" * 1025, "a blob name has at most 1024 characters; this one has 1025", id="too long"),
        pytest.param("a/b/", "a blob name cannot end with '/'", id="a slash at the end"),
        pytest.param("/", "a blob name cannot end with '/'", id="a slash alone"),
        pytest.param("a/b.", "a blob name cannot end with '.'", id="a dot at the end"),
        pytest.param("..", "a blob name cannot end with '.'", id="dots alone"),
        pytest.param("a\\b", "Azure turns a backslash in a blob name into a slash", id="a backslash"),
        pytest.param(
            "/".join("a" * 255), "a blob name has at most 254 path segments; this one has 255", id="too many segments"
        ),
        pytest.param("/" * 254 + "a", "a blob name has at most 254 path segments; this one has 255", id="slashes"),
        pytest.param("a/./b", "Azure resolves the path segments '.' and '..' in a blob name", id="a dot segment"),
        pytest.param("a/../b", "Azure resolves the path segments '.' and '..' in a blob name", id="two dots"),
        pytest.param("./a", "Azure resolves the path segments '.' and '..' in a blob name", id="a dot in front"),
        pytest.param("../a", "Azure resolves the path segments '.' and '..' in a blob name", id="two dots in front"),
        pytest.param("a./b", "Azure drops the dot at the end of a path segment", id="a segment's last dot"),
        pytest.param("a/b.../c", "Azure drops the dot at the end of a path segment", id="a segment's last dots"),
    ],
)
def test_azure_rejects_a_name(name: str, why: str) -> None:
    """Each of Azure's rules has its own reason, with the actual value."""
    assert why_invalid(name) == why


@pytest.mark.parametrize(
    "character", ["\x00", "\t", "\n", "\r", "\x1f", "\x7f", "\x80", "\x9f", "\ufffe", "\uffff"], ids=ascii
)
@pytest.mark.parametrize("place", ["{}a", "a{}b", "a{}"])
def test_azure_rejects_control_characters(place: str, character: str) -> None:
    """At any position, also at the end."""
    assert why_invalid(place.format(character)) == "Azure takes no control characters in a blob name"


@given(name=texts)
def test_an_accepted_name_obeys_all_rules(name: str) -> None:
    """A name that is accepted breaks no rule, for any text."""
    segments = name.split("/")
    keeps_rules = (
        0 < len(name) <= 1024
        and len(segments) <= 254
        and "\\" not in name
        and not name.endswith("/")
        and not any(segment.endswith(".") for segment in segments)
        and not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in name)
        and not any(character in "\ufffe\uffff" for character in name)
    )

    assert (why_invalid(name) is None) == keeps_rules
