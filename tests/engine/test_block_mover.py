"""The buffer that a worker reads its blocks into."""

from __future__ import annotations

import weakref
from typing import cast

from airflow_s3_azure.engine.block_mover import Buffer


def test_a_buffer_gives_the_same_bytes_again() -> None:
    """A block that is not larger than the last one costs no memory."""
    buffer = Buffer()
    first = buffer.view(10)

    second = buffer.view(4)

    assert second.obj is first.obj
    assert len(second) == 4


def test_a_buffer_grows_without_keeping_the_old_bytes() -> None:
    """A larger block gets new memory, and the old is freed as soon as nothing reads it."""
    buffer = Buffer()
    old = weakref.ref(buffer.view(10))

    new = buffer.view(20)

    assert old() is None
    assert len(new) == len(cast("bytearray", new.obj)) == 20
