"""Which of the listed objects a sync is about."""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.sync.listed_object import ListedObject
from airflow_s3_azure.sync.select import Selection, glob_pattern, is_folder_placeholder
from tests.examples import examples

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)

keys = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
literal_globs = st.text(string.printable.replace("*", "").replace("?", ""), min_size=1, max_size=20)


wild_texts = st.text(st.sampled_from("aab/*?"), max_size=12) | st.lists(
    st.sampled_from(["**/", "**", "*", "?", "/", "a", "b", "ab", "a/"]), max_size=9
).map("".join)


def backtracking_pattern(glob: str) -> re.Pattern[str]:
    """Return the plain translation of a glob, which says what it means, and may take exponential time."""
    parts = re.split(r"((?:^|(?<=/))\*\*/|\*\*|\*|\?)", glob)
    regex = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(regex.get(part, re.escape(part)) for part in parts), re.DOTALL)


def listed(
    key: str = "a.csv", *, size: int = 5, modified: datetime = NOON, storage_class: str = "STANDARD"
) -> ListedObject:
    """Return a line of a listing."""
    return ListedObject(key, size, "etag", modified, storage_class)


def matches(glob: str, key: str) -> bool:
    """Return whether a glob matches a whole key."""
    return glob_pattern(glob).fullmatch(key) is not None


@pytest.mark.parametrize(
    ("glob", "key"),
    [
        ("a.csv", "a.csv"),
        ("*.csv", "a.csv"),
        ("*.csv", ".csv"),
        ("a/*.csv", "a/b.csv"),
        ("a/*/c.csv", "a/b/c.csv"),
        ("*/*", "a/b"),
        ("*/", "a/"),
        ("*", "line\nbreak"),
        ("?.csv", "ä.csv"),
        ("?.csv", "😀.csv"),
        ("?.csv", "\n.csv"),
        ("**", "a"),
        ("**", "a/b/c"),
        ("**", "/"),
        ("**", "a\n/b"),
        ("**/a.csv", "a.csv"),
        ("**/a.csv", "x/a.csv"),
        ("**/a.csv", "x/y/a.csv"),
        ("**/a.csv", "/a.csv"),
        ("a/**/b", "a/b"),
        ("a/**/b", "a/x/b"),
        ("a/**/b", "a/x/y/b"),
        ("a/**", "a/"),
        ("a/**", "a/b/c"),
        ("a/**.csv", "a/b/c.csv"),
        ("***", "a/b"),
        ("a//b", "a//b"),
        ("a/*/b", "a//b"),
        ("", ""),
    ],
)
def test_a_glob_matches(glob: str, key: str) -> None:
    """``*`` and ``?`` stay within a level, ``**`` does not."""
    assert matches(glob, key)


@settings(max_examples=examples(5))
@given(glob=wild_texts, key=st.text(st.sampled_from("aab/\n"), max_size=12))
def test_a_glob_means_what_its_plain_translation_means(glob: str, key: str) -> None:
    """The translation that does not backtrack matches the same keys."""
    assert matches(glob, key) == (backtracking_pattern(glob).fullmatch(key) is not None)


@pytest.mark.parametrize(
    ("glob", "key"),
    [
        ("*a" * 64 + "b", "a" * 1024),
        ("**a" * 64 + "b", "a" * 1024),
        ("**/a" * 64 + "b", "a/" * 512),
        ("**/*a" * 64 + "b", "a/" * 512),
        ("**a*b" * 64, "ab/" * 320 + "a" * 64),
        ("*a*" * 64 + "/b", "a" * 1024),
        ("**/" * 300 + "b", "/" * 1024),
        ("**" + "*?" * 300, "a/" * 512),
        ("**" + "a" * 500 + "*b", "a" * 1024),
    ],
)
def test_no_glob_backtracks_without_end(glob: str, key: str) -> None:
    """Keys come from anyone who may write to the bucket. A matcher that backtracks would take years."""
    assert not matches(glob, key)


@pytest.mark.parametrize(
    ("glob", "key"),
    [
        ("a.csv", "b/a.csv"),
        ("a.csv", "a.csv.gz"),
        ("a.csv", "a.csv\n"),
        ("a.csv", "axcsv"),
        ("a.csv", "A.CSV"),
        ("*.csv", "a/b.csv"),
        ("a/*", "a/b/c"),
        ("*", "a/"),
        ("?", ""),
        ("?", "/"),
        ("?", "ab"),
        ("**/a.csv", "xa.csv"),
        ("a/**/b", "a/xb"),
        ("a/**/b", "ab"),
        ("a/**", "a"),
        ("", "a"),
    ],
)
def test_a_glob_does_not_match(glob: str, key: str) -> None:
    """It is matched against the whole key, with its case, and all other characters are literal."""
    assert not matches(glob, key)


def test_stars_behind_a_name_keep_the_slash() -> None:
    """``logs**/x`` needs a slash before ``x``, so ``logsx`` has no reason to match."""
    assert not matches("logs**/x", "logsx")


@given(key=literal_globs)
def test_a_glob_without_wildcards_matches_itself(key: str) -> None:
    """Every character that is special in regular expressions, and the newline, is literal."""
    assert matches(key, key)


@given(glob=literal_globs, key=keys)
def test_a_glob_without_wildcards_matches_nothing_else(glob: str, key: str) -> None:
    """It is one key."""
    assert matches(glob, key) == (glob == key)


@given(key=keys)
def test_two_stars_match_every_key(key: str) -> None:
    """Any key that S3 takes."""
    assert matches("**", key)


