"""Responses of Azure and of proxies: only a response that proves success counts as one."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_s3_azure.engine.azure.container import BlobContainer
from airflow_s3_azure.engine.azure.service_errors import PreconditionFailed
from airflow_s3_azure.engine.azure.source_range import SourceRange
from airflow_s3_azure.engine.blocks import Block
from airflow_s3_azure.engine.checksums import azure_text, compute
from airflow_s3_azure.engine.errors import (
    DestinationConflict,
    DestinationWriteError,
    IntegrityError,
    TransferError,
)
from airflow_s3_azure.engine.model import BlobContent, Precondition, StagedBlock
from tests.examples import examples
from tests.fakes.scripted_container import AZURE, azure_response, response, scripted

DATA = memoryview(b"hello")
CRC = compute("CRC64NVME", DATA)
ID = "x" * 46
OTHER = azure_text(CRC ^ 1)
CONTENT = BlobContent({}, {})
ETAG = {"etag": '"0x1"'}
RANGE = SourceRange("https://b.s3.amazonaws.com/k?X-Amz-Signature=secret", "e", Block(0, 0, 5))

Call = Callable[[BlobContainer], Any]
WRITES: dict[str, Call] = {
    "put": lambda blobs: blobs.put("b", DATA, CRC, CONTENT, Precondition(None)),
    "stage": lambda blobs: blobs.stage("b", ID, DATA, CRC),
    "stage_from_url": lambda blobs: blobs.stage_from_url("b", ID, RANGE),
    "commit": lambda blobs: blobs.commit("b", [ID], CONTENT, Precondition(None)),
}
CALLS: dict[str, Call] = {
    **WRITES,
    "head": lambda blobs: blobs.head("b"),
    "staged": lambda blobs: blobs.staged("b"),
    "delete": lambda blobs: blobs.delete("b", '"0x1"'),
    "discard_staged": lambda blobs: blobs.discard_staged("b"),
}


def _block_list(*blocks: tuple[str, str]) -> bytes:
    listed = "".join(f"<Block><Name>{name}</Name><Size>{size}</Size></Block>" for name, size in blocks)
    return f"<BlockList><UncommittedBlocks>{listed}</UncommittedBlocks></BlockList>".encode()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("status", [200, 201, 202, 204, 404])
@pytest.mark.parametrize("headers", [{}, ETAG, {"x-ms-version": "2023-11-03", **ETAG}])
def test_a_response_without_azures_headers_is_no_success_and_no_missing_blob(
    call: str, status: int, headers: dict[str, str]
) -> None:
    """A proxy or a captive portal sent it: no byte is in Azure, and nothing is known of the blob."""
    blobs, _ = scripted(response(status, {"content-length": "0", "server": "portal\n", **headers}))

    with pytest.raises(
        DestinationWriteError, match=rf"response \({status}, server portal\) does not come from Azure"
    ) as caught:
        CALLS[call](blobs)

    assert (caught.value.transient, caught.value.retryable) == (True, True)


@pytest.mark.parametrize("call", WRITES)
@pytest.mark.parametrize("status", [200, 202, 204])
def test_only_created_is_a_successful_write(call: str, status: int) -> None:
    """Azure returns 201 for every write."""
    blobs, _ = scripted(azure_response(status, ETAG))

    with pytest.raises(DestinationWriteError, match=f"its status is {status}, not 201"):
        WRITES[call](blobs)


@pytest.mark.parametrize("call", ["put", "commit", "head"])
@pytest.mark.parametrize("etag", [None, "", " ", "\x01", "e" * 300])
def test_a_response_without_a_valid_etag_is_a_named_error(call: str, etag: str | None) -> None:
    """The ETag is the condition of the next write."""
    headers = {"content-length": "5"} if etag is None else {"content-length": "5", "etag": etag}
    blobs, _ = scripted(azure_response(200 if call == "head" else 201, headers))

    with pytest.raises(DestinationWriteError, match="cannot be used: it has no valid ETag") as caught:
        CALLS[call](blobs)

    assert caught.value.request_id == AZURE["x-ms-request-id"]


@pytest.mark.parametrize("length", [None, "", "-5", "+5", "5, 5", "0x5", "\u0665", "9" * 30, "9" * 5000, "garbage"])
def test_a_blob_without_a_valid_length_is_a_named_error(length: str | None) -> None:
    """It is never taken for an empty blob."""
    blobs, _ = scripted(azure_response(200, ETAG if length is None else {**ETAG, "content-length": length}))

    with pytest.raises(DestinationWriteError, match="cannot be used: it has no valid Content-Length"):
        blobs.head("b")


def test_a_block_of_which_azure_stored_another_crc_is_sent_again() -> None:
    """Staging it again replaces it."""
    blobs, _ = scripted(azure_response(201, {"x-ms-content-crc64": OTHER}))

    with pytest.raises(DestinationWriteError, match="its CRC-64 of the block is not the one that was sent") as caught:
        blobs.stage("b", ID, DATA, CRC)

    assert caught.value.transient


@pytest.mark.parametrize("call", ["put", "commit"])
def test_a_blob_of_which_azure_stored_another_crc_is_deleted(call: str) -> None:
    """It is visible already, and would be taken for a copy by its record."""
    blobs, transport = scripted(azure_response(201, {**ETAG, "x-ms-content-crc64": OTHER}), azure_response(202))

    with pytest.raises(IntegrityError, match="the blob was deleted"):
        WRITES[call](blobs)

    assert [(one.method, one.headers.get("if-match")) for one in transport.requests][1:] == [("DELETE", '"0x1"')]


@pytest.mark.parametrize("name", ["x-ms-request-id", "x-ms-version"])
@pytest.mark.parametrize("text", ["", ", "])
def test_a_success_with_empty_azure_headers_is_none(name: str, text: str) -> None:
    """Repeated fields are joined by a comma, so that several empty ones are not empty."""
    blobs, _ = scripted(response(201, {**AZURE, **ETAG, name: text}))

    with pytest.raises(DestinationWriteError, match="does not come from Azure"):
        WRITES["put"](blobs)


@pytest.mark.parametrize("call", ["put", "stage"])
@pytest.mark.parametrize("text", ["", "?", azure_text(CRC)[:-2], f"{azure_text(CRC)}, {azure_text(CRC)}"])
def test_a_write_whose_crc_cannot_be_read_is_sent_again(call: str, text: str) -> None:
    """It confirms nothing. The blob is not deleted, because nothing shows that it is wrong."""
    blobs, transport = scripted(azure_response(201, {**ETAG, "x-ms-content-crc64": text}))

    with pytest.raises(DestinationWriteError, match="cannot be used: it has no valid x-ms-content-crc64") as caught:
        WRITES[call](blobs)

    assert caught.value.transient
    assert [one.method for one in transport.requests] == ["PUT"]


@pytest.mark.parametrize("headers", [{}, {"x-ms-content-crc64": azure_text(CRC)}])
def test_a_write_that_azure_confirms_succeeds(headers: dict[str, str]) -> None:
    """Azurite returns no CRC of a Put Blob."""
    blobs, _ = scripted(azure_response(201, {**ETAG, **headers}))

    assert WRITES["put"](blobs) == '"0x1"'
    WRITES["stage"](blobs)


def test_a_missing_container_is_not_a_missing_blob() -> None:
    """Both are 404."""
    blobs, _ = scripted(azure_response(404, {"x-ms-error-code": "ContainerNotFound"}))

    for call in ("head", "staged"):
        with pytest.raises(DestinationWriteError, match="create the container, or set create_container=True"):
            CALLS[call](blobs)


def test_a_directory_of_the_blobs_name_is_a_conflict() -> None:
    """In an account with a hierarchical namespace; without the check it would pass as an empty blob."""
    blobs, _ = scripted(azure_response(200, {**ETAG, "content-length": "0", "x-ms-meta-hdi_isfolder": "true"}))

    with pytest.raises(DestinationConflict, match="a directory has the blob's name"):
        blobs.head("b")


BLOCK_ID = base64.b64encode(b"id").decode()


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "not well-formed"),
        (b"<BlockList>", "not well-formed"),
        (b"<html/>", "not a block list"),
        (b"\xff\xfe", "not well-formed"),
        (b'<?xml version="1.0" encoding="nonsense"?><BlockList/>', "not well-formed"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><BlockList>&b;</BlockList>', "document type"),
        (b"<BlockList>" + b"<a>" * 20 + b"</a>" * 20 + b"</BlockList>", "nested more than 16 deep"),
        (_block_list((BLOCK_ID, "-5")), "no valid size"),
        (_block_list((BLOCK_ID, "")), "no valid size"),
        (_block_list((BLOCK_ID, "9" * 30)), "no valid size"),
        (_block_list((BLOCK_ID, "9999999999")), "no valid size"),
        (_block_list((BLOCK_ID, "1_0")), "no valid size"),
        (_block_list(("", "5")), "no valid ID"),
        (_block_list(("a", "5")), "no valid ID"),
        (_block_list(("é===", "5")), "no valid ID"),
        pytest.param(_block_list(*[(BLOCK_ID, "5")] * 100_001), "more than 100,000 blocks", marks=pytest.mark.slow),
        (b"<BlockList>" + b" " * 16_000_000 + b"</BlockList>", "more than 16,000,000 bytes"),
    ],
)
def test_a_list_of_staged_blocks_that_is_none_is_a_named_error(document: bytes, reason: str) -> None:
    """The copy of this key fails with a named, retryable error, regardless of the response."""
    blobs, _ = scripted(azure_response(200, content=document))

    with pytest.raises(DestinationWriteError, match=reason) as caught:
        blobs.staged("b")

    assert caught.value.transient


@pytest.mark.slow
def test_the_longest_list_of_staged_blocks_is_read() -> None:
    """100,000 blocks with IDs of 64 bytes fit the limit of its size."""
    name = base64.b64encode(b"i" * 64).decode()
    blobs, _ = scripted(azure_response(200, content=b"\xef\xbb\xbf" + _block_list(*[(name, "4194304000")] * 100_000)))

    assert blobs.staged("b") == [StagedBlock(b"i" * 64, 4194304000)] * 100_000


INVALID_BLOB_OR_BLOCK = azure_response(400, {"x-ms-error-code": "InvalidBlobOrBlock"})


def test_invalid_blob_or_block_is_retried_if_all_staged_ids_have_our_length() -> None:
    """Azure reports it under concurrent Put Blocks, too."""
    ours = azure_response(200, content=_block_list((base64.b64encode(b"y" * 46).decode(), "5")))
    blobs, _ = scripted(INVALID_BLOB_OR_BLOCK, ours)

    with pytest.raises(DestinationWriteError, match="400 InvalidBlobOrBlock, although all staged block IDs") as caught:
        blobs.stage("b", ID, DATA, CRC)

    assert caught.value.transient


def test_invalid_blob_or_block_is_a_conflict_if_another_tool_stages_blocks() -> None:
    """Its block IDs have another length."""
    other = azure_response(200, content=_block_list((base64.b64encode(b"y" * 12).decode(), "5")))
    blobs, _ = scripted(INVALID_BLOB_OR_BLOCK, other)

    with pytest.raises(DestinationConflict, match="another tool stages blocks for this blob at the same time"):
        blobs.stage("b", ID, DATA, CRC)


@pytest.mark.parametrize("status", [409, 412])
def test_a_failed_condition_is_distinguished_from_other_conflicts(status: int) -> None:
    """A concurrent writer committed first."""
    blobs, _ = scripted(azure_response(status, {"x-ms-error-code": "ConditionNotMet"}))

    with pytest.raises(PreconditionFailed):
        WRITES["commit"](blobs)


NAMES = [
    *("etag", "content-length", "last-modified", "x-ms-request-id", "x-ms-version", "x-ms-error-code", "retry-after"),
    *(
        "x-ms-content-crc64",
        "x-ms-meta-s3_source_size",
        "x-ms-meta-s3_source_etag",
        "x-ms-meta-s3_source_last_modified",
    ),
    *("x-ms-meta-hdi_isfolder", "x-ms-copy-source-status-code", "date", "server"),
]
VALUES = st.one_of(
    st.text(st.characters(max_codepoint=255), max_size=30),
    st.integers().map(str),
    st.sampled_from(
        ["9" * 5000, "Fri, 99 Nov 2026 25:00:00 GMT", "Fri, 27 Nov 99999 15:00:00 GMT", "-5", "²", OTHER, ""]
    ),
    st.sampled_from(["InvalidBlobOrBlock", "CannotVerifyCopySource", "LeaseLost", "AuthenticationFailed", "true"]),
)
RESPONSES = st.builds(
    lambda status, headers, content, is_azure: response(status, {**(AZURE if is_azure else {}), **headers}, content),
    st.one_of(st.sampled_from([200, 201, 202, 403, 404, 409, 412, 503]), st.integers(100, 999)),
    st.dictionaries(st.sampled_from(NAMES), VALUES),
    st.one_of(
        st.binary(max_size=60),
        st.tuples(st.sampled_from([BLOCK_ID, "a", "", "é"]), st.sampled_from(["5", "-5", "9" * 30])).map(_block_list),
        st.integers(0, 999).map(lambda status: b"<CopySourceStatusCode>%03d</CopySourceStatusCode>" % status),
    ),
    st.booleans(),
)


@pytest.mark.parametrize("call", CALLS)
@settings(max_examples=examples(2.5))
@given(script=st.lists(RESPONSES, min_size=1, max_size=3))
def test_any_response_is_a_result_or_a_transfer_error_of_the_blob(call: str, script: list[Any]) -> None:
    """No other exception escapes: 2,000 mutated responses of all calls."""
    blobs, _ = scripted(*script, sas="se=2020-01-01&sig=secret")

    try:
        CALLS[call](blobs)
    except TransferError as error:
        text = str(error)
        assert "secret" not in text
        assert all(line.isprintable() for line in text.split("\n"))


@pytest.mark.parametrize("name", ["../finance/x", "a/../../finance/x", "a\\b", "", "_s3_to_azure/x", "/_S3_to_azure/x"])
@pytest.mark.parametrize(
    "call",
    [
        lambda blobs, name: blobs.put(name, DATA, CRC, CONTENT, Precondition(None)),
        lambda blobs, name: blobs.stage(name, ID, DATA, CRC),
        lambda blobs, name: blobs.stage_from_url(name, ID, RANGE),
        lambda blobs, name: blobs.commit(name, [ID], CONTENT, Precondition(None)),
        lambda blobs, name: blobs.head(name),
        lambda blobs, name: blobs.staged(name),
        lambda blobs, name: blobs.delete(name, '"0x1"'),
        lambda blobs, name: blobs.discard_staged(name),
    ],
    ids=CALLS,
)
def test_no_request_is_sent_for_a_name_that_leads_elsewhere(
    call: Callable[[BlobContainer, str], Any], name: str
) -> None:
    """The last check is where the request is made, so every name passes it."""
    blobs, transport = scripted(azure_response(201, ETAG))

    with pytest.raises(DestinationWriteError, match="no request was sent for blob") as caught:
        call(blobs, name)

    assert not caught.value.retryable
    assert transport.requests == []


@pytest.mark.parametrize("name", ["put", "stage", "stage_from_url", "commit"])
@pytest.mark.parametrize("scope", [None, "tenant-a"])
def test_every_write_names_the_encryption_scope(name: str, scope: str | None) -> None:
    """Azure refuses blocks and a commit that name different ones."""
    blobs, transport = scripted(azure_response(201, ETAG), scope=scope)

    WRITES[name](blobs)

    assert transport.requests[0].headers.get("x-ms-encryption-scope") == scope
