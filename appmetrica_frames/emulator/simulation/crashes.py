"""Crashes and errors: long multi-line texts, more of them in bad releases."""

# ruff: noqa: RUF001 - the simulated people write in Cyrillic

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from . import devices
from .rng import Choice, derive, draw, integers, uniform
from .rows import Rows, lookup
from .sessions import receive_time, simulate_sessions

if TYPE_CHECKING:
    from .population import Visits
    from .rng import Bools, Ints
    from .sessions import Sessions


CRASHES = (
    ("java.lang.NullPointerException", "Attempt to invoke virtual method 'int Cart.size()' on a null object reference"),
    ("java.lang.IllegalStateException", 'Fragment "Checkout" not attached to a context.'),
    ("java.lang.OutOfMemoryError", "Failed to allocate a 8294416 byte allocation with 1048576 free bytes"),
    ("kotlin.UninitializedPropertyAccessException", "lateinit property адрес has not been initialized"),
    ("EXC_BAD_ACCESS (SIGSEGV)", "KERN_INVALID_ADDRESS at 0x0000000000000010"),
    ("NSInvalidArgumentException", "-[__NSCFString objectForKey:]: unrecognized selector, sent to instance"),
    ("Swift runtime failure", "Unexpectedly found nil while unwrapping an Optional value 💥"),
)
ERRORS = (
    ("Ошибка оплаты", 'Bank answered: {"code":"51","text":"Недостаточно средств"},{'),
    ("HTTP 502, catalog", "GET /v2/catalog failed\nBad Gateway\n<html>\n<body>502</body>\n</html>"),
    ("JSONDecodeError", 'Expecting value: line 1 column 1 (char 0), body was ""'),
    ("Timeout", "Request timed out after 15000 ms,\nretry 3 of 3"),
    ("ImageLoadError", "Could not decode image: data:image/webp;base64,UklGRh4AAABXRUJQ"),
)
FRAMES = ("Cart.add", "Checkout.pay", "Catalog.render", "Search.query", "Profile.load", "Оформление.шаг2", "Push.show")
VARIANTS = 24
CRASH_CHOICE = Choice.of((9, 6, 3, 2, 7, 4, 3))
ERROR_CHOICE = Choice.of((6, 5, 3, 4, 2))
ANDROID_CRASHES = 4
ERROR_SHARE = 0.03


def simulate_crashes(visits: Visits) -> Rows:
    sessions = simulate_sessions(visits)
    release = devices.draw_release(visits)
    rate = devices.list_crash_rates()[release] * np.where(devices.is_ios(visits.id), 0.6, 1.0)
    rows = _rows(sessions, uniform(sessions.seed, "crashes") < rate[sessions.visit])
    return Rows(visits, rows.arrays | {"text": _crash_kind(rows)})


def simulate_errors(visits: Visits) -> Rows:
    sessions = simulate_sessions(visits)
    rows = _rows(sessions, uniform(sessions.seed, "errs") < ERROR_SHARE)
    return Rows(visits, rows.arrays | {"text": ERROR_CHOICE.pick(rows["seed"], "which error")})


def _rows(sessions: Sessions, affected: Bools) -> Rows:
    crashed = sessions.take(np.flatnonzero(affected))
    seed = derive(crashed.seed, np.array(1))
    time = crashed.start + (crashed.seconds * uniform(seed, "when")).astype(np.int64)
    arrays = {"visit": crashed.visit, "time": time, "received": receive_time(time, seed, crashed.late), "seed": seed}
    return Rows(sessions.visits, arrays)


def _crash_kind(rows: Rows) -> Ints:
    """Return the kind of each crash: the first ANDROID_CRASHES are Android's, the others Apple's."""
    ios = devices.is_ios(rows.device_id)
    kind = CRASH_CHOICE.pick(rows["seed"], "which crash")
    apple = ANDROID_CRASHES + integers(rows["seed"], "which apple crash", len(CRASHES) - ANDROID_CRASHES)
    return np.where(ios, apple, np.minimum(kind, ANDROID_CRASHES - 1))


def _variant(rows: Rows) -> Ints:
    return rows["text"] * VARIANTS + integers(rows["seed"], "variant", VARIANTS)


@cache
def _crash_texts() -> list[str]:
    return [
        _trace(name, text, variant, apple=kind >= ANDROID_CRASHES)
        for kind, (name, text) in enumerate(CRASHES)
        for variant in range(VARIANTS)
    ]


@cache
def _error_texts() -> list[str]:
    return [_trace(name, text, variant, depth=3) for name, text in ERRORS for variant in range(VARIANTS)]


def _trace(name: str, text: str, variant: int, *, apple: bool = False, depth: int = 14) -> str:
    calls = [FRAMES[(variant + 3 * level) % len(FRAMES)] for level in range(depth)]
    lines = [_line(call, level, 17 + variant * 7 + level, apple=apple) for level, call in enumerate(calls)]
    # Some texts end in what looks like the boundary between two JSON records.
    end = f'State: {{"cart":[{{"sku":"LV-{variant}"}},{{' if variant % 3 else "... 12 more"
    return "\n".join([f"{name}: {text}", *lines, end])


def _line(call: str, level: int, number: int, *, apple: bool) -> str:
    module = call.partition(".")[0]
    if apple:
        return f"{level:<3} Lavka  0x{0x1_0480_0000 + 4096 * number:016x} {call} ({module}.swift:{number})"
    return f"\tat com.example.lavka.{call}({module}.kt:{number})"


@cache
def _json_texts(kinds: tuple[tuple[str, str], ...]) -> list[str]:
    return [
        json.dumps(
            {"class": name, "message": text, "threads": [{"name": "main", "variant": variant}]}, ensure_ascii=False
        )
        for name, text in kinds
        for variant in range(VARIANTS)
    ]


CRASH_COLUMNS = {
    "crash": lambda rows: lookup(_crash_texts(), _variant(rows)),
    "crash_json": lambda rows: lookup(_json_texts(CRASHES), _variant(rows)),
    "crash_name": lambda rows: lookup([name for name, _ in CRASHES], rows["text"]),
    "crash_id": lambda rows: pl.Series(draw(rows["seed"], "crash id")),
    "crash_group_id": lambda rows: pl.Series(draw(_variant(rows).astype(np.uint64), "crash group")),
}
ERROR_COLUMNS = {
    "error": lambda rows: lookup(_error_texts(), _variant(rows)),
    "error_json": lambda rows: lookup(_json_texts(ERRORS), _variant(rows)),
    "error_name": lambda rows: lookup([name for name, _ in ERRORS], rows["text"]),
    "error_id": lambda rows: pl.Series(draw(rows["seed"], "error id")).cast(pl.String),
}
