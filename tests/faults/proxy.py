"""A TCP proxy between the code and a server, which breaks one exchange or another on command.

The client must be configured with the proxy's address, since a presigned URL signs the Host header. The client may
connect over TLS; the server behind the proxy is always plain. A response in chunks, which both emulators send only where
it is short, is passed on with a Content-Length; everything else goes through byte for byte.
"""

from __future__ import annotations

import os
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, assert_never

from tests.faults.http1 import Request, Stream

if TYPE_CHECKING:
    from tests.servers import CertificateAuthority

Place = Literal["unseen", "request", "done", "response"]
"""Where in an exchange: before the server sees any of it; in the middle of the request's body; when the server has
done it, but the client has no byte of the response; in the middle of the response's body."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_NO_RECORD = b"\x17\x03\x03\x00\x20" + bytes(32)
"""A record of application data with content that is not encrypted."""


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection is reset (RST)."""

    place: Place


@dataclass(frozen=True, slots=True)
class Close:
    """The connection is closed (FIN, over TLS after a close_notify), as if the message was complete."""

    place: Place


@dataclass(frozen=True, slots=True)
class Stall:
    """Not a byte comes any more; when the proxy is healed, the connection is closed."""

    place: Place


@dataclass(frozen=True, slots=True)
class Delay:
    """Nothing moves for some seconds, then all goes on: to the server even if the client has given up."""

    place: Place
    seconds: float


@dataclass(frozen=True, slots=True)
class Act:
    """All waits while a function runs, then all goes on."""

    place: Place
    function: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Flip:
    """One bit of a body is flipped; which one is ``bit`` modulo the body's bits."""

    place: Literal["request", "response"]
    bit: int


@dataclass(frozen=True, slots=True)
class Garble:
    """A TLS record that is not authentic comes instead of the next one, then the connection is closed."""

    place: Place


@dataclass(frozen=True, slots=True)
class Refuse:
    """The proxy responds with an error, and the server sees nothing.

    :param code: S3's or Azure's name for it
    :param retry_after: seconds
    :param early: respond before the body is read, and close, as a throttling front end does
    :param headers: more of them, such as the service's ID of the request
    """

    status: int
    code: str
    retry_after: int | None = None
    early: bool = False
    headers: tuple[tuple[str, str], ...] = ()


Fault = Reset | Close | Stall | Delay | Act | Flip | Garble | Refuse


@dataclass(slots=True)
class Rule:
    """A fault and the requests that it strikes.

    :param skip: matching requests that go through first
    :param times: matching requests that are struck after those; None: all
    :param struck: how often the fault happened
    """

    fault: Fault
    matches: Callable[[Request], bool]
    skip: int = 0
    times: int | None = 1
    struck: int = 0
    healed: threading.Event = field(default_factory=threading.Event)
    _seen: int = 0

    def takes(self, request: Request) -> bool:
        """Return whether the fault strikes this request; call it once for each request."""
        if not self.matches(request):
            return False
        self._seen += 1
        return self._seen > self.skip and (self.times is None or self._seen <= self.skip + self.times)


