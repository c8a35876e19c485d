"""Chunked framing, line by line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.http.chunks import MAX_OVERHEAD, ChunkedFraming, ChunkState
from airflow_s3_azure.engine.http.message import ProtocolError


def test_a_body_passes_through_all_states() -> None:
    """Two chunks, an extension and a trailer."""
    framing = ChunkedFraming()
    seen = [framing.state]
    for step in (b"5", 2, 3, b"", b"A;x=y", 10, b"", b"0", b"Checksum: z", b""):
        if isinstance(step, int):
            framing.receive_data(step)
        else:
            framing.receive_line(step)
        seen.append(framing.state)

    size, data, data_end, trailer, done = ChunkState
    assert seen == [size, data, data, data_end, size, data, data_end, size, trailer, trailer, done]
    assert framing.remaining == 0


@pytest.mark.parametrize("size", [b"-5", b"+5", b"0x5", b"1_0", b" 5", b"5 ", b"", b"g", b"5;\x00", b"5\n", b"f" * 16])
def test_what_is_no_chunk_size_is_rejected(size: bytes) -> None:
    """Python's int() accepts most of them."""
    with pytest.raises(ProtocolError, match="chunk size"):
        ChunkedFraming().receive_line(size)


@pytest.mark.parametrize("trailer", [b"no colon", b": b", b"a b: c", b" folded", b"a: \x00"])
def test_a_malformed_trailer_is_rejected(trailer: bytes) -> None:
    """Trailers are valid fields, although nothing uses them."""
    framing = ChunkedFraming()
    framing.receive_line(b"0")

    with pytest.raises(ProtocolError, match="trailer"):
        framing.receive_line(trailer)


def test_data_beyond_a_chunk_is_rejected() -> None:
    """A chunk's data is followed by an empty line."""
    framing = ChunkedFraming()
    framing.receive_line(b"1")
    framing.receive_data(1)

    with pytest.raises(ProtocolError, match="longer than its size"):
        framing.receive_line(b"x")


@pytest.mark.parametrize("line", [b"a: b", b"1;" + b"x" * 100])
def test_endless_trailers_and_extensions_are_rejected(line: bytes) -> None:
    """After a little more than the limit, not at the end of memory or patience."""
    framing = ChunkedFraming()
    if line.startswith(b"a"):
        framing.receive_line(b"0")

    def receive_all() -> None:
        for _ in range(MAX_OVERHEAD):
            framing.receive_line(line)
            if framing.remaining:
                framing.receive_data(framing.remaining)
                framing.receive_line(b"")

    with pytest.raises(ProtocolError, match="extensions or trailers"):
        receive_all()


@given(sizes=st.lists(st.integers(1, 50), max_size=400))
def test_small_chunks_without_extensions_are_no_overhead(sizes: list[int]) -> None:
    """A server may send any number of chunks of one byte."""
    framing = ChunkedFraming()
    for size in sizes:
        framing.receive_line(b"%x" % size)
        framing.receive_data(size)
        framing.receive_line(b"")
    framing.receive_line(b"0")
    framing.receive_line(b"")

    assert framing.state is ChunkState.DONE
