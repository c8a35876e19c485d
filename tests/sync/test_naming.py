"""From keys to blob names, and the names that Azure cannot hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from time import process_time
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.azure.blob_names import why_refused
from airflow_s3_azure.engine.errors import ConfigurationError
from airflow_s3_azure.sync.naming import Naming

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
odd_texts = st.text("ab./%\\\n{}~é", max_size=8)
RESERVED = "but _s3_to_azure/ is reserved for manifests and ledgers; choose another blob_prefix or blob_template"
RESERVED_FRONTS = ["_s3_to_azure/", "/_s3_to_azure/", "_S3_to_azure/x/", "%5fs3_to_azure/"]
MODIFIED = datetime(2026, 11, 30, 23, 30, tzinfo=UTC)
fields = st.sampled_from(["{key}", "{folder}", "{name}", "{stem}", "{extension}", "{last_modified:%Y}"])
templates = st.lists(fields | st.sampled_from(["x", ".", "/", "%", "{{", "x/", "x."]), min_size=1).map("".join)
namings = st.builds(lambda template, rename: Naming(template=template, rename=rename), templates, st.booleans()) | (
    st.builds(lambda blob_prefix, rename: Naming(blob_prefix, rename=rename), odd_texts, st.booleans())
)


@given(blob_prefix=texts, strip_prefix=texts, rest=texts)
def test_a_name_is_the_key_with_another_front(blob_prefix: str, strip_prefix: str, rest: str) -> None:
    """The blob prefix replaces the stripped prefix."""
    assert Naming(blob_prefix, strip_prefix).name(strip_prefix + rest) == blob_prefix + rest


@given(blob_prefix=texts, strip_prefix=texts, one=texts, other=texts)
def test_different_keys_have_different_names(blob_prefix: str, strip_prefix: str, one: str, other: str) -> None:
    """No two keys can meet in one blob."""
    naming = Naming(blob_prefix, strip_prefix)

    same = naming.name(strip_prefix + one) == naming.name(strip_prefix + other)

    assert same == (one == other)


@given(blob_prefix=texts | odd_texts, strip_prefix=odd_texts, folder=odd_texts, rest=odd_texts, rename=st.booleans())
def test_names_begin_with_the_prefix_that_is_listed(
    blob_prefix: str, strip_prefix: str, folder: str, rest: str, *, rename: bool
) -> None:
    """Listing it finds the blobs of all keys under the S3 prefix, and each of them counts as one of theirs."""
    naming, s3_prefix = Naming(blob_prefix, strip_prefix, rename=rename), strip_prefix + folder
    name = naming.name(s3_prefix + rest)

    assert name.startswith(naming.common_prefix(s3_prefix))
    assert naming.covers(name, s3_prefix)
    assert naming.separates(s3_prefix)


@given(template=templates, s3_prefix=odd_texts, rest=odd_texts, rename=st.booleans())
def test_names_from_a_template_begin_with_the_prefix_that_is_listed(
    template: str, s3_prefix: str, rest: str, *, rename: bool
) -> None:
    """For any beginning of the template."""
    naming = Naming(template=template, rename=rename)
    name = naming.name(s3_prefix + rest, MODIFIED)

    assert name.startswith(naming.common_prefix(s3_prefix))
    assert naming.covers(name, s3_prefix)


@given(naming=namings, s3_prefix=odd_texts, key=odd_texts)
def test_a_blob_that_is_not_covered_is_of_no_key_under_the_prefix(naming: Naming, s3_prefix: str, key: str) -> None:
    """Deletion is limited to the plan's own blobs, so no other key may have a blob among them."""
    name = naming.name(key, MODIFIED)
    is_ours = name.startswith(naming.common_prefix(s3_prefix)) and naming.covers(name, s3_prefix)

    if naming.separates(s3_prefix) and s3_prefix and is_ours:
        assert key.startswith(s3_prefix)


