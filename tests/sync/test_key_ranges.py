"""A listing in several ranges at once has the entries of the serial listing, in order, whatever the names are."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_s3_azure.engine.cancellation import Cancellation
from airflow_s3_azure.engine.errors import Cancelled, SourceReadError
from airflow_s3_azure.sync.join import OutOfOrder
from airflow_s3_azure.sync.key_ranges import OrderedListing, Parallelism, RepeatedToken, ServiceOrder
from airflow_s3_azure.sync.page import Page

PAGE = 3
PARALLEL = Parallelism(listers=4, serial_pages=2, range_pages=3, max_pages=12, max_repeated=1.0)
LONG = [f"batch-{number // 5:04d}/orders-{number:06d}.json" for number in range(600)]


class Service:
    """Lists names in pages, as S3 and Azure do.

    :param includes_start: whether a listing from a name includes it, as Azure's does
    :param lists_from: whether it lists from a name on, or ignores that
    :param latency: seconds until it responds
    :ivar requests: the name and the token of each request
    """

    def __init__(
        self, names: Iterable[str], *, includes_start: bool = False, lists_from: bool = True, latency: float = 0.0
    ) -> None:
        self.names = list(names)
        self.requests: list[tuple[str, str | None]] = []
        self._start = bisect_left if includes_start else bisect_right
        self._lists_from = lists_from
        self._latency = threading.Event(), latency
        self._lock = threading.Lock()

    def __call__(self, after: str, token: str | None) -> Page[str]:
        """Return a page."""
        event, seconds = self._latency
        event.wait(seconds)
        with self._lock:
            self.requests.append((after, token))
        first = self._start(self.names, after) if after and self._lists_from else 0
        first = first if token is None else int(token)
        listed = self.names[first : first + PAGE]
        return Page(listed, listed, str(first + PAGE) if first + PAGE < len(self.names) else None)


def listing(
    service: Service,
    parallelism: Parallelism = PARALLEL,
    *,
    prefix: str = "",
    order: ServiceOrder | None = None,
    cancellation: Cancellation | None = None,
    skip: tuple[str, str] | None = None,
) -> OrderedListing[str]:
    """Return a listing of a service."""
    return OrderedListing(
        service,
        parallelism,
        prefix=prefix,
        endpoint="source",
        order=order or ServiceOrder(),
        cancellation=cancellation or Cancellation(),
        skip=skip,
    )


def serial_requests(names: Sequence[str]) -> int:
    """Return the requests of a listing page by page."""
    return max(1, -(-len(names) // PAGE))


NAMES = st.one_of(
    st.sets(st.text(max_size=5), max_size=150),
    st.sets(st.text("ab/0", max_size=8), max_size=150),
    st.sets(st.text("\ud7ff\ue000\uffff\U00010000\U0010ffff/", max_size=4), max_size=150),
    st.sets(st.integers(0, 10**6).map(str), max_size=150),
    st.sets(st.integers(0, 300).map("logs/2026/{:06d}.gz".format), max_size=150),
    st.sets(st.uuids().map(str), max_size=150),
).map(lambda names: sorted(names - {""}))


@given(names=NAMES, includes_start=st.booleans())
def test_the_entries_are_those_of_the_serial_listing(names: list[str], *, includes_start: bool) -> None:
    """In order, each once."""
    assert list(listing(Service(names, includes_start=includes_start))) == names


@given(names=NAMES, skip=st.tuples(st.text("ab/0", max_size=3), st.text("ab/0", min_size=1, max_size=3)).map(sorted))
def test_skipped_names_are_left_out_and_no_others(names: list[str], skip: list[str]) -> None:
    """Those above the first name, up to the second."""
    low, high = skip

    found = list(listing(Service(names), skip=(low, high)))

    assert found == [name for name in names if not low < name <= high]


def test_a_long_listing_is_read_in_several_ranges() -> None:
    """With few requests more than a serial one."""
    service = Service(LONG, latency=0.002)

    assert list(listing(service)) == LONG
    assert len({after for after, _ in service.requests}) >= 10
    assert len(service.requests) <= serial_requests(LONG) * 1.4


@pytest.mark.parametrize("pages", [0, 1, 2])
def test_a_short_listing_costs_no_further_request(pages: int) -> None:
    """Ranges begin after ``serial_pages``."""
    names = LONG[: pages * PAGE]
    service = Service(names)

    assert list(listing(service)) == names
    assert len(service.requests) == serial_requests(names)


def test_one_lister_reads_serially() -> None:
    """Page by page."""
    service = Service(LONG)

    assert list(listing(service, Parallelism(1, 2, 3, 12))) == LONG
    assert {after for after, _ in service.requests} == {""}


def test_a_service_that_ignores_the_name_is_listed_serially() -> None:
    """One request shows it."""
    service = Service(LONG, lists_from=False)

    assert list(listing(service)) == LONG
    assert len(service.requests) == serial_requests(LONG) + 1


def test_a_service_that_refuses_to_list_from_a_name_is_listed_serially() -> None:
    """The refusal is not the listing's."""

    class Refusing(Service):
        def __call__(self, after: str, token: str | None) -> Page[str]:
            page = super().__call__(after, token)
            if after:
                raise SourceReadError("not implemented")
            return page

    assert list(listing(Refusing(LONG))) == LONG


@pytest.mark.parametrize("swapped", [0, 3])
def test_a_service_of_another_order_is_listed_serially_if_its_first_pages_show_it(swapped: int) -> None:
    """Within a page or between two."""
    names = list(LONG)
    names[swapped], names[swapped + 2] = names[swapped + 2], names[swapped]
    service, order = Service(names), ServiceOrder()

    assert list(listing(service, order=order)) == names
    assert {after for after, _ in service.requests} == {""}
    assert not order.is_by_name


