"""Working on several things at once and answering in their order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Callable, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def in_order(
    work: Callable[[Item], Answer], items: Iterable[Item], workers: int | None = None
) -> Iterator[Answer]:
    """What `work` makes of each item, each as soon as those before it are there.

    Only a few items are taken ahead, so that neither they nor answers pile up.
    """
    threads = _processors() if workers is None else workers
    if threads < 1:
        raise ValueError(f"workers is {workers}; give at least 1")
    waiting: deque[Future[Answer]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="liveness") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) >= 4 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
