"""The shaped link has its latency and rate, and its own proof detects a deviation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from benchmarks.link import Link, linked, prove
from benchmarks.stand_ins import StandIns, stand_ins

pytestmark = pytest.mark.servers

TO_SOURCE = Link(round_trip=0.1, rate=5e6)
TO_SINK = Link(round_trip=0.06)


@pytest.fixture(scope="module")
def far() -> Iterator[StandIns]:
    """The stand-ins, behind links."""
    with stand_ins() as servers, linked(servers, TO_SOURCE, TO_SINK) as ends:
        yield ends


def test_a_link_delays_and_paces(far: StandIns) -> None:
    """An exchange takes a round trip, on a new connection two, and bytes come back at the link's rate."""
    proof = prove(far.source, TO_SOURCE, size=2_500_000)
    assert proof.round_trip >= TO_SOURCE.round_trip
    assert proof.first >= 2 * TO_SOURCE.round_trip
    assert proof.rate is not None
    assert proof.rate <= 1.05 * 5e6


def test_each_endpoint_has_its_own_link(far: StandIns) -> None:
    """The link to Azure has no rate limit, and is shorter."""
    proof = prove(far.sink, TO_SINK, size=0)
    assert proof.rate is None
    assert TO_SINK.round_trip <= proof.round_trip < TO_SOURCE.round_trip


def test_the_proof_notices_another_link(far: StandIns) -> None:
    """What was measured of one link does not hold for a longer or a wider one."""
    proof = prove(far.source, TO_SOURCE, size=1_000_000)
    assert not replace(proof, link=Link(round_trip=0.2, rate=5e6)).holds
    assert not replace(proof, link=Link(round_trip=0.1, rate=50e6)).holds
