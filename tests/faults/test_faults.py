"""Every fault on every request of a copy: it ends right, or fails with a named error and nothing committed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from _pytest.mark import ParameterSet

from airflow_s3_azure.engine.errors import DestinationWriteError, IntegrityError, TransferError
from airflow_s3_azure.engine.model import CopyResult
from airflow_s3_azure.engine.options import CopyOptions
from airflow_s3_azure.engine.retry import RetryPolicy
from tests.faults.http1 import Request
from tests.faults.proxy import Close, Delay, Fault, FaultProxy, Flip, Garble, Refuse, Reset, Stall
from tests.faults.route import OVER_BOTH, OVER_TLS, STEPS, Route, Step

pytestmark = pytest.mark.servers

BLOCK = 16 * 1024
OPTIONS = CopyOptions(block_size=BLOCK, retry=RetryPolicy(attempts=2, first_wait=0.01, max_wait=0.01))
SHORT = 0.5
"""Seconds after which a stalled read is given up."""
FLIPS = range(100)
"""Seeds: each flips one bit of an object of its own."""
LIST_FLIPS = range(30)
"""The same, in a list of blocks."""
STORMS = range(20)
"""Seeds: each is a copy on which faults rain."""


def faults(step: Step) -> list[Fault]:
    """Return what can go wrong with a request, each fault in every place that the request has."""
    busy, internal, many = step.refusals
    found: list[Fault] = [
        *(Reset("unseen"), Reset("done"), Close("unseen"), Stall("unseen")),
        *(Refuse(503, busy), Refuse(500, internal), Refuse(429, many)),
    ]
    if step.sends:
        found += [Reset("request"), Stall("request"), Stall("done"), Refuse(503, busy, early=True)]
    if step.gets:
        found += [Reset("response"), Close("response"), Stall("response")]
    return found


def is_quick(fault: Fault) -> bool:
    """Return whether a fault takes no time."""
    return not isinstance(fault, Stall | Delay)


def late(step: Step) -> list[Fault]:
    """Return a fault with which a request that changes something arrives after the client gave it up."""
    return [Delay("unseen", SHORT * 1.6)] if step.sends else []


def with_a_wait(step: Step) -> list[Fault]:
    """Return a refusal with Retry-After."""
    return [Refuse(503, step.refusals[0], retry_after=1)] if step in (STEPS["s3-get"], STEPS["azure-stage"]) else []


def garbled(step: Step) -> list[Fault]:
    """Return what damages a TLS record of the response, in each place that the response has."""
    return [Garble("done"), *([Garble("response")] if step.gets else [])]


def cases(*kinds: Callable[[Step], list[Fault]]) -> list[ParameterSet]:
    """Return all pairs of a step and a fault that can happen to it."""
    return [
        pytest.param(step, fault, id=f"{name} {fault}")
        for name, step in STEPS.items()
        for kind in kinds
        for fault in kind(step)
    ]


def put(route: Route, *, blocks: int, seed: int = 5) -> bytes:
    """Put an object of a seeded size that takes so many blocks, and return its bytes."""
    seeded = random.Random(seed)
    body = seeded.randbytes(seeded.randint((blocks - 1) * BLOCK + 1, blocks * BLOCK))
    route.put(body)
    return body


def put_for(route: Route, step: Step) -> bytes:
    """Put an object that takes the step when it is copied, and return its bytes."""
    return put(route, blocks=1 if step.is_small else 6)


def stage_all(route: Route) -> None:
    """Leave all blocks of the object staged and not committed."""
    route.azure.strike(Refuse(403, "AuthorizationFailure"), STEPS["azure-commit"].matches)
    assert route.copy(OPTIONS).status == "failed"
    route.heal()


@OVER_BOTH
@pytest.mark.parametrize(("step", "fault"), cases(faults, late, with_a_wait))
def test_a_fault_that_happens_once_is_survived(route: Route, step: Step, fault: Fault) -> None:
    """One retry, and the blob is there, whole."""
    body = put_for(route, step)
    if step is STEPS["azure-list"]:
        stage_all(route)  # or there would be no list
    rule = route.proxy(step).strike(fault, step.matches)

    result = route.copy(OPTIONS, read_timeout=SHORT if isinstance(fault, Stall | Delay) else 30)

    route.heal()
    assert (result.status, result.error, result.verified) == ("copied", None, "crc64nvme")
    assert (rule.struck, result.retries) == (1, 1)
    if isinstance(fault, Refuse) and fault.retry_after is not None:
        assert result.seconds >= fault.retry_after
    if isinstance(fault, Stall):
        assert SHORT <= result.seconds < 4
    assert route.read() == body


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_delay_is_waited_for(route: Route, step: Step) -> None:
    """Slow is not broken: nothing is sent twice."""
    body = put_for(route, step)
    rule = route.proxy(step).strike(Delay("done", 0.1), step.matches)

    result = route.copy(OPTIONS)

    assert (result.status, result.retries, rule.struck) == ("copied", 0, 1)
    assert route.read() == body


@OVER_BOTH
@pytest.mark.parametrize(("step", "fault"), cases(faults))
def test_a_permanent_fault_is_a_named_error_and_commits_nothing(route: Route, step: Step, fault: Fault) -> None:
    """The blob is unchanged, and the next try resumes from the staged blocks."""
    body = put_for(route, step)
    route.container.upload_blob(route.name, b"old")
    in_blocks = step in (STEPS["s3-get"], STEPS["azure-stage"])
    is_done = not isinstance(fault, Refuse) and fault.place == "done"
    rule = route.proxy(step).strike(fault, step.matches, skip=2 if in_blocks else 0, times=None)
    is_slow = isinstance(fault, Stall)
    retry = replace(OPTIONS.retry, attempts=1 if is_slow else 2)

    failed = route.copy(replace(OPTIONS, retry=retry), read_timeout=SHORT if is_slow else 30)

    route.heal()
    found, staged = route.read(), route.staged()
    assert type(failed.error) is step.error
    assert failed.error.retryable
    assert rule.struck >= retry.attempts
    if is_done and step in (STEPS["azure-commit"], STEPS["azure-put"]):
        assert found == body  # Azure has committed it, and only the response was lost
    else:
        assert found == b"old"
    if in_blocks and not (is_done and step.service == "azure"):
        assert len(staged) == 2

    again = route.copy(OPTIONS)

    assert again.status == ("unchanged" if found == body else "copied")
    assert again.retries == 0
    assert again.resumed_blocks == len(staged)
    assert again.bytes_read == (0 if found == body else len(body) - sum(block.size for block in staged))
    assert route.read() == body


@OVER_TLS
@pytest.mark.parametrize(("step", "fault"), cases(garbled))
def test_a_damaged_tls_record_is_survived(route: Route, step: Step, fault: Fault) -> None:
    """TLS detects it and ends the connection; the request is sent again over another one."""
    body = put_for(route, step)
    if step is STEPS["azure-list"]:
        stage_all(route)
    rule = route.proxy(step).strike(fault, step.matches)

    result = route.copy(OPTIONS)

    assert (result.status, result.verified, result.retries, rule.struck) == ("copied", "crc64nvme", 1, 1)
    assert route.read() == body


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_copy_that_fails_creates_nothing(route: Route, step: Step) -> None:
    """Where there was no blob, there is none."""
    put_for(route, step)
    route.proxy(step).strike(Refuse(500, "InternalError"), step.matches, times=None)

    failed = route.copy(OPTIONS)

    assert type(failed.error) is step.error
    assert route.read() is None


def test_bytes_of_a_broken_response_are_counted(route: Route) -> None:
    """S3 charges for them, although they were not used."""
    put_for(route, STEPS["s3-get"])
    before = route.s3.bytes_to_client
    route.s3.strike(Close("response"), STEPS["s3-get"].matches)

    result = route.copy(OPTIONS)

    assert result.bytes_read == route.s3.bytes_to_client - before


def test_a_bit_flipped_in_transit_from_s3_is_caught_every_time(make_route: Callable[[], Route]) -> None:
    """An object of one block is read again at once; a larger one fails with a named error, and the next try is right."""
    errors = []
    for seed in FLIPS:
        route, seeded = make_route(), random.Random(seed)
        blocks = seeded.randint(1, 4)
        body = put(route, blocks=blocks, seed=seed)
        step = STEPS["s3-get-whole" if blocks == 1 else "s3-get"]
        rule = route.s3.strike(Flip("response", seeded.getrandbits(40)), step.matches, skip=seeded.randrange(blocks))

        first = route.copy(OPTIONS)

        route.heal()
        assert (seed, rule.struck) == (seed, 1)
        if blocks == 1:
            assert (seed, first.status, first.retries) == (seed, "copied", 1)
        else:
            errors.append(first.error)
            assert (seed, type(first.error), route.read()) == (seed, IntegrityError, None)
            second = route.copy(OPTIONS)
            assert (seed, second.status, second.resumed_blocks) == (seed, "copied", 0)
        assert route.read() == body, seed
    assert 60 < len(errors) < 90


def test_a_bit_flipped_in_transit_to_azure_is_caught_every_time(make_route: Callable[[], Route]) -> None:
    """Azure refuses the block or the blob, and it is sent again without another read."""
    for seed in FLIPS:
        route, seeded = make_route(), random.Random(seed)
        blocks = seeded.randint(1, 4)
        body = put(route, blocks=blocks, seed=seed)
        step = STEPS["azure-put" if blocks == 1 else "azure-stage"]
        rule = route.azure.strike(Flip("request", seeded.getrandbits(40)), step.matches, skip=seeded.randrange(blocks))

        result = route.copy(OPTIONS)

        route.heal()
        assert (seed, rule.struck) == (seed, 1)
        assert (seed, result.status, result.retries, result.bytes_read) == (seed, "copied", 1, len(body))
        assert route.read() == body, seed


def test_a_bit_flipped_in_a_commit_never_makes_a_wrong_blob(make_route: Callable[[], Route]) -> None:
    """For any wrong bit of the list: each ID names its block's content and index."""
    for seed in LIST_FLIPS:
        route = make_route()
        body = put(route, blocks=3, seed=seed)
        rule = route.azure.strike(Flip("request", random.Random(seed).getrandbits(40)), STEPS["azure-commit"].matches)

        result = route.copy(OPTIONS)

        route.heal()
        assert (seed, rule.struck) == (seed, 1)
        if result.error is not None:
            assert isinstance(result.error, DestinationWriteError), seed
            assert (seed, route.read()) == (seed, None)
            assert (seed, route.copy(OPTIONS).error) == (seed, None)
        assert route.read() == body, seed


