"""One block is parsed in the background while the caller downloads the next one and writes the last one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from concurrent.futures import Future

Block = TypeVar("Block")
Batch = TypeVar("Batch")


def one_ahead(parse: Callable[[Block], Batch], blocks: Iterable[Block], *, name: str) -> Generator[Batch, None, None]:
    """Yield what `parse` makes of each block, in order; closing the iterator ends the thread."""
    with ThreadPoolExecutor(1, name) as worker:
        waiting: Future[Batch] | None = None
        for block in blocks:
            ahead = worker.submit(parse, block)
            if waiting:
                yield waiting.result()
            waiting = ahead
        if waiting:
            yield waiting.result()
