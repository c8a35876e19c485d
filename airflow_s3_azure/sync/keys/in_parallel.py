"""Calls a function for each of many items in several threads, and yields what it returns in the order of the items."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Returned = TypeVar("Returned")

_AHEAD = 2
"""Calls that are waiting or done for each thread."""


def in_parallel(
    function: Callable[[Item], Returned],
    items: Iterable[Item],
    threads: int,
    *,
    name: str,
    is_slow: Callable[[Item], bool] = lambda _: True,
) -> Generator[Returned, None, None]:
    """Yield what the function returns for each item, in the order of the items.

    Memory: a few items and results for each thread.

    :param is_slow: whether a call is worth a thread; others are made in the caller's
    :raises Exception: the error of the first call that failed
    """
    calls: deque[Future[Returned]] = deque()
    pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
    try:
        for item in items:
            if is_slow(item):
                calls.append(pool.submit(function, item))
            elif calls:
                calls.append(_done(function(item)))
            else:
                yield function(item)
            while len(calls) > threads * _AHEAD or (calls and calls[0].done()):
                yield calls.popleft().result()
        while calls:
            yield calls.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _done(value: Returned) -> Future[Returned]:
    future: Future[Returned] = Future()
    future.set_result(value)
    return future