def test_a_bit_flipped_in_the_list_of_staged_blocks_never_makes_a_wrong_blob(make_route: Callable[[], Route]) -> None:
    """For any wrong bit of the list, the copy is right or fails with a named error, and a later one is right."""
    for seed in LIST_FLIPS:
        route = make_route()
        body = put(route, blocks=3, seed=seed)
        stage_all(route)
        rule = route.azure.strike(Flip("response", random.Random(seed).getrandbits(40)), STEPS["azure-list"].matches)

        result = route.copy(OPTIONS)

        route.heal()
        assert (seed, rule.struck) == (seed, 1)
        if result.error is not None:
            assert isinstance(result.error, TransferError), seed
            assert (seed, route.read()) == (seed, None)
            assert (seed, route.copy(OPTIONS).error) == (seed, None)
        assert route.read() == body, seed


def rain(proxy: FaultProxy, step: Step, seeded: random.Random) -> None:
    """Let one in five of these requests fail, with any fault that takes no time."""
    kinds = [fault for fault in faults(step) if is_quick(fault)]
    if step.gets or step.sends:
        kinds.append(Flip("response" if step.gets else "request", seeded.getrandbits(40)))

    def is_hit(request: Request) -> bool:
        return step.matches(request) and seeded.random() < 0.2 / len(kinds)

    for kind in kinds:
        proxy.strike(kind, is_hit, times=None)


@OVER_BOTH
@pytest.mark.parametrize("seed", STORMS)
def test_a_storm_of_faults_never_makes_a_wrong_blob(route: Route, seed: int) -> None:
    """Where one request in five fails, with any fault but a stall, the blob is absent until it is whole."""
    seeded = random.Random(seed)
    body = put(route, blocks=seeded.randint(1, 12), seed=seed)
    for step in STEPS.values():
        rain(route.proxy(step), step, seeded)

    tries: list[CopyResult] = []
    while not tries or (tries[-1].error is not None and len(tries) < 50):
        # One thread, so that the same seed always strikes the same requests.
        tries.append(route.copy(OPTIONS, threads=1))
        assert route.read() in (None, body)

    assert tries[-1].error is None
    assert route.read() == body
