"""Lists one prefix in several ranges of names at once, and yields its entries in order.

A listing is read page by page: the token of a page is in the page before it. But a service also lists from any name on. So
once a listing has more than a few pages, *listers* (threads) list ahead of it:

* A range is the names above ``after``, up to and including ``stop``. The ranges are contiguous, and in order. The consumer
  takes the pages of the first one, then those of the next.
* A lister with nothing to do splits the first range that is long enough: it takes the names above a point that is
  about ``range_pages`` ahead of what is listed of that range (:mod:`~airflow_s3_azure.sync.split_points`). So no guess of the
  whole listing is needed, and skewed names keep all listers busy.
* A range ends at the first name beyond its ``stop``. On average half a page is listed twice, so a range has many pages.
* Memory: ``max_pages`` pages. Only the first range may be read while so many are waiting.

A service that does not list from a name on is detected at the first split, before the listing depends on it, and listed
serially. One that does not list in the order of the names' bytes is listed serially if a page shows it before the first split;
later it raises :class:`~airflow_s3_azure.sync.join.OutOfOrder`.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import TransferError
from airflow_s3_azure.engine.quoting import get_logger
from airflow_s3_azure.sync.join import Endpoint, OutOfOrder
from airflow_s3_azure.sync.page import Page
from airflow_s3_azure.sync.split_points import Density

log = get_logger(__name__)

Entry = TypeVar("Entry")

_SAMPLE = 16
"""Names of a page that show the alphabets of a listing."""
_MARKS = 16
"""Pages whose last names are kept of a range."""
_CONSUMED = 64
"""Consumed pages whose last names are kept."""
_READ_AHEAD = 2
"""Pages of the first range that wait for the consumer, even if the memory for all others is used up."""
_WAIT_SECONDS = 1.0
"""Between two checks of the cancellation."""


class Fetch(Protocol[Entry]):
    """Requests one page. Called from several threads."""

    def __call__(self, after: str, token: str | None) -> Page[Entry]:
        """Return the page of a token; without one, the first page of the names above ``after``, or of all names.

        A service may include ``after`` itself.
        """


@dataclass(frozen=True, slots=True)
class Parallelism:
    """How a listing is read.

    :param listers: threads; 1: serially
    :param serial_pages: pages after which the first range is split; a shorter listing costs no extra request
    :param range_pages: intended length of a range
    :param max_pages: pages that wait for the consumer
    :param max_repeated: share of the pages that is listed twice, above which no range is split
    """

    listers: int
    serial_pages: int
    range_pages: int
    max_pages: int
    max_repeated: float = 0.035


@dataclass(slots=True)
class ServiceOrder:
    """What is known of the order in which a service lists. A listing that shows it sets it.

    :param is_by_name: False: not in the order of the names' UTF-8 bytes
    """

    is_by_name: bool = True


@dataclass(slots=True, eq=False)
class _Range(Generic[Entry]):
    """A range of names, listed by one request at a time.

    :param is_local: whether it was split off by the density of the range before it, not of all consumed pages
    :param waiting: pages that are listed and not consumed, with their last names
    :param token: of its next page; None: none is listed
    :param density: of what is listed; None: nothing is
    """

    after: str
    stop: str | None
    is_local: bool = False
    waiting: deque[tuple[str, list[Entry]]] = field(default_factory=deque)
    token: str | None = None
    density: Density | None = None
    pages: int = 0
    is_fetching: bool = False
    is_complete: bool = False
    split_at: int = 0

    def may_split(self) -> bool:
        """Return whether it was not tried since its last page."""
        return not self.is_complete and self.density is not None and self.split_at < self.pages


class OrderedListing(Generic[Entry]):
    """The entries of one listing, in order. To be iterated once.

    :param prefix: of all names
    :param endpoint: whose listing it is, for :class:`OutOfOrder`
    :param order: of the service; read at the start, and set if a page shows another one
    :param skip: two names; those above the first, up to the second, are left out if the service lists from a name on
    """

    def __init__(
        self,
        fetch: Fetch[Entry],
        parallelism: Parallelism,
        *,
        prefix: str,
        endpoint: Endpoint,
        order: ServiceOrder,
        cancellation: Cancellation,
        skip: tuple[str, str] | None = None,
    ) -> None:
        self._fetch = fetch
        self._skip = skip
        self._how = parallelism
        self._prefix = prefix
        self._endpoint: Endpoint = endpoint
        self._order = order
        self._cancellation = cancellation
        self._changed = threading.Condition()
        self._ranges: deque[_Range[Entry]] = deque([_Range("", None)])
        self._is_parallel = parallelism.listers > 1 and order.is_by_name
        self._is_tried = False
        self._is_split = self._is_in_ranges = False
        self._consumed: deque[str] = deque(maxlen=_CONSUMED)
        self._is_local = False
        self._pages = 0
        self._repeated = 0.0
        self._error: BaseException | None = None
        self._is_closed = False

    def __iter__(self) -> Iterator[Entry]:
        self._start(1, self._skip)
        try:
            while (page := self._next_page()) is not None:
                yield from page
        finally:
            with self._changed:
                self._is_closed = True
                self._changed.notify_all()

    def _start(self, listers: int, *arguments: tuple[str, str] | None) -> None:
        for _ in range(listers):
            threading.Thread(target=self._list, args=arguments, name="lister", daemon=True).start()

    def _next_page(self) -> list[Entry] | None:
        """Wait for the next page of the listing; None: there is none."""
        with self._changed:
            while True:
                self._cancellation.check()
                if self._error is not None:
                    raise self._error
                first = self._ranges[0]
                if first.waiting:
                    self._changed.notify_all()
                    last, page = first.waiting.popleft()
                    self._consumed.append(last)
                    return page
                if not first.is_complete:
                    self._changed.wait(_WAIT_SECONDS)
                    continue
                self._ranges.popleft()
                self._changed.notify_all()  # the next range is now the first one, which may always be read
                if not self._ranges:
                    return None

    def _list(self, skip: tuple[str, str] | None = None) -> None:
        """List pages until there is nothing left to list. The body of a lister's thread."""
        try:
            if skip is not None and self._order.is_by_name:
                self._try_to_skip(*skip)
            while (one := self._next_range()) is not None:
                self._add(one, self._fetch(one.after, one.token))
                if self._is_parallel and not self._is_tried:
                    self._try_to_split(one)
        except BaseException as error:
            with self._changed:
                self._error = self._error or error
                self._changed.notify_all()

    def _next_range(self) -> _Range[Entry] | None:
        """Wait for a range with a page to request; None: the listing was closed, or is complete."""
        with self._changed:
            while not self._is_closed and self._error is None:
                if not self._ranges or all(one.is_complete for one in self._ranges):
                    return None
                one = self._unlisted() or self._split()
                if one is not None:
                    one.is_fetching = True
                    return one
                self._changed.wait()
            return None

    def _unlisted(self) -> _Range[Entry] | None:
        """Return the first range whose next page may be requested: there is memory for it and for all ranges before."""
        pages = sum(len(one.waiting) for one in self._ranges)
        for one in self._ranges:
            if one.is_complete:
                continue
            if not one.is_fetching:
                is_first = one is self._ranges[0]
                if (self._is_split and pages < self._how.max_pages) or (is_first and len(one.waiting) < _READ_AHEAD):
                    return one
            pages += self._unlisted_pages(one)
        return None

    def _split(self) -> _Range[Entry] | None:
        """Return a new range, the upper part of the first one that is long enough."""
        length = self._how.range_pages
        if not self._is_split or self._expected_pages() + length > self._how.max_pages:
            return None
        if self._repeated > self._how.max_repeated * self._pages + 1:
            return None
        for number, one in enumerate(self._ranges):
            if one.may_split() and (point := self._point(one)) is not None:
                new: _Range[Entry] = _Range(point, one.stop, self._is_local)
                one.stop = point
                self._ranges.insert(number + 1, new)
                return new
        return None

    def _expected_pages(self) -> int:
        """Return the pages that wait, and those that the ranges will have."""
        return sum(len(one.waiting) + self._unlisted_pages(one) for one in self._ranges)

    def _unlisted_pages(self, one: _Range[Entry]) -> int:
        """Return how many pages a range will have beside those that are listed."""
        return 0 if one.is_complete else max(1, self._how.range_pages - one.pages)

    def _point(self, one: _Range[Entry]) -> str | None:
        """Return where to split a range; None: it is too short, or its names do not tell."""
        one.split_at = one.pages
        here = one.density
        assert here is not None
        length = self._how.range_pages
        density = here if self._is_local or len(self._consumed) < 3 else Density([*self._consumed], here.sample)
        point = density.ahead(here.last, length)
        if one.stop is not None and density.pages_between(here.last, one.stop) < 1.5 * length:
            return None
        if point is None or not point.startswith(self._prefix) or (one.stop is not None and point >= one.stop):
            return None
        return point

    def _add(self, one: _Range[Entry], page: Page[Entry]) -> None:
        """Add a page to its range."""
        if page.next is not None and page.next == one.token:
            raise RepeatedToken
        is_sorted = page.is_sorted()
        with self._changed:
            names, entries = page.names, page.entries
            last = one.after if one.density is None else one.density.last
            if not is_sorted or (names and names[0] < last):
                self._record_other_order()
            # A service may repeat the name that it lists from.
            first = bisect_right(names, one.after) if one.after and one.density is None else 0
            stop = len(names) if one.stop is None else bisect_right(names, one.stop)
            one.is_complete = page.next is None or stop < len(names)
            self._pages += 1
            self._repeated += 1 - (stop - first) / len(names) if names else float(bool(one.after))
            if first < stop:
                one.waiting.append((names[stop - 1], entries[first:stop]))
                one.pages += 1
                before = names[:1] if one.density is None else one.density.marks[-_MARKS:]
                one.density = Density([*before, names[-1]], names[:: max(1, len(names) // _SAMPLE)])
            if one.after and page.next is not None and one.is_complete and one.pages < self._how.range_pages / 4:
                self._is_local = not one.is_local  # this density does not tell
            one.token, one.is_fetching = page.next, False
            self._changed.notify_all()

    def _record_other_order(self) -> None:
        """List serially from now on.

        :raises OutOfOrder: if the listing was ever in several ranges, also to skip names: some may be missing between them
        """
        self._order.is_by_name = self._is_parallel = False
        if self._is_in_ranges:
            raise OutOfOrder(self._endpoint)

    def _try_to_split(self, one: _Range[Entry]) -> None:
        """After the first pages, list from a point ahead. If the service does, split there, and start all listers.

        No other lister runs yet.
        """
        if one.is_complete or one.pages < self._how.serial_pages or (point := self._point(one)) is None:
            return
        self._is_tried = True
        page = self._page_above(point)
        if page is None or not page.names:
            self._is_parallel = False
            return
        self._split_at(one, point, page)
        self._is_split = True
        self._start(self._how.listers - 1)

    def _try_to_skip(self, low: str, high: str) -> None:
        """Leave out the names above ``low``, up to ``high``, if the service lists from a name on."""
        page = self._page_above(high)
        if page is not None:
            (whole,) = self._ranges
            self._split_at(whole, high, page)
            whole.stop = low

    def _page_above(self, point: str) -> Page[Entry] | None:
        """Return the first page of the names above a point; None: no range may begin there, as the service's response shows."""
        try:
            page = self._fetch(point, None)
        except TransferError as error:
            log.debug("the service does not list from a name on: %s", error)
            return None
        if page.names and page.names[0] < point:
            log.debug("the service does not list from a name on, but from the first one")
            return None
        if not page.is_sorted():
            self._record_other_order()
            return None
        return page

    def _split_at(self, one: _Range[Entry], point: str, page: Page[Entry]) -> None:
        """Split a range whose upper part has this first page."""
        new: _Range[Entry] = _Range(point, one.stop, self._is_local)
        with self._changed:
            one.stop, self._is_in_ranges = point, True
            self._ranges.insert(self._ranges.index(one) + 1, new)
        self._add(new, page)


class RepeatedToken(Exception):
    """A page has the token that requested it, so the listing would never end."""
