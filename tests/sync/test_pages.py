"""Entries that are taken out of a document as text are those that the XML parser reads; and nothing else is accepted."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_s3_azure.engine.properties import SourceRecord
from airflow_s3_azure.sync.blob_page import read_blobs
from airflow_s3_azure.sync.object_page import read_objects
from airflow_s3_azure.sync.page import MalformedPage

TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), min_size=1, max_size=8
)
NAMES = st.lists(TEXT, max_size=4)
METADATA = st.dictionaries(
    st.sampled_from(
        [
            "a",
            "_1",
            "Ünder_score",
            "Blob",
            "Metadata",
            "OrMetadata",
            "Properties",
            "Name",
            "Etag",
            "s3_source_etag",
            "s3_source_size",
            "S3_Source_Version_ID",
            "s3_source_checksum",
            "s3_source_crc64nvme",
            "hdi_isfolder",
            "AccessTier",
            "BlobType",
        ]
    ),
    TEXT | st.sampled_from(["", "5", "true", "Archive", "PageBlob", "AAAAAAAAAAA=", "CRC64NVME:AAAAAAAAAAA="]),
)


RESTORES = {
    "<RestoreStatus><IsRestoreInProgress>true</IsRestoreInProgress></RestoreStatus>": "ongoing",
    "<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress>"
    "<RestoreExpiryDate>2026-12-21T00:00:00.000Z</RestoreExpiryDate></RestoreStatus>": "done",
    "<RestoreStatus />": "",
    "<RestoreStatus></RestoreStatus>": "",
    "<RestoreStatus><IsRestoreInProgress>maybe</IsRestoreInProgress></RestoreStatus>": "",
    "<RestoreStatus><Other>true</Other></RestoreStatus>": "",
}
"""The status of a restore in a listing, and what it means."""


def blob_document(names: list[str], metadata: dict[str, str], properties: str = "") -> bytes:
    """Return a page of blobs as Azure writes it.

    :param properties: elements of each blob beside its time, ETag and size
    """
    pairs = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in metadata.items())
    entries = (
        f"<Blob><Name>{escape(name)}</Name><Properties><Last-Modified>Fri, 27 Nov 2026 15:24:52 GMT</Last-Modified>"
        f"<Etag>0x8D{number}</Etag><Content-Length>{number}</Content-Length><Content-MD5 />{properties}</Properties>"
        f"<Metadata>{pairs}</Metadata><OrMetadata /></Blob>"
        for number, name in enumerate(names)
    )
    head = '\ufeff<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="c"><Blobs>'
    return f"{head}{''.join(entries)}</Blobs><NextMarker>m</NextMarker></EnumerationResults>".encode()


def object_document(
    names: list[str], *, is_encoded: bool, quote_mark: str = "&quot;", restore: str = "", after: str = ""
) -> bytes:
    """Return a page of objects as S3 writes it."""
    keys = [quote(name, safe="/") if is_encoded else escape(name) for name in names]
    entries = (
        f"<Contents><Key>{key}</Key><LastModified>2026-11-27T15:24:52.000Z</LastModified>"
        f"<ETag>{quote_mark}{number:032x}{quote_mark}</ETag><ChecksumAlgorithm>CRC32</ChecksumAlgorithm>"
        f"{restore}<Size>{number}</Size><StorageClass>GLACIER</StorageClass>{after}</Contents>"
        for number, key in enumerate(keys)
    )
    encoding = "<EncodingType>url</EncodingType>" if is_encoded else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<IsTruncated>true</IsTruncated>{encoding}{''.join(entries)}<NextContinuationToken>t</NextContinuationToken>"
        "</ListBucketResult>"
    ).encode()


def for_parser(document: bytes) -> bytes:
    """Return a document in another encoding, so that the XML parser reads all of it."""
    text = document.decode().removeprefix("\ufeff")
    return re.sub("utf-8", "utf-16", text, count=1, flags=re.IGNORECASE).encode("utf-16")


def outcome(read: Callable[[bytes], Any], document: bytes) -> Any:
    """Return the page, or the class of the error."""
    try:
        return read(document)
    except MalformedPage as error:
        return type(error)


@given(
    names=NAMES,
    metadata=METADATA,
    blob_type=st.sampled_from(
        ["", "<BlobType>BlockBlob</BlobType>", "<BlobType>AppendBlob</BlobType>", "<BlobType />"]
    ),
    tier=st.sampled_from(["", "<AccessTier>Hot</AccessTier>", "<AccessTier>Archive</AccessTier>", "<AccessTier/>"]),
)
def test_blobs_are_read_as_the_xml_parser_reads_them(
    names: list[str], metadata: dict[str, str], blob_type: str, tier: str
) -> None:
    """Whatever the names, and the names and values of metadata, are."""
    document = blob_document(names, metadata, blob_type + tier)

    page = read_blobs(document, with_directories=True)

    assert page == read_blobs(for_parser(document), with_directories=True)
    assert read_blobs(document) == read_blobs(for_parser(document))
    assert (page.names, page.next) == (names, "m")
    conflict = "archived" if ">Archive<" in tier else "append_blob" if "Append" in blob_type else None
    conflict = "directory" if metadata.get("hdi_isfolder") == "true" else conflict
    assert {state.conflict for _, state in page.entries} <= {conflict}


@given(
    record=st.builds(
        SourceRecord,
        TEXT,
        st.integers(0, 10**18 - 1),
        st.none() | TEXT,
        st.none() | st.datetimes(timezones=st.just(UTC)),
        st.none() | st.sampled_from(["CRC64NVME:AAAAAAAAAAA=", "CRC32C:4waSgw==-12"]),
        st.none() | TEXT,
        st.none() | st.just("AAAAAAAAAAA="),
    ),
    data=st.data(),
)
def test_the_record_of_a_blob_is_read(record: SourceRecord, data: st.DataObject) -> None:
    """In whatever order its fields are listed, with user metadata before, between or after them or without."""
    user = data.draw(st.sampled_from([{}, {"team": "etl"}]))
    fields = data.draw(st.permutations([*record.as_metadata().items(), *user.items()]))

    page = read_blobs(blob_document(["a"], dict(fields), "<BlobType>BlockBlob</BlobType>"))

    assert [state.record for _, state in page.entries] == [record]


@given(
    names=NAMES,
    is_encoded=st.booleans(),
    quote_mark=st.sampled_from(["&quot;", "&#34;", '"', ""]),
    restore=st.sampled_from(["", *RESTORES]),
    after=st.sampled_from(["", *RESTORES]),
)
def test_objects_are_read_as_the_xml_parser_reads_them(
    names: list[str], *, is_encoded: bool, quote_mark: str, restore: str, after: str
) -> None:
    """Keys encoded or not, ETags with any form of quotes, with or without the status of a restore."""
    document = object_document(
        names, is_encoded=is_encoded, quote_mark=quote_mark, restore=restore, after="" if restore else after
    )

    page = read_objects(document)

    assert page == read_objects(for_parser(document))
    assert (page.names, page.next) == (names, "t")


FRAGMENTS = [
    *("<!-- x -->", "<!--", "-->", "<![CDATA[x]]>", "]]>", "<?x y?>", "<x/>", "<x>", "</x>", "<x y='z' />"),
    *(
        "<Blob>",
        "</Blob>",
        "<Properties>",
        "</Properties>",
        "<Metadata>",
        "</Metadata>",
        "<Metadata />",
        "<BlobType />",
    ),
    *("<Contents>", "</Contents>", "<Size>", "<Key>"),
    *(
        "<",
        ">",
        "&",
        ";",
        "&amp;",
        "&#65;",
        "&bogus;",
        '"',
        " ",
        "\n",
        "\r",
        "\t",
        "\x01",
        "\x7f",
        "\ufffe",
        "\uffff",
        "\ufffd",
        "é",
    ),
]
"""What no service writes there, or what another version of it may write."""


@given(
    document=st.sampled_from(
        [
            blob_document(
                ["a&b", "c"],
                {"s3_source_etag": "e", "s3_source_size": "5", "t": "<x>"},
                "<BlobType>BlockBlob</BlobType>",
            ),
            blob_document(["a", "é"], {}, "<BlobType>AppendBlob</BlobType><AccessTier>Archive</AccessTier>"),
            object_document(["a&b", "c"], is_encoded=True, restore=next(iter(RESTORES))),
            object_document(["a&b", "é"], is_encoded=False),
        ]
    ),
    fragments=st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=2),
    data=st.data(),
)
@settings(max_examples=400)
def test_an_unusual_page_is_read_as_the_xml_parser_reads_it(
    document: bytes, fragments: list[str], data: st.DataObject
) -> None:
    """Or refused, as the parser refuses it."""
    read, text = read_blobs if b"<Blobs>" in document else read_objects, document.decode()
    for fragment in fragments:
        # A fragment in the declaration, which ends with a line or before the root, could change the encoding.
        place = data.draw(st.integers(text.index("<", 5), len(text)))
        text = text[:place] + fragment + text[place:]

    assert outcome(read, text.encode()) == outcome(read, for_parser(text.encode()))


@pytest.mark.parametrize(("status", "restore"), RESTORES.items())
def test_a_listing_shows_whether_an_archived_object_is_restored(status: str, restore: str) -> None:
    """Only one whose restore is done can be read; what is not known counts as archived."""
    before, after = (
        read_objects(object_document(["a"], is_encoded=True, **{place: status})).entries
        for place in ("restore", "after")
    )

    assert before == after
    assert [(one.restore, one.is_archived) for one in before] == [(restore, restore != "done")]


@pytest.mark.parametrize("key", ["a\nb", "a+b c%20", "\x01", "\ud7ff\U0010ffff", "//", " "])
def test_keys_that_xml_cannot_hold_are_decoded(key: str) -> None:
    """Beside others."""
    names = sorted(["A", key, "zz"])

    assert read_objects(object_document(names, is_encoded=True)).names == names


def test_a_key_that_is_not_utf_8_is_refused() -> None:
    """Its request would be for another key."""
    document = object_document(["KEY"], is_encoded=True).replace(b"KEY", b"a%FF")

    with pytest.raises(MalformedPage, match="a key is not UTF-8"):
        read_objects(document)


@pytest.mark.parametrize(
    ("read", "document"),
    [(read_blobs, blob_document(["a", "b"], {"a": "b"})), (read_objects, object_document(["a", "b"], is_encoded=True))],
    ids=["blobs", "objects"],
)
def test_no_part_of_a_page_may_be_missing(read: Callable[[bytes], Any], document: bytes) -> None:
    """Wherever it is truncated."""
    for length in range(len(document)):
        with pytest.raises(MalformedPage):
            read(document[:length])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_page_may_have_another_encoding(encoding: str) -> None:
    """As XML allows it."""
    text = object_document(["a"], is_encoded=True).decode().replace("UTF-8", encoding.removesuffix("-sig"))

    assert read_objects(text.encode(encoding)).names == ["a"]


def test_a_truncated_page_without_a_token_is_refused() -> None:
    """What follows would be lost."""
    document = object_document(["a"], is_encoded=True).replace(b"NextContinuationToken", b"Other")

    with pytest.raises(MalformedPage, match="no token for the next page"):
        read_objects(document)


@pytest.mark.parametrize("form", [bytes, for_parser], ids=["text", "parser"])
def test_a_page_with_a_token_that_does_not_say_whether_it_is_truncated_is_refused(
    form: Callable[[bytes], bytes],
) -> None:
    """As the last page it would end the listing, and a mirror would delete what follows."""
    document = object_document(["a"], is_encoded=True).replace(b"<IsTruncated>true</IsTruncated>", b"")

    with pytest.raises(MalformedPage, match="it has a token for the next page, but no IsTruncated"):
        read_objects(form(document))


def test_a_page_without_a_token_is_the_last_one() -> None:
    """Also where the service writes no IsTruncated."""
    document = object_document(["a"], is_encoded=True).replace(b"NextContinuationToken", b"Other")

    assert read_objects(document.replace(b"<IsTruncated>true</IsTruncated>", b"")).next is None


ELSEWHERE = {
    "a comment": "<!--{}-->",
    "a CDATA section": "<![CDATA[{}]]>",
    "a processing instruction": "<?x {}?>",
    "another element": "<Other>{}</Other>",
}
"""Where an entry is none."""


@pytest.mark.parametrize("elsewhere", ELSEWHERE.values(), ids=ELSEWHERE)
@pytest.mark.parametrize("others", [1, 2])
@pytest.mark.parametrize(
    ("start", "stop"),
    [
        ("<Contents>", "</Contents>"),
        ("<Contents>", "</Contents >"),
        ("<s3:Contents xmlns:s3='x'>", "</s3:Contents>"),
        ("<EntriesTakenOut/><Contents>", "</Contents>"),
    ],
)
def test_an_entry_that_is_elsewhere_is_none_of_the_page(elsewhere: str, others: int, start: str, stop: str) -> None:
    """Whatever the form of the only real one: names alone do not show which of them the parser finds."""
    document = object_document(["real"], is_encoded=True).decode()
    entry = document[document.index("<Contents>") : document.index("<NextContinuationToken>")]
    real = start + entry.removeprefix("<Contents>").removesuffix("</Contents>") + stop
    none = elsewhere.format(entry.replace("real", "no") * others)

    for both in (none + real, real + none):
        page = read_objects(document.replace(entry, both).encode())
        assert page == read_objects(for_parser(document.replace(entry, both).encode()))
        assert page.names == ["real"]


@pytest.mark.parametrize("elsewhere", ELSEWHERE.values(), ids=ELSEWHERE)
@pytest.mark.parametrize("others", [1, 2])
@pytest.mark.parametrize("stop", ["</Blob>", "</Blob >"])
def test_a_blob_that_is_elsewhere_is_none_of_the_page(elsewhere: str, others: int, stop: str) -> None:
    """As an object."""
    document = blob_document(["real"], {}, "<BlobType>BlockBlob</BlobType>").decode()
    entry = document[document.index("<Blob>") : document.index("</Blobs>")]
    real, none = entry.replace("</Blob>", stop), elsewhere.format(entry.replace("real", "no") * others)

    for both in (none + real, real + none):
        page = read_blobs(document.replace(entry, both).encode())
        assert page == read_blobs(for_parser(document.replace(entry, both).encode()))
        assert page.names == ["real"]


def test_a_document_type_is_refused() -> None:
    """It could declare entities."""
    document = object_document(["a"], is_encoded=True).replace(b"\n", b'<!DOCTYPE a [<!ENTITY e "b">]>', 1)

    with pytest.raises(MalformedPage, match="document type"):
        read_objects(document)


@pytest.mark.parametrize(
    ("properties", "conflict"),
    [
        ("<Content-MD5>AAAAAAAAAAAAAAAAAAAAAA==</Content-MD5><BlobType>BlockBlob</BlobType>", None),
        ("<Content-MD5>AAAAAAAAAAAAAAAAAAAAAA==</Content-MD5><BlobType>PageBlob</BlobType>", "page_blob"),
        (f"<BlobType>AppendBlob</BlobType><Long>{'x' * 5_000}</Long>", "append_blob"),
        ("<Content-MD5><BlobType>PageBlob</BlobType></Content-MD5><BlobType>BlockBlob</BlobType>", None),
    ],
)
def test_properties_are_read_as_the_xml_parser_reads_them(properties: str, conflict: str | None) -> None:
    """With an MD5, longer than any that Azure writes, and with an element in an element."""
    document = blob_document(["a", "b"], {}, properties)

    page = read_blobs(document)

    assert page == read_blobs(for_parser(document))
    assert [state.conflict for _, state in page.entries] == [conflict, conflict]
