"""Mutated responses of both services, over real sockets, to the real clients.

FUZZ, FUZZ_SEED and FUZZ_CASE are environment variables: how many responses, their seed, and the number of the only one
to send, which repeats a failure.
"""

from __future__ import annotations

import os
import random
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from airflow_s3_azure.engine.errors import TransferError
from tests.examples import examples
from tests.fuzz import recorded
from tests.fuzz.calls import CALLS, Call, Clients, read_with_h11
from tests.fuzz.mutations import Mutant, mutate
from tests.fuzz.server import MutantServer

COUNT = int(os.environ.get("FUZZ", examples(20)))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
CASE = os.environ.get("FUZZ_CASE")
PATIENCE = 20.0
"""Seconds after which a call counts as hanging."""
ENOUGH = 20
"""Failures after which the run ends."""
FALLBACK = {
    "HEAD": recorded.S3_BUCKET,
    "GET": recorded.S3_ERRORS[2],
    "PUT": recorded.AZURE_PUT,
    "DELETE": recorded.AZURE_DELETE,
}
EVERYTHING = [
    *(response for call in CALLS for response in call.responses),
    *(recorded.PORTAL, recorded.PORTAL.replace(b"200 OK", b"201 Created")),
]


class Hang(BaseException):
    """A call did not end."""


@pytest.fixture(scope="module")
def server() -> Iterator[MutantServer]:
    """A server that sends what it is given."""
    with MutantServer(FALLBACK) as server:
        yield server


@pytest.fixture(scope="module")
def clients(server: MutantServer) -> Clients:
    """The clients of that server."""
    return Clients(server.url)


@contextmanager
def patience() -> Iterator[None]:
    """Raise `Hang` in what does not end."""

    def give_up(_: int, __: FrameType | None) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def prepare(number: int) -> tuple[Call, Mutant]:
    """Return the call of a case, and its response."""
    seeded = random.Random(f"{SEED} {number}")
    call = seeded.choice(CALLS)
    response = recorded.PORTAL if seeded.random() < 0.02 else seeded.choice(call.responses)
    mutant = mutate(seeded, response, EVERYTHING)
    message = read_with_h11(call.method, mutant.data)
    # Where the client must not wait for more, the server leaves it to the client whether the connection serves on.
    if message is not None and message.is_complete and not mutant.endless and seeded.random() < 0.5:
        mutant = Mutant(mutant.data, stays=True)
    return call, mutant


def outcome(call: Call, mutant: Mutant, server: MutantServer, clients: Clients) -> tuple[str, str | None]:
    """Run a call; return what came of it, and what is wrong with that."""
    server.prepare(mutant)
    server.read_too_much = False
    try:
        with patience():
            found = call.run(clients)
    except TransferError as error:
        problem = "the client read an endless response without giving up" if server.read_too_much else None
        return type(error).__name__, problem
    except Hang:
        return "hang", f"the call did not end within {PATIENCE:g} s"
    except Exception as error:
        return type(error).__name__, f"{type(error).__name__} is no TransferError: {error!s:.300}"
    message = read_with_h11(call.method, mutant.data)
    if message is None:
        return "success", f"h11 cannot read this response, but the call returned {found!r:.300}"
    problem = call.right(found, message, clients)
    return "success", problem and f"{problem}, but the call returned {found!r:.300}"


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_recorded_responses_are_read_right(call: Call, server: MutantServer, clients: Clients) -> None:
    """What was not mutated is a success, as often as it comes, over one connection."""
    for _ in range(3):
        assert outcome(call, Mutant(call.responses[0], stays=True), server, clients) == ("success", None)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_the_judge_finds_a_success_that_the_response_does_not_prove(
    call: Call, server: MutantServer, clients: Clients
) -> None:
    """What is right by one response is not by another."""
    server.prepare(Mutant(call.responses[0], stays=True))
    found = call.run(clients)
    portal = read_with_h11(call.method, recorded.PORTAL)

    assert portal is not None
    assert call.right(found, portal, clients) is not None


@pytest.mark.slow
def test_a_mutated_response_is_read_right_or_is_a_transfer_error(server: MutantServer, clients: Clients) -> None:
    """No other exception, no hang, and no success that the response does not prove."""
    outcomes: Counter[tuple[str, str]] = Counter()
    failures: list[str] = []
    for number in range(COUNT) if CASE is None else [int(CASE)]:
        call, mutant = prepare(number)
        result, problem = outcome(call, mutant, server, clients)
        outcomes[call.name, result] += 1
        if problem is not None:
            sent = f"{mutant.data!r}{f' and endlessly {mutant.endless!r}' if mutant.endless else ''}"
            failures.append(f"FUZZ_SEED={SEED} FUZZ_CASE={number} {call.name}: {problem}\n  sent: {sent:.6000}")
            print(failures[-1])  # noqa: T201
        if len(failures) >= ENOUGH:
            break

    for (name, result), count in sorted(outcomes.items()):
        print(f"{name:14} {result:26} {count:8,}")  # noqa: T201
    assert failures == []