@pytest.mark.parametrize(
    ("name", "covered"),
    [("a/b/x", True), ("a/b%2F", True), ("a/bc/x", False), ("a/b", False), ("a/b.x", False), ("a/b%25", False)],
)
def test_a_renaming_sync_distinguishes_its_own_blobs_from_their_neighbours(*, name: str, covered: bool) -> None:
    """What it lists begins with ``a/b``, because the key ``a/b/`` becomes ``a/b%2F``."""
    naming = Naming(rename=True)

    assert name.startswith(naming.common_prefix("a/b/"))
    assert naming.covers(name, "a/b/") is covered


@pytest.mark.parametrize(
    ("template", "s3_prefix", "listed", "separates"),
    [
        ("{key}", "a/b", "a/b", True),
        ("x/{key}.bak", "a/b", "x/a/b", True),
        ("x/{folder}y-{name}", "a/b/", "x/a/b/", True),
        ("x/{folder}y-{name}", "a/b", "x/a/", False),
        ("x/{name}", "a/", "x/", False),
        ("x/{name}", "", "x/", True),
        ("{last_modified:%Y}/{key}", "a/", "", False),
        ("{last_modified:%Y}/{key}", "", "", True),
        ("x", "a/", "x", False),
    ],
)
def test_a_template_separates_keys_of_two_prefixes_or_not(
    *, template: str, s3_prefix: str, listed: str, separates: bool
) -> None:
    """Only where it begins with the whole prefix are the blobs under it those of this prefix and no other."""
    naming = Naming(template=template)

    assert (naming.common_prefix(s3_prefix), naming.separates(s3_prefix)) == (listed, separates)


@pytest.mark.parametrize(
    ("s3_prefix", "listed"),
    [("a/b/", "a/b"), ("a/b", "a/b"), ("a./b%", "a%2E/b%25"), ("a.", "a"), ("a..", "a."), ("/", ""), ("", "")],
)
def test_a_renaming_sync_lists_no_more_than_it_must(s3_prefix: str, listed: str) -> None:
    """Only a dot or a slash at the prefix's end may become something else, by what follows."""
    assert Naming(rename=True).common_prefix(s3_prefix) == listed


@pytest.mark.parametrize(
    ("key", "template", "name"),
    [
        ("a/b/report.2026.csv", "{key}", "a/b/report.2026.csv"),
        ("a/b/report.2026.csv", "{folder}", "a/b/"),
        ("a/b/report.2026.csv", "{name}", "report.2026.csv"),
        ("a/b/report.2026.csv", "{stem}", "report.2026"),
        ("a/b/report.2026.csv", "{extension}", ".csv"),
        ("a/b/report.2026.csv", "{folder}{stem}{extension}", "a/b/report.2026.csv"),
        ("report", "[{folder}]{stem}|{extension}", "[]report|"),
        ("a/.hidden", "{stem}|{extension}", ".hidden|"),
        ("a/.hidden.gz", "{stem}|{extension}", ".hidden|.gz"),
        ("a/report.", "{stem}|{extension}", "report|."),
        ("a.b/report", "{stem}|{extension}", "report|"),
        ("a/", "{folder}|{name}|{stem}|{extension}", "a/|||"),
        ("/a", "{folder}|{name}", "/|a"),
        ("a//b", "{folder}|{name}", "a//|b"),
        ("a", "{{{key}}}", "{a}"),
        ("{key}", "x/{key}", "x/{key}"),
        ("a", "{last_modified:%Y/%m/%d/%H}/{key}", "2026/11/30/23/a"),
        ("a", "{last_modified:%A}", "Monday"),
    ],
)
def test_a_template_makes_the_name(key: str, template: str, name: str) -> None:
    """Of the key's parts, and the time in UTC."""
    berlin = MODIFIED.astimezone(timezone(timedelta(hours=1)))

    assert Naming(template=template).name(key, berlin) == name


