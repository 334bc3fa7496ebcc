"""One export, obtained: out of the store where it is fresh enough, else from the server into the store."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from .clock import SystemClock
from .durations import spoken
from .errors import NotCachedError, SchemaError, SchemaWarning
from .freshness import judge
from .progress import watching
from .store import Store, drop, is_sound, parquet_path, use

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .clock import Clock
    from .entry import Entry
    from .order import Order
    from .progress import Watcher

log = logging.getLogger("appmetrica_frames")


@dataclass(frozen=True, slots=True)
class Export:
    """A Parquet file, and the columns of it that were asked for, in the order asked."""

    path: Path
    entry: Entry
    fields: tuple[str, ...]


def obtain(order: Order, *, clock: Clock | None = None) -> Export:
    """Return the stored export that answers an order; fetch it first if there is none that is fresh enough."""
    clock = clock or SystemClock()
    order = order.at(clock.now())
    store = Store(order.client.directory())
    with watching(order.request.resource, wanted=order.client.progress) as watcher:
        found = _look_up(order, store, clock, watcher) or _fetched(order, store, clock, watcher)
    use(found.path.parent, found.entry, lend=order.lend)
    _speak_of_text(found, strict=order.strict)
    return found


@contextmanager
def passing(order: Order, *, clock: Clock | None = None) -> Iterator[Export]:
    """Fetch an export past the store; its file is gone afterwards."""
    clock = clock or SystemClock()
    order = order.at(clock.now())
    with TemporaryDirectory(prefix="appmetrica_frames-") as directory:
        with watching(order.request.resource, wanted=order.client.progress) as watcher:
            export = _fill(order, Store(Path(directory)), clock, watcher)
        _speak_of_text(export, strict=order.strict)
        yield export


def _look_up(order: Order, store: Store, clock: Clock, watcher: Watcher) -> Export | None:
    origin = order.client.origin()
    reason = judge(None, order.wish, clock.now()).reason
    for folder, entry in store.candidates(order.request, origin):
        verdict = judge(entry.built_not_before, order.wish, clock.now())
        reason = verdict.reason
        if not verdict.fresh:
            break  # the youngest comes first
        if is_sound(folder, entry):
            age = spoken(max(0.0, clock.now() - entry.built_not_before))
            log.info("%s: from the store (%s)", order.request.resource, reason)
            watcher.say(f"from the store, built at most {age} ago")
            return Export(parquet_path(folder, entry), entry, order.request.fields)
        drop(folder, entry)
    log.info("%s: not from the store (%s)", order.request.resource, reason)
    return None


def _fetched(order: Order, store: Store, clock: Clock, watcher: Watcher) -> Export:
    if order.wish.offline:
        raise NotCachedError(
            f"offline=True, and the store in {store.directory} holds no such export of {order.request.resource}. "
            "Make the same call once without offline."
        )
    order.client.token()  # a missing token is said before a lock is waited for
    with store.claim(
        order.request.key(order.client.origin()),
        waiting=lambda: watcher.say("another process is fetching the same export; waiting for it"),
    ):
        return _look_up(order, store, clock, watcher) or _fill(order, store, clock, watcher)


def _fill(order: Order, store: Store, clock: Clock, watcher: Watcher) -> Export:
    # Not at the top: a read that the store answers needs neither an HTTP client nor Arrow.
    from .filling import fill

    path, entry = fill(order, store, clock=clock, watcher=watcher)
    return Export(path, entry, order.request.fields)


def _speak_of_text(export: Export, *, strict: bool) -> None:
    for column in export.fields:
        said = export.entry.as_text.get(column)
        if said and strict:
            raise SchemaError(f"strict=True: {said}", column=column)
        if said:
            warnings.warn(said, SchemaWarning, stacklevel=2)
