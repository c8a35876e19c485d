"""From keys to blob names, and the names that Azure cannot hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.stream.errors import ConfigurationError
from airflow_s3_azure.sync.naming import Naming, why_refused

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
plain_segments = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Cn"], exclude_characters="/\\."), min_size=1, max_size=20
)


@given(blob_prefix=texts, strip_prefix=texts, rest=texts)
def test_a_name_is_the_key_with_another_front(blob_prefix: str, strip_prefix: str, rest: str) -> None:
    """The stripped prefix is cut off, and the blob prefix put in its place."""
    assert Naming(blob_prefix, strip_prefix).name(strip_prefix + rest) == blob_prefix + rest


@given(blob_prefix=texts, strip_prefix=texts, one=texts, other=texts)
def test_different_keys_have_different_names(blob_prefix: str, strip_prefix: str, one: str, other: str) -> None:
    """No two keys can meet in one blob."""
    naming = Naming(blob_prefix, strip_prefix)

    same = naming.name(strip_prefix + one) == naming.name(strip_prefix + other)

    assert same == (one == other)


@given(blob_prefix=texts, strip_prefix=texts, folder=texts, rest=texts)
def test_names_begin_with_the_name_of_their_prefix(blob_prefix: str, strip_prefix: str, folder: str, rest: str) -> None:
    """Listing that prefix of the container finds the blobs of all keys under the S3 prefix."""
    naming, s3_prefix = Naming(blob_prefix, strip_prefix), strip_prefix + folder

    assert naming.name(s3_prefix + rest).startswith(naming.name(s3_prefix))


def test_a_key_without_the_stripped_prefix_is_refused() -> None:
    """It has no name that would not surprise."""
    with pytest.raises(ConfigurationError, match="key 'b/x' does not begin with strip_prefix 'a/'"):
        Naming(strip_prefix="a/").name("b/x")


def test_prefixes_are_text_and_not_folders() -> None:
    """A slash is where one was written."""
    assert Naming("copy-", "exports/20").name("exports/2026/a.csv") == "copy-26/a.csv"


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
def test_azure_holds_a_name(name: str) -> None:
    """Most of what S3 takes, Azure takes."""
    assert why_refused(name) is None


@given(segments=st.lists(plain_segments, min_size=1, max_size=10))
def test_azure_holds_plain_segments(segments: list[str]) -> None:
    """Letters, marks, digits, signs and spaces of all scripts are no reason to refuse."""
    assert why_refused("/".join(segments)) is None


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
def test_azure_cannot_hold_a_name(name: str, why: str) -> None:
    """Each of Azure's rules has its reason, told with what was found."""
    assert why_refused(name) == why


@pytest.mark.parametrize(
    "character", ["\x00", "\t", "\n", "\r", "\x1f", "\x7f", "\x80", "\x9f", "\ufffe", "\uffff"], ids=ascii
)
@pytest.mark.parametrize("place", ["{}a", "a{}b", "a{}"])
def test_azure_takes_no_control_characters(place: str, character: str) -> None:
    """Wherever they stand, also at the end."""
    assert why_refused(place.format(character)) == "Azure takes no control characters in a blob name"


@given(name=texts)
def test_a_name_that_azure_holds_keeps_all_rules(name: str) -> None:
    """Whatever the text, a name that is let through breaks no rule."""
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

    assert (why_refused(name) is None) == keeps_rules
