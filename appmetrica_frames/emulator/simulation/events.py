"""Events within sessions: a funnel from opening the app to a purchase."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import catalogs, devices
from .population import draw_loyalty
from .rng import Choice, derive, geometric, uniform
from .rows import Rows, index_within, repeat_index
from .sessions import receive_time, simulate_sessions

if TYPE_CHECKING:
    from .population import Visits
    from .rng import U64, Bools, Ints
    from .sessions import Sessions


# Each event happens within this part of its session, from 0 to 1; the order of the parts makes the funnel.
SESSION_SPANS = {
    "app_open": (0.0, 0.0),
    "onboarding_step": (0.01, 0.05),
    "push_open": (0.0, 0.01),
    "screen_view": (0.02, 0.9),
    "search": (0.05, 0.3),
    "ad_impression": (0.1, 0.9),
    "product_view": (0.1, 0.55),
    "add_to_wishlist": (0.56, 0.6),
    "add_to_cart": (0.6, 0.68),
    "remove_from_cart": (0.69, 0.72),
    "checkout": (0.74, 0.8),
    "purchase": (0.84, 0.9),
    "share": (0.5, 0.95),
    "Отзыв отправлен": (0.91, 0.97),
    "app_close": (1.0, 1.0),
}
NAMES = list(SESSION_SPANS)
KIND = {name: kind for kind, name in enumerate(NAMES)}
_BEGIN = np.array([begin for begin, _ in SESSION_SPANS.values()])
_END = np.array([end for _, end in SESSION_SPANS.values()])
_MAX_PER_KIND = 64

ONBOARDING = np.array([1.0, 0.82, 0.71, 0.64])
_REVENUE_QUANTITY = Choice.of((80, 14, 4, 2))


def simulate_events(visits: Visits) -> Rows:
    """Return all events of all visits, in the order of the sessions."""
    sessions = simulate_sessions(visits)
    counts = _draw_counts(sessions).ravel()
    session, kind = np.divmod(repeat_index(counts), len(NAMES))
    nth = index_within(counts)
    seed = derive(sessions.seed[session], kind * _MAX_PER_KIND + nth)
    return _rows(sessions, session, kind, nth, seed)


def match_kinds(*names: str) -> Bools:
    """Return for every kind of event whether it is one of these."""
    return np.isin(np.arange(len(NAMES)), [KIND[name] for name in names])


def draw_quantity(rows: Rows) -> Ints:
    """Return the quantity in the cart, which is the same at checkout and purchase."""
    return 1 + _REVENUE_QUANTITY.pick(rows["session_seed"], "quantity")


def _rows(sessions: Sessions, session: Ints, kind: Ints, nth: Ints, seed: U64) -> Rows:
    when = _BEGIN[kind] + (_END - _BEGIN)[kind] * uniform(seed, "when")
    time = sessions.start[session] + (when * sessions.seconds[session]).astype(np.int64)
    return Rows(
        sessions.visits,
        {
            "visit": sessions.visit[session],
            "time": time,
            "received": receive_time(time, seed, sessions.late[session]),
            "seed": seed,
            "session_seed": sessions.seed[session],
            "session_id": sessions.id[session],
            "kind": kind,
            "nth": nth,
            "product": _product(sessions, session, kind, nth, seed),
        },
    )


def _product(sessions: Sessions, session: Ints, kind: Ints, nth: Ints, seed: U64) -> Ints:
    """Return the product of each event: people view several and buy the first."""
    bought = catalogs.PRODUCT_CHOICE.pick(sessions.seed, "product")[session]
    only_viewed = (kind == KIND["product_view"]) & (nth > 0)
    return np.where(only_viewed, catalogs.PRODUCT_CHOICE.pick(seed, "product"), bought)


def _draw_counts(sessions: Sessions) -> Ints:
    """Return the number of events by session (row) and kind (column)."""
    counts = np.zeros((len(sessions), len(NAMES)), np.int64)
    for name, column in (
        _count_lifecycle_events(sessions) | _count_browsing_events(sessions) | _count_purchase_events(sessions)
    ).items():
        counts[:, KIND[name]] = column
    return counts


def _count_lifecycle_events(sessions: Sessions) -> dict[str, Ints]:
    first = sessions.visits.is_install[sessions.visit] & (sessions.number == 0)
    steps = (uniform(sessions.seed, "onboarding")[:, None] < ONBOARDING).sum(axis=1)
    reachable = ~first & devices.accepts_pushes(sessions.visits.id)[sessions.visit]
    return {
        "app_open": np.ones(len(sessions), np.int64),
        "onboarding_step": np.where(first, steps, 0),
        "push_open": (reachable & (uniform(sessions.seed, "push") < 0.12)).astype(np.int64),  # noqa: PLR2004
        "app_close": (uniform(sessions.seed, "close") < 0.7).astype(np.int64),  # noqa: PLR2004
    }


def _count_browsing_events(sessions: Sessions) -> dict[str, Ints]:
    seed = sessions.seed
    return {
        "screen_view": 1 + np.minimum(geometric(seed, "screens", 0.62), 14),
        "search": np.minimum(geometric(seed, "searches", 0.24), 5),
        "ad_impression": np.minimum(geometric(seed, "ads", 0.3), 6),
        "share": (uniform(seed, "share") < 0.015).astype(np.int64),  # noqa: PLR2004
    }


def _count_purchase_events(sessions: Sessions) -> dict[str, Ints]:
    seed, device_id = sessions.seed, sessions.visits.id
    spending, liking = devices.draw_spending(device_id)[sessions.visit], draw_loyalty(device_id)[sessions.visit]
    views = np.where(uniform(seed, "looks") < 0.62, 1 + np.minimum(geometric(seed, "views", 0.58), 20), 0)  # noqa: PLR2004
    cart = (views > 0) & (uniform(seed, "cart") < 0.12 + 0.2 * spending + 0.08 * liking)
    checkout = cart & (uniform(seed, "checkout") < 0.42 + 0.3 * spending)
    purchase = checkout & (uniform(seed, "purchase") < 0.5 + 0.35 * spending)
    return {
        "product_view": views,
        "add_to_wishlist": ((views > 0) & (uniform(seed, "wish") < 0.07)).astype(np.int64),  # noqa: PLR2004
        "add_to_cart": cart.astype(np.int64),
        "remove_from_cart": (cart & ~checkout & (uniform(seed, "remove") < 0.3)).astype(np.int64),  # noqa: PLR2004
        "checkout": checkout.astype(np.int64),
        "purchase": purchase.astype(np.int64),
        "Отзыв отправлен": (purchase & (uniform(seed, "review") < 0.1)).astype(np.int64),  # noqa: PLR2004
    }
