"""Events: what happens within sessions, and how few of those who look come to buy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import catalogs, devices
from .population import loyalty
from .rng import Choice, child, geometric, unit
from .rows import Rows, nth_of, repeated
from .sessions import received, sessions

if TYPE_CHECKING:
    from .population import Visits
    from .rng import U64, Flags, Ints
    from .sessions import Sessions


# Name, and the stretch of its session in which it happens. The order of the funnel is the order of the stretches.
STAGES = {
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
NAMES = list(STAGES)
KIND = {name: kind for kind, name in enumerate(NAMES)}
_BEGIN = np.array([begin for begin, _ in STAGES.values()])
_END = np.array([end for _, end in STAGES.values()])
_MOST = 64

ONBOARDING = np.array([1.0, 0.82, 0.71, 0.64])
_REVENUE_QUANTITY = Choice.of((80, 14, 4, 2))


def events(visits: Visits) -> Rows:
    """Return all events of all visits, those of a session side by side."""
    held = sessions(visits)
    counts = _counts(held).ravel()
    session, kind = np.divmod(repeated(counts), len(NAMES))
    nth = nth_of(counts)
    root = child(held.root[session], kind * _MOST + nth)
    return _rows(held, session, kind, nth, root)


def of_kind(*names: str) -> Flags:
    """Return for every kind of event whether it is one of those."""
    return np.isin(np.arange(len(NAMES)), [KIND[name] for name in names])


def quantity(rows: Rows) -> Ints:
    """Return how many pieces go into the cart: the same in cart, checkout and purchase."""
    return 1 + _REVENUE_QUANTITY.pick(rows["session_root"], "quantity")


def _rows(held: Sessions, session: Ints, kind: Ints, nth: Ints, root: U64) -> Rows:
    when = _BEGIN[kind] + (_END - _BEGIN)[kind] * unit(root, "when")
    time = held.start[session] + (when * held.seconds[session]).astype(np.int64)
    return Rows(
        held.visits,
        {
            "visit": held.visit[session],
            "time": time,
            "received": received(time, root, held.late[session]),
            "root": root,
            "session_root": held.root[session],
            "session_id": held.id[session],
            "kind": kind,
            "nth": nth,
            "product": _product(held, session, kind, nth, root),
        },
    )


def _product(held: Sessions, session: Ints, kind: Ints, nth: Ints, root: U64) -> Ints:
    """Return what each event is about: people look at several products and buy the first of them."""
    bought = catalogs.PRODUCT_CHOICE.pick(held.root, "product")[session]
    just_looking = (kind == KIND["product_view"]) & (nth > 0)
    return np.where(just_looking, catalogs.PRODUCT_CHOICE.pick(root, "product"), bought)


def _counts(held: Sessions) -> Ints:
    """Return how many events of each kind each session has: one row a session, one column a kind."""
    counts = np.zeros((len(held), len(NAMES)), np.int64)
    for name, column in (_opening(held) | _browsing(held) | _buying(held)).items():
        counts[:, KIND[name]] = column
    return counts


def _opening(held: Sessions) -> dict[str, Ints]:
    first = held.visits.fresh[held.visit] & (held.number == 0)
    steps = (unit(held.root, "onboarding")[:, None] < ONBOARDING).sum(axis=1)
    pushed = ~first & devices.takes_pushes(held.visits.id)[held.visit] & (unit(held.root, "push") < 0.12)  # noqa: PLR2004
    return {
        "app_open": np.ones(len(held), np.int64),
        "onboarding_step": np.where(first, steps, 0),
        "push_open": pushed.astype(np.int64),
        "app_close": (unit(held.root, "close") < 0.7).astype(np.int64),  # noqa: PLR2004
    }


def _browsing(held: Sessions) -> dict[str, Ints]:
    root = held.root
    return {
        "screen_view": 1 + np.minimum(geometric(root, "screens", 0.62), 14),
        "search": np.minimum(geometric(root, "searches", 0.24), 5),
        "ad_impression": np.minimum(geometric(root, "ads", 0.3), 6),
        "share": (unit(root, "share") < 0.015).astype(np.int64),  # noqa: PLR2004
    }


def _buying(held: Sessions) -> dict[str, Ints]:
    root, owner = held.root, held.visits.id
    spending, liking = devices.spending(owner)[held.visit], loyalty(owner)[held.visit]
    views = np.where(unit(root, "looks") < 0.62, 1 + np.minimum(geometric(root, "views", 0.58), 20), 0)  # noqa: PLR2004
    cart = (views > 0) & (unit(root, "cart") < 0.12 + 0.2 * spending + 0.08 * liking)
    checkout = cart & (unit(root, "checkout") < 0.42 + 0.3 * spending)
    purchase = checkout & (unit(root, "purchase") < 0.5 + 0.35 * spending)
    return {
        "product_view": views,
        "add_to_wishlist": ((views > 0) & (unit(root, "wish") < 0.07)).astype(np.int64),  # noqa: PLR2004
        "add_to_cart": cart.astype(np.int64),
        "remove_from_cart": (cart & ~checkout & (unit(root, "remove") < 0.3)).astype(np.int64),  # noqa: PLR2004
        "checkout": checkout.astype(np.int64),
        "purchase": purchase.astype(np.int64),
        "Отзыв отправлен": (purchase & (unit(root, "review") < 0.1)).astype(np.int64),  # noqa: PLR2004
    }