class FaultProxy:
    """A proxy to one server, on a free port of 127.0.0.1, while the context lasts.

    :param host: the server's
    :param port: the server's
    :param authority: signs the proxy's certificate, and the client connects over TLS; None: plain HTTP
    :param tls_version: the only one that it accepts; None: 1.2 and 1.3
    """

    def __init__(
        self,
        host: str,
        port: int,
        authority: CertificateAuthority | None = None,
        tls_version: ssl.TLSVersion | None = None,
    ) -> None:
        self.authority = authority
        self._context = None if authority is None else authority.server_context(tls_version)
        self._server = (host, port)
        self._listener = socket.socket()
        self._changed = threading.Condition(threading.RLock())
        self._rules: list[Rule] = []
        self._connections: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._closing = False
        self._in_flight = 0
        self._requests = 0
        self._bytes = {"request": 0, "response": 0}

    def __enter__(self) -> Self:
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(128)
        self._spawn(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.heal()
        with self._changed:
            self._closing = True
            for one in (self._listener, *self._connections):
                shut_down(one)
        for thread in self._threads:
            thread.join(timeout=10)
        self._listener.close()

    @property
    def port(self) -> int:
        """Where the proxy listens."""
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """Where the proxy listens, as a URL without a path."""
        return f"{'http' if self.authority is None else 'https'}://127.0.0.1:{self.port}"

    @property
    def requests(self) -> int:
        """Requests whose head has arrived."""
        with self._changed:
            return self._requests

    @property
    def bytes_to_client(self) -> int:
        """Bytes of response bodies that were sent to clients."""
        with self._changed:
            return self._bytes["response"]

    @property
    def bytes_to_server(self) -> int:
        """Bytes of request bodies that were sent to the server."""
        with self._changed:
            return self._bytes["request"]

    def wait_until(self, condition: Callable[[], bool], timeout: float = 60.0) -> bool:
        """Wait until a condition on the counters holds, at most ``timeout`` seconds; return whether it does."""
        with self._changed:
            return self._changed.wait_for(condition, timeout)

    def wait_until_idle(self) -> None:
        """Wait until no exchange is in flight: nothing more arrives at the server."""
        assert self.wait_until(lambda: self._in_flight == 0), "an exchange does not end"

    def strike(self, fault: Fault, matches: Callable[[Request], bool], *, skip: int = 0, times: int | None = 1) -> Rule:
        """Let a fault strike matching requests from now on. Of several rules the first that takes a request counts."""
        rule = Rule(fault, matches, skip, times)
        with self._changed:
            self._rules.append(rule)
        return rule

    def heal(self) -> None:
        """Remove all rules, and end all stalls and delays."""
        with self._changed:
            rules, self._rules = self._rules, []
        for rule in rules:
            rule.healed.set()

    def _spawn(self, target: Callable[..., None], *arguments: Any) -> None:
        thread = threading.Thread(target=target, args=arguments, name="fault-proxy", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._keep(client)
            self._spawn(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        """Carry one client's connection to its end."""
        far = None
        try:
            client = self._secured(client)
            near = Stream(client)
            if isinstance(client, ssl.SSLSocket):
                client.do_handshake()
            while (request := near.read_request()) is not None:
                far = self._connected(far)
                self._count_exchange(1)
                try:
                    stays = self._exchange(request, near, far)
                finally:
                    self._count_exchange(-1)
                if not stays:
                    return
        except _Broken as broken:
            _end(client, broken.by)
        except (OSError, EOFError):
            return  # one peer closed its connection, so the other is closed too
        finally:
            self._drop(client)
            if far is not None:
                self._drop(far.socket)

    def _exchange(self, request: Request, near: Stream, far: Stream) -> bool:
        """Pass one request and its response on; return whether the connection stays."""
        rule = self._rule_for(request)
        if rule is not None and isinstance(rule.fault, Refuse):
            self._count_strike(rule)
            return _refuse(rule.fault, request, near)
        self._happen(rule, "unseen")
        if request.headers.get("expect", "").lower() == "100-continue":
            near.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        far.send(request.head)
        self._pass_body(rule, "request", near, far, size=request.body_size)
        response = far.read_response(request.method)
        chunks = None
        if response.body_size is None:
            chunks = far.read_chunks()
            response = response.with_size(len(chunks))
        self._happen(rule, "done")
        near.send(response.head)
        self._pass_body(rule, "response", far, near, size=response.body_size or 0, known=chunks)
        return not response.is_last

    def _pass_body(
        self,
        rule: Rule | None,
        place: Literal["request", "response"],
        source: Stream,
        sink: Stream,
        *,
        size: int,
        known: bytes | None = None,
    ) -> None:
        """Pass a body on.

        :param known: the body, if it was read already
        """
        position = 0

        def take(count: int) -> Iterable[bytes]:
            nonlocal position
            start, position = position, position + count
            return source.read(count) if known is None else (known[start:position],)

        def send(pieces: Iterable[bytes]) -> None:
            for piece in pieces:
                sink.send(piece)
                self._count_bytes(place, len(piece))

        fault = rule.fault if rule is not None else None
        if rule is not None and fault is not None and not isinstance(fault, Refuse) and fault.place == place and size:
            if isinstance(fault, Flip):
                index, bit = divmod(fault.bit % (size * 8), 8)
                send(take(index))
                flipped = b"".join(take(1))[0] ^ (1 << bit)
                self._count_strike(rule)
                send([bytes([flipped])])
            else:
                send(take(size // 2))
                self._happen(rule, place)
        send(take(size - position))

    def _happen(self, rule: Rule | None, place: Place) -> None:
        """Let the rule's fault happen, if this is its place."""
        fault = rule.fault if rule is not None else None
        if rule is None or fault is None or isinstance(fault, Refuse | Flip) or fault.place != place:
            return
        self._count_strike(rule)
        match fault:
            case Reset():
                raise _Broken("reset")
            case Close():
                raise _Broken("close")
            case Stall():
                rule.healed.wait()
                raise _Broken("close")
            case Delay(_, seconds):
                rule.healed.wait(seconds)
            case Act(_, function):
                function()
            case Garble():
                raise _Broken("garble")
            case _:
                assert_never(fault)

    def _rule_for(self, request: Request) -> Rule | None:
        with self._changed:
            self._requests += 1
            self._changed.notify_all()
            return next((rule for rule in self._rules if rule.takes(request)), None)

    def _connected(self, far: Stream | None) -> Stream:
        """Return the connection to the server, a new one if the server closed it since the last exchange."""
        if far is not None:
            # Not select(): it takes no descriptor above 1,023, of which a long test session may have more.
            closed = select.poll()
            closed.register(far.socket, select.POLLIN)
            if not closed.poll(0):
                return far
            self._drop(far.socket)
        connection = socket.create_connection(self._server)
        self._keep(connection)
        return Stream(connection)

    def _secured(self, client: socket.socket) -> socket.socket:
        """Return the client's connection, over TLS if the proxy uses it."""
        if self._context is None:
            return client
        secured = self._context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
        self._drop(client)  # it has no descriptor any more
        self._keep(secured)
        return secured

    def _keep(self, connection: socket.socket) -> None:
        with self._changed:
            self._connections.add(connection)
            if self._closing:
                shut_down(connection)

    def _drop(self, connection: socket.socket) -> None:
        with self._changed:
            self._connections.discard(connection)
            connection.close()

    def _count_exchange(self, change: int) -> None:
        with self._changed:
            self._in_flight += change
            self._changed.notify_all()

    def _count_strike(self, rule: Rule) -> None:
        with self._changed:
            rule.struck += 1
            self._changed.notify_all()

    def _count_bytes(self, place: Literal["request", "response"], count: int) -> None:
        with self._changed:
            self._bytes[place] += count
            self._changed.notify_all()


class _Broken(Exception):
    """A fault that ends the connection."""

    def __init__(self, by: Literal["reset", "close", "garble"]) -> None:
        super().__init__()
        self.by = by


def _refuse(fault: Refuse, request: Request, near: Stream) -> bool:
    # A client that waits for "100 Continue" sends no body to a server that refuses.
    is_early = fault.early or "expect" in request.headers
    if not is_early:
        for _ in near.read(request.body_size):
            continue
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{fault.code}</Code></Error>'.encode()
    lines = [
        f"HTTP/1.1 {fault.status} {fault.code}",
        f"x-ms-error-code: {fault.code}",
        "Content-Type: application/xml",
        f"Content-Length: {len(body)}",
        *([] if fault.retry_after is None else [f"Retry-After: {fault.retry_after}"]),
        *(["Connection: close"] if is_early else []),
        *(f"{name}: {value}" for name, value in fault.headers),
    ]
    head = "".join(f"{line}\r\n" for line in (*lines, "")).encode()
    near.send(head if request.method == "HEAD" else head + body)
    if is_early:
        _notify_close(near.socket)
    return not is_early


def _end(client: socket.socket, by: Literal["reset", "close", "garble"]) -> None:
    """Send what a connection ends with when it is closed now."""
    match by:
        case "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        case "close":
            _notify_close(client)
        case "garble":
            with suppress(OSError), socket.socket(fileno=os.dup(client.fileno())) as below:
                below.sendall(_NO_RECORD)


def _notify_close(connection: socket.socket) -> None:
    """Send a close_notify, if this is TLS, without waiting for the client's."""
    if isinstance(connection, ssl.SSLSocket):
        with suppress(OSError):
            connection.setblocking(False)
            connection.unwrap()


def shut_down(connection: socket.socket) -> None:
    """End a connection that another thread may be using: its next call sees the end, or fails with an OSError."""
    try:
        # Not SSLSocket.shutdown(): it takes the TLS state away from under a handshake, which then has nothing to call.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
    except OSError:
        return  # it was closed already
