"""A link with a length and a width: a TCP proxy that delays and paces what goes through each of its connections.

Each direction is delayed by half a round trip, a new connection's first bytes by a whole one more (its handshake), and
what comes back is paced to a rate per connection. Before anything is measured behind it, :func:`prove` measures the
link itself. What it does not do: loss, slow start, a limit for all connections together.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import urlsplit

import requests

from benchmarks.source import bucket_name, key_name
from benchmarks.stand_ins import StandIns, started

PIECE = 128 * 1024
"""Bytes that are passed on at once."""
WINDOW = 4 * 1024 * 1024
"""Bytes in flight in one direction of a connection."""
TOLERANCE = 0.1
"""How far from what it should be a link may prove to be, as a share."""
SLACK = 0.005
"""Seconds of tolerance of each round trip: three processes are scheduled in it."""
EXCHANGES = 5
"""Attempts per link; their median counts."""
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Link:
    """How long and how wide a link is.

    :param round_trip: seconds
    :param rate: bytes per second that one connection brings back; None: as many as there are
    """

    round_trip: float
    rate: float | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """What a link proved to be.

    :param round_trip: seconds, of an exchange over an open connection
    :param first: seconds, of an exchange over a new connection
    :param rate: bytes per second of one connection; None: not measured
    """

    link: Link
    round_trip: float
    first: float
    rate: float | None

    @property
    def holds(self) -> bool:
        """Whether the link is what it should be."""
        trips = [(1, self.round_trip), (2, self.first)]
        wanted, found = self.link.rate or 0, self.rate or 0
        if self.rate is not None and abs(found - wanted) > TOLERANCE * wanted:
            return False
        slack = max(TOLERANCE * self.link.round_trip, SLACK)
        return all(0 <= found - count * self.link.round_trip <= count * slack for count, found in trips)

    def describe(self) -> str:
        """Return the expected and the measured values, as one line."""
        rate = ""
        if self.link.rate is not None and self.rate is not None:
            rate = f", {self.rate / 1e6:.1f} MB/s per connection (wanted {self.link.rate / 1e6:.0f})"
        return (
            f"round trip {self.round_trip * 1000:.1f} ms (wanted {self.link.round_trip * 1000:.0f}), "
            f"{self.first * 1000:.1f} ms on a new connection{rate}"
        )


@contextmanager
def linked(servers: StandIns, to_source: Link, to_sink: Link) -> Iterator[StandIns]:
    """Put a link before each of the two stand-ins; yield the addresses of its near end."""
    source, sink = urlsplit(servers.source), urlsplit(servers.sink)
    with started(_serve, source.port, to_source) as source_port, started(_serve, sink.port, to_sink) as sink_port:
        yield StandIns(f"http://127.0.0.1:{source_port}", f"http://127.0.0.1:{sink_port}{sink.path}")


def prove(url: str, link: Link, *, size: int = 25_000_000) -> Proof:
    """Measure a link through its near end.

    :param size: bytes to read for its rate; 0: none
    """
    first = statistics.median(_exchange(requests, url) for _ in range(EXCHANGES))
    with requests.Session() as session:
        _exchange(session, url)
        round_trip = statistics.median(_exchange(session, url) for _ in range(EXCHANGES))
        rate = None
        if size:
            response = session.get(f"{url}/{bucket_name(1, size)}/{key_name(0)}", stream=True, timeout=60)
            left = size - len(response.raw.read(PIECE))  # comes together with the head
            begun, started_at = left, time.monotonic()
            while left:
                left -= len(response.raw.read(min(left, PIECE)))
            rate = begun / (time.monotonic() - started_at)
    return Proof(link, round_trip, first, rate)


def _exchange(by: Any, url: str) -> float:
    """Return the seconds of a request without a body in either direction."""
    started_at = time.monotonic()
    by.head(f"{url}/none", timeout=10)
    return time.monotonic() - started_at


def _serve(port_to: Connection, port: int, link: Link) -> None:
    asyncio.run(_listen(port_to, port, link))


async def _listen(port_to: Connection, port: int, link: Link) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    listener.setblocking(False)
    port_to.send(listener.getsockname()[1])
    loop = asyncio.get_running_loop()
    passing: set[asyncio.Task[None]] = set()
    while True:
        near, _ = await loop.sock_accept(listener)
        task = loop.create_task(_pass(near, port, link))
        passing.add(task)
        task.add_done_callback(passing.discard)


async def _pass(near: socket.socket, port: int, link: Link) -> None:
    loop = asyncio.get_running_loop()
    far = socket.socket()
    with near, far, suppress(OSError):
        for one in (near, far):
            one.setblocking(False)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(far, ("127.0.0.1", port))
        handshake = loop.time() + link.round_trip
        await asyncio.gather(
            _Direction(near, far, link.round_trip / 2, None, handshake).run(),
            _Direction(far, near, link.round_trip / 2, link.rate, 0).run(),
        )


class _Direction:
    """One direction of one connection."""

    def __init__(
        self, begin: socket.socket, end: socket.socket, delay: float, rate: float | None, opened: float
    ) -> None:
        self._begin = begin
        self._end = end
        self._delay = delay
        self._rate = rate
        self._free = opened
        self._in_flight = 0
        self._queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        self._room = asyncio.Event()

    async def run(self) -> None:
        """Forward everything until one end closes its connection; then close the other's."""
        await asyncio.gather(self._take(), self._deliver())

    async def _take(self) -> None:
        loop = asyncio.get_running_loop()
        data = b"."
        while data:
            try:
                data = await loop.sock_recv(self._begin, PIECE)
            except OSError:
                data = b""
            self._free = max(self._free, loop.time()) + (len(data) / self._rate if self._rate else 0)
            self._queue.put_nowait((self._free + self._delay, data))
            self._in_flight += len(data)
            while self._in_flight > WINDOW:
                self._room.clear()
                await self._room.wait()

    async def _deliver(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await self._queue.get()
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            if not data:
                with suppress(OSError):
                    self._end.shutdown(socket.SHUT_WR)
                return
            try:
                await loop.sock_sendall(self._end, data)
            except OSError:
                # The reader is gone: close the other end.
                with suppress(OSError):
                    self._begin.shutdown(socket.SHUT_RDWR)
            self._in_flight -= len(data)
            self._room.set()
