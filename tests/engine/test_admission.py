"""Admission keeps its invariants for any order of starts and ends."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from airflow_s3_azure.engine.admission import READ_AHEAD, SMALL, Admission, Slot, worker_count
from airflow_s3_azure.engine.blocks import MIB
from airflow_s3_azure.engine.limiter import Limiter
from tests.examples import examples

BLOCK = 8 * MIB


def fixed_limiter(*, small_objects: int = 8, blocks: float = math.inf) -> Limiter:
    """Return a limiter whose clock stands still."""
    limiter = Limiter(8, clock=lambda: 0.0, cpu=lambda: 0.0)
    limiter.small_objects, limiter.blocks = small_objects, blocks
    return limiter


class AdmissionMachine(RuleBasedStateMachine):
    """Admit, end reads and finish in any order, while both limits change."""

    def __init__(self) -> None:
        super().__init__()
        self.limiter = fixed_limiter(small_objects=1, blocks=2)
        self.admission = Admission(4, BLOCK, self.limiter)
        self.slots: list[Slot] = []

    @rule(size=st.sampled_from([1, MIB, BLOCK, 40 * MIB]))
    def admit_block(self, size: int) -> None:
        """A block is admitted exactly while connections, memory and the limiter have room."""
        reading, in_flight = self.admission.reading, self.admission.in_flight
        room = reading < 4 and in_flight < worker_count(4, size) and in_flight < self.limiter.blocks
        self._admitted(self.admission.admit_block(size), expected=room)

    @rule(size=st.sampled_from([None, 0, SMALL, SMALL + 1, BLOCK, 100 * BLOCK]))
    def admit_object(self, size: int | None) -> None:
        """A small object waits for other small ones, a large one for the room of its first block."""
        reading, in_flight = self.admission.reading, self.admission.in_flight
        small = sum(slot.is_small for slot in self.slots)
        first = min(size or BLOCK, BLOCK)
        if size is not None and size <= SMALL:
            room = small < self.limiter.small_objects
        else:
            room = in_flight < worker_count(4, first) and in_flight < self.limiter.blocks
        self._admitted(self.admission.admit_object(size), expected=room and reading < 4)

    @precondition(lambda self: self.slots)
    @rule(data=st.data())
    def end_read(self, data: st.DataObject) -> None:
        """The end of a read is reported once, however often it is called."""
        slot = data.draw(st.sampled_from(self.slots))
        was_reading = slot.is_reading
        assert self.admission.end_read(slot) is was_reading
        assert self.admission.end_read(slot) is False

    @precondition(lambda self: self.slots)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """A slot finishes while it reads or writes, once."""
        slot = self.slots.pop(data.draw(st.integers(0, len(self.slots) - 1)))
        self.admission.finish(slot)
        with pytest.raises(ValueError, match="already finished"):
            self.admission.finish(slot)

    @rule(small_objects=st.integers(1, 8), blocks=st.integers(1, 12))
    def change_limits(self, small_objects: int, blocks: int) -> None:
        """The load changes."""
        self.limiter.small_objects, self.limiter.blocks = small_objects, blocks

    @invariant()
    def counts_are_those_of_the_slots(self) -> None:
        """Nothing is counted twice, and nothing is forgotten."""
        assert self.admission.in_flight == len(self.slots)
        assert self.admission.reading == sum(slot.is_reading for slot in self.slots)

    @invariant()
    def requests_to_s3_are_bounded(self) -> None:
        """At most as many slots read as there are connections."""
        assert self.admission.reading <= 4

    @invariant()
    def work_never_stalls(self) -> None:
        """With nothing in flight, everything is admitted."""
        if not self.slots:
            for size in (1, SMALL, BLOCK):
                for admit in (self.admission.admit_object, self.admission.admit_block):
                    slot = admit(size)
                    assert slot is not None
                    self.admission.finish(slot)

    def _admitted(self, slot: Slot | None, *, expected: bool) -> None:
        assert (slot is not None) is expected
        if slot is not None:
            self.slots.append(slot)


TestAdmission = AdmissionMachine.TestCase
TestAdmission.settings = settings(max_examples=examples(1), stateful_step_count=40)


@given(max_reading=st.integers(1, 64), block_size=st.integers(1, 200 * MIB))
def test_workers_hold_a_block_for_each_connection_and_the_read_ahead(max_reading: int, block_size: int) -> None:
    """At most 32 MiB beside a block for each connection, and never more than twice as many blocks."""
    workers = worker_count(max_reading, block_size)

    assert max_reading <= workers <= 2 * max_reading
    assert (workers - max_reading) * block_size <= READ_AHEAD


@pytest.mark.parametrize(
    ("connections", "block_size", "workers"),
    [(8, 8 * MIB, 12), (1, 8 * MIB, 2), (4, MIB, 8), (8, 32 * MIB, 9), (8, 100 * MIB, 8), (64, 8 * MIB, 68)],
)
def test_the_number_of_workers_follows_the_block_size(connections: int, block_size: int, workers: int) -> None:
    """Large blocks leave room for few beside those that are read."""
    assert worker_count(connections, block_size) == workers


def test_a_refused_block_lets_the_limit_of_blocks_grow() -> None:
    """The limiter counts a refusal at the next sample, once."""
    now = [0.0]
    limiter = Limiter(8, clock=lambda: now[0], cpu=lambda: 0.0)
    admission = Admission(8, BLOCK, limiter)
    for _ in range(2):
        assert admission.admit_block(BLOCK)
    assert admission.admit_block(BLOCK) is None

    now[0] = 0.06
    assert admission.sample()
    grown = limiter.blocks
    assert grown > 2

    limiter.small_objects, now[0] = 8, 0.12
    assert not admission.sample()
    assert limiter.blocks == grown