@given(key=odd_texts)
def test_the_parts_of_a_key_are_the_key(key: str) -> None:
    """No part is lost between them."""
    assert Naming(template="{folder}{name}").name(key) == key
    assert Naming(template="{folder}{stem}{extension}").name(key) == key


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"template": "{size}"}, r"has the field {size}; there are {key}, {folder}, {name}, {stem}, {extension}, "),
        ({"template": "{}"}, r"has the field {}"),
        ({"template": "{key.x}"}, r"has the field {key.x}"),
        ({"template": "{key[0]}"}, r"has the field {key\[0\]}"),
        ({"template": "{key!r}"}, r"has the field {key}"),
        ({"template": "{key:>10}"}, r"the field {key} takes no format"),
        ({"template": "{key:>1000000000}"}, r"the field {key} takes no format"),
        ({"template": "{key.__class__}"}, r"has the field {key.__class__}"),
        ({"template": "{last_modified.__class__:%Y}"}, r"has the field {last_modified.__class__}"),
        ({"template": "{last_modified:%99999999Y}"}, r"has the format '%99999999Y'; it takes text and strftime's"),
        ({"template": "{last_modified:{key}}"}, r"has the format '{key}'; it takes text and strftime's"),
        ({"template": "{key}" * 1000}, r"blob_template has 5,000 characters; a blob name has at most 1,024"),
        ({"template": "{last_modified}"}, r"needs a format for last_modified, as {last_modified:%Y/%m/%d}"),
        ({"template": "{key"}, r"'{key' is not a template: expected '}' before end of string"),
        ({"template": "key}"}, r"'key}' is not a template: Single '}'"),
        (
            {"template": "{key}", "blob_prefix": "a"},
            "blob_template cannot be combined with blob_prefix or strip_prefix",
        ),
        *(({"template": f"{front}{{key}}"}, RESERVED) for front in RESERVED_FRONTS),
        *(({"blob_prefix": front}, RESERVED) for front in RESERVED_FRONTS),
        (
            {"template": "{key}", "strip_prefix": "a"},
            "blob_template cannot be combined with blob_prefix or strip_prefix",
        ),
    ],
)
def test_an_unusable_template_is_refused(arguments: dict[str, str], error: str) -> None:
    """Before anything is listed."""
    with pytest.raises(ConfigurationError, match=error):
        Naming(**arguments)  # type: ignore[arg-type]


def test_a_template_that_needs_a_time_needs_a_time() -> None:
    """A list of keys has none."""
    with pytest.raises(ConfigurationError, match="needs last_modified, which is unknown here"):
        Naming(template="{last_modified:%Y}").name("a")


@pytest.mark.parametrize(
    ("naming", "keeps"),
    [
        (Naming(), True),
        (Naming("in/", "out/"), True),
        (Naming(template="{key}"), False),
        (Naming(rename=True), False),
    ],
)
def test_names_sort_as_their_keys_or_not(*, naming: Naming, keeps: bool) -> None:
    """Renaming and templates change the order."""
    assert naming.keeps_order is keeps


@given(blob_prefix=odd_texts, one=odd_texts, other=odd_texts)
def test_prefixes_keep_the_order(blob_prefix: str, one: str, other: str) -> None:
    """So two listings can be compared as they come."""
    name = Naming(blob_prefix).name

    assert (name(one).encode() < name(other).encode()) == (one.encode() < other.encode())


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("a/b.csv", "a/b.csv"),
        ("100%", "100%25"),
        ("a\\b", "a%5Cb"),
        ("a\nb", "a%0Ab"),
        ("a\x85b", "a%C2%85b"),
        ("a\uffff", "a%EF%BF%BF"),
        ("a.", "a%2E"),
        ("a./b", "a%2E/b"),
        ("a../b", "a.%2E/b"),
        ("./a", "%2E/a"),
        ("../a", ".%2E/a"),
        ("a/", "a%2F"),
        ("a//", "a/%2F"),
        ("a./", "a%2E%2F"),
        ("a/.", "a/%2E"),
        ("é 😀+&", "é 😀+&"),
    ],
)
def test_what_azure_rejects_is_renamed(key: str, name: str) -> None:
    """And the sign that renames, and nothing else."""
    assert Naming(rename=True).name(key) == name