def test_another_order_that_shows_later_ends_the_listing() -> None:
    """Names could be missing. The next listing of the service is serial."""
    names = list(LONG)
    names[-1], names[-3] = names[-3], names[-1]
    order = ServiceOrder()

    with pytest.raises(OutOfOrder):
        list(listing(Service(names), order=order))

    assert not order.is_by_name
    assert list(listing(Service(names), order=order)) == names


def test_a_service_of_another_order_is_listed_serially_if_the_page_at_the_first_split_shows_it() -> None:
    """The listing does not depend on that page yet."""
    service = Service(LONG)
    list(listing(service))
    split = next(after for after, token in service.requests if after and token is None)
    first = bisect_right(LONG, split)
    names = list(LONG)
    names[first + 1], names[first + 2] = names[first + 2], names[first + 1]
    service, order = Service(names), ServiceOrder()

    assert list(listing(service, order=order)) == names
    assert [after for after, _ in service.requests if after] == [split]
    assert not order.is_by_name


RECORDS = ("_records/", "_records/~")


def test_no_name_is_skipped_if_the_first_page_above_shows_another_order() -> None:
    """Such as one that ignores case: what is between two names is not known."""
    names = ["A", "_records/1", "_records/2", "a", "Z", "z"]
    service, order = Service(names), ServiceOrder()

    assert list(listing(service, order=order, skip=RECORDS)) == names
    assert [after for after, _ in service.requests] == [RECORDS[1], "", ""]
    assert not order.is_by_name


@pytest.mark.parametrize(
    "names",
    [
        ["A", "_records/1", "Z", "a", "b", "c"],
        ["A", "_records/1", "_records/2", "a", "b", "c", "Z"],
    ],
    ids=["below", "above"],
)
def test_another_order_that_shows_after_names_were_skipped_ends_the_listing(names: list[str]) -> None:
    """Names could be missing below or above them. The next listing of the service is serial, and has all names."""
    order = ServiceOrder()

    with pytest.raises(OutOfOrder):
        list(listing(Service(names), order=order, skip=RECORDS))

    assert not order.is_by_name
    assert list(listing(Service(names), order=order, skip=RECORDS)) == names


def test_an_empty_page_above_skipped_names_is_followed_by_the_next_one() -> None:
    """Azure may send one with a marker. The lister waits until the consumer has taken what is below, and then lists on."""

    class EmptyFirst(Service):
        def __call__(self, after: str, token: str | None) -> Page[str]:
            page = super().__call__(after, token)
            return Page([], [], str(bisect_right(self.names, after))) if after and token is None else page

    names, cancellation = ["A", "_records/1", *map("a{:02}".format, range(20))], Cancellation()
    timer = threading.Timer(5, cancellation.set, ("the listing hangs",))
    timer.start()
    found = []
    for name in listing(EmptyFirst(names), skip=RECORDS, cancellation=cancellation):
        found.append(name)
        # Time in which the lister begins to wait.
        threading.Event().wait(0.1 if name == "A" else 0)
    timer.cancel()

    assert found == [name for name in names if name != "_records/1"]


def test_a_repeated_token_ends_the_listing() -> None:
    """It would never end otherwise."""

    class Endless(Service):
        def __call__(self, after: str, token: str | None) -> Page[str]:
            del after, token
            return Page(["a"], ["a"], "again")

    with pytest.raises(RepeatedToken):
        list(listing(Endless([])))


@given(names=NAMES, fails=st.integers(0, 40))
def test_an_error_of_any_request_ends_the_listing(names: list[str], fails: int) -> None:
    """What was yielded before is the beginning of the listing."""

    class Failing(Service):
        def __call__(self, after: str, token: str | None) -> Page[str]:
            page = super().__call__(after, token)
            if len(self.requests) > fails and (token or not after):
                raise SourceReadError("down")
            return page

    found = []
    service = Failing(names)
    try:
        for name in listing(service):
            found.append(name)  # noqa: PERF402 - kept until the error
    except SourceReadError:
        assert found == names[: len(found)]
    else:
        assert found == names


@given(stops=st.integers(0, len(LONG) - 2 * PAGE))
def test_a_cancelled_listing_ends(stops: int) -> None:
    """After the pages that were taken."""
    cancellation = Cancellation()
    found = []

    def list_until_stopped() -> None:
        for name in listing(Service(LONG), cancellation=cancellation):
            found.append(name)
            if len(found) == stops + 1:
                cancellation.set("stopped")

    with pytest.raises(Cancelled):
        list_until_stopped()

    assert found == LONG[: len(found)]
    assert len(found) <= stops + PAGE


def test_few_pages_wait_for_a_slow_consumer() -> None:
    """All listers together stop at ``max_pages``, and at one page in flight each."""
    service = Service(LONG)
    entries = iter(listing(service))

    for number in range(len(LONG)):
        next(entries)
        listed = sum(1 for _ in service.requests)
        consumed = number // PAGE
        assert listed - consumed <= PARALLEL.max_pages + PARALLEL.listers + 2 + listed // 5


def test_a_closed_listing_requests_nothing_more() -> None:
    """Its listers end."""
    before = set(threading.enumerate())
    entries = iter(listing(Service(LONG)))
    for _ in range(20 * PAGE):
        next(entries)

    entries.close()  # type: ignore[attr-defined]
    while listers := set(threading.enumerate()) - before:
        for one in listers:
            with suppress(RuntimeError):  # it is being started
                one.join()


def test_the_ranges_stay_below_the_prefix() -> None:
    """A name above it lists nothing."""
    service = Service(LONG)

    assert list(listing(service, prefix="batch-")) == LONG
    assert all(after.startswith("batch-") for after, _ in service.requests if after)