@given(key=keys)
def test_one_star_matches_every_key_without_a_slash(key: str) -> None:
    """A level is the text between two slashes."""
    assert matches("*", key) == ("/" not in key)


@given(head=keys, tail=keys)
def test_a_star_stands_for_any_part_of_a_level(head: str, tail: str) -> None:
    """Also where its neighbours hold newlines or characters of regular expressions."""
    middle = "x\n.+"

    assert glob_pattern("*".join(map(_literal, (head, tail)))).fullmatch(_literal(head) + middle + _literal(tail))


def _literal(text: str) -> str:
    return text.replace("*", "+").replace("?", "+")


@given(key=keys)
def test_everything_is_selected_by_default(key: str) -> None:
    """A selection without arguments leaves nothing out."""
    assert listed(key) in Selection()


@pytest.mark.parametrize(
    ("include", "exclude", "selected"),
    [
        (["*.csv"], [], True),
        (["*.json", "*.csv"], [], True),
        (["*.json"], [], False),
        ([], ["*.json"], True),
        ([], ["*.csv"], False),
        (["*.csv"], ["a*"], False),
        (["*.csv"], ["b*", "c*"], True),
    ],
)
def test_one_include_and_no_exclude_must_match(*, include: list[str], exclude: list[str], selected: bool) -> None:
    """Exclusion wins."""
    assert (listed("a.csv") in Selection(include=include, exclude=exclude)) is selected


@pytest.mark.parametrize(
    ("modified", "selected"),
    [(NOON - SECOND, False), (NOON, True), (NOON + SECOND, True)],
    ids=["before", "at", "after"],
)
def test_modified_since_includes_its_moment(*, modified: datetime, selected: bool) -> None:
    """The window is closed on the left."""
    assert (listed(modified=modified) in Selection(modified_since=NOON)) is selected


@pytest.mark.parametrize(
    ("modified", "selected"),
    [(NOON - SECOND, True), (NOON, False), (NOON + SECOND, False)],
    ids=["before", "at", "after"],
)
def test_modified_before_excludes_its_moment(*, modified: datetime, selected: bool) -> None:
    """The window is open on the right, so that two that follow each other share nothing."""
    assert (listed(modified=modified) in Selection(modified_before=NOON)) is selected


@given(hours=st.integers(-48, 48), offset=st.integers(-24, 24))
def test_adjacent_windows_select_each_object_once(hours: int, offset: int) -> None:
    """Runs that follow each other lose nothing and take nothing twice."""
    edge = NOON + timedelta(hours=offset)
    windows = [Selection(modified_before=edge), Selection(modified_since=edge)]
    item = listed(modified=NOON + timedelta(hours=hours))

    assert sum(item in window for window in windows) == 1


def test_times_are_compared_across_time_zones() -> None:
    """Noon in Berlin is before noon in London."""
    berlin = NOON.replace(tzinfo=timezone(timedelta(hours=1)))

    assert listed(modified=berlin) not in Selection(modified_since=NOON)


@pytest.mark.parametrize("name", ["modified_since", "modified_before"])
def test_a_naive_time_is_refused(name: str) -> None:
    """Its moment is ambiguous."""
    with pytest.raises(ConfigurationError, match=f"{name} is 2026-11-01T12:00:00, without a time zone"):
        Selection(**{name: NOON.replace(tzinfo=None)})  # type: ignore[arg-type]


@pytest.mark.parametrize("since", [NOON, NOON + SECOND], ids=["the same", "later"])
def test_an_empty_window_is_refused(since: datetime) -> None:
    """A sync that can select nothing is a mistake."""
    with pytest.raises(ConfigurationError, match="no object can be selected"):
        Selection(modified_since=since, modified_before=NOON)


@pytest.mark.parametrize(
    ("limits", "selected"),
    [
        ({"min_size": 5}, True),
        ({"min_size": 6}, False),
        ({"max_size": 5}, True),
        ({"max_size": 4}, False),
        ({"min_size": 5, "max_size": 5}, True),
        ({"max_size": 0}, False),
    ],
)
def test_limits_of_size_include_themselves(*, limits: dict[str, int], selected: bool) -> None:
    """An object of exactly that size is selected."""
    assert (listed(size=5) in Selection(**limits)) is selected  # type: ignore[arg-type]


def test_the_empty_objects_are_selected_by_a_largest_size_of_zero() -> None:
    """Zero is a limit, and not none."""
    assert listed(size=0) in Selection(max_size=0)


def test_a_minimum_above_the_maximum_is_refused() -> None:
    """A sync that can select nothing is a mistake."""
    with pytest.raises(ConfigurationError, match=r"min_size \(6\) is above max_size \(5\): no object can be selected"):
        Selection(min_size=6, max_size=5)


@pytest.mark.parametrize(
    ("wanted", "selected"),
    [((), True), (("STANDARD_IA",), True), (("STANDARD", "STANDARD_IA"), True), (("STANDARD",), False)],
)
def test_an_object_has_one_of_the_storage_classes(*, wanted: tuple[str, ...], selected: bool) -> None:
    """By its whole name."""
    assert (listed(storage_class="STANDARD_IA") in Selection(storage_classes=wanted)) is selected


@pytest.mark.parametrize(
    ("key", "size", "is_marker"), [("a/", 0, True), ("a/", 1, False), ("a", 0, False), ("/", 0, True)]
)
def test_a_folder_marker_is_empty_and_ends_in_a_slash(*, key: str, size: int, is_marker: bool) -> None:
    """Anything with bytes is an object."""
    assert is_folder_placeholder(listed(key, size=size)) is is_marker