@given(key=texts | odd_texts)
def test_renaming_is_reversible_and_makes_a_name_that_azure_accepts(key: str) -> None:
    """Unless there are too many characters or segments, or none."""
    name = Naming(rename=True).name(key)

    assert unquote(name) == key
    assert why_refused(name) is None or not key


@pytest.mark.parametrize("key", ["x" * 1025, "%" * 500, "/" * 255, ""])
def test_renaming_does_not_shorten(key: str) -> None:
    """What is too long, or nothing, has no name in Azure."""
    assert why_refused(Naming(rename=True).name(key)) is not None


def test_a_key_without_the_stripped_prefix_is_refused() -> None:
    """It has no name that would not surprise."""
    with pytest.raises(ConfigurationError, match="key 'b/x' does not begin with strip_prefix 'a/'"):
        Naming(strip_prefix="a/").name("b/x")


def test_prefixes_are_text_and_not_folders() -> None:
    """A slash is where one was written."""
    assert Naming("copy-", "exports/20").name("exports/2026/a.csv") == "copy-26/a.csv"


@pytest.mark.parametrize("rename", [False, True])
@given(blob_prefix=texts, strip_prefix=texts, rest=texts | odd_texts)
def test_the_key_of_a_name_with_prefixes_is_known(
    *, rename: bool, blob_prefix: str, strip_prefix: str, rest: str
) -> None:
    """And a name with another front is that of no key."""
    naming = Naming(blob_prefix, strip_prefix, rename=rename)

    assert naming.key_of(naming.name(strip_prefix + rest)) == strip_prefix + rest
    assert Naming("in/").key_of("out/a") is None


@pytest.mark.parametrize(
    "key", ["a", "a/b/report.2026.csv", "a/.hidden", "a.d/b", "line\nbreak/x.y", "a/b.c/", "/x//y."]
)
@pytest.mark.parametrize(
    "template",
    [
        "{key}",
        "copy/{key}.bak",
        "{folder}{last_modified:%Y/%m/%d}/{name}",
        "{folder}{last_modified:%Y-%j}-{stem}{extension}",
        "{folder}{stem}-{last_modified:%Y%%%m}{extension}",
        "{folder}{last_modified:%Y%m%d%H%M%S}-{stem}{extension}",
        "{folder}{last_modified:%-d.%-m.%y %B %A %H-%M}/{name}",
        "{folder}{last_modified:%D %T}/{name}",
        "{key}/{name}",
    ],
)
def test_the_key_of_a_name_from_a_template_is_known(template: str, key: str) -> None:
    """If the template has the whole key."""
    naming = Naming(template=template, rename=True)

    assert naming.key_of(naming.name(key, MODIFIED)) == key


@pytest.mark.parametrize("template", ["{name}", "{folder}{stem}.parquet", "{last_modified:%Y}/{name}", "all"])
def test_the_key_of_a_name_from_a_template_without_the_whole_key_is_unknown(template: str) -> None:
    """Several keys could get it."""
    naming = Naming(template=template)

    assert naming.key_of(naming.name("a/b.csv", MODIFIED)) is None


@pytest.mark.parametrize("rest", ["1" * 1_000, "1/" * 250 + "x", "a-" * 400, "." * 900, "/" * 200])
@pytest.mark.parametrize("time", ["%Y%m%d%H%M%S", "%-Y%-m%-d%-H%-M%-S", "%A%B", "%Y/%m/%d"])
def test_no_name_takes_long_to_read(time: str, rest: str) -> None:
    """Others may write any name into the container, and a plan reads all of them."""
    naming = Naming(template=f"{{folder}}{{last_modified:{time}}}_{{stem}}{{extension}}")
    began = process_time()

    naming.key_of(rest)

    assert process_time() - began < 1
