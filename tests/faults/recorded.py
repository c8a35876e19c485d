"""A proxy that records the requests that it forwards."""

from __future__ import annotations

from tests.faults.http1 import Request
from tests.faults.proxy import Delay, FaultProxy


class Recorded:
    """A route to a server on which requests are recorded.

    :param port: of the server, on this machine
    """

    def __init__(self, port: int) -> None:
        self.requests: list[Request] = []
        self.proxy = FaultProxy("127.0.0.1", port)
        self.proxy.strike(Delay("request", 0), self._record)

    @property
    def targets(self) -> list[str]:
        """What follows the method on each request line, byte for byte, without the query."""
        return [request.head.split(b" ", 2)[1].decode("ascii").partition("?")[0] for request in self.requests]

    def _record(self, request: Request) -> bool:
        self.requests.append(request)
        return False
