"""Polling policies, compared on a simulated clock.

A request takes no time here. What counts is how long a file is ready before a policy notices, and how often it asks.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle, pairwise, repeat
from statistics import mean
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from appmetrica_frames.logs_api.steps import Reply, Step

SHORTEST, LONGEST = 5.0, 3600.0
EDGES = (SHORTEST, 15.0, 60.0, 300.0, 1200.0, LONGEST)
PREPARATIONS = 3000
GROWTH = (LONGEST / SHORTEST) ** (1 / (PREPARATIONS - 1))


@dataclass(frozen=True)
class WaitOutcome:
    """The outcome of one wait.

    Attributes
    ----------
    preparation
        Seconds that the server took.
    overshoot
        Seconds for which the file was ready before the policy noticed.
    requests
        How many requests it took, that of the file included.
    """

    preparation: float
    overshoot: float
    requests: int


def every(seconds: float) -> Callable[[float], WaitOutcome]:
    return lambda preparation: poll_with(repeat(seconds), preparation)


def doubling(preparation: float) -> WaitOutcome:
    """Wait as appmetrica-logs-api does: 20 seconds, twice that, … 1280, and again from 20."""
    return poll_with(cycle(20.0 * 2**step for step in range(7)), preparation)


def poll_with(pauses: Iterable[float], preparation: float) -> WaitOutcome:
    now, requests = 0.0, 1
    for pause in pauses:
        if now >= preparation:
            break
        now, requests = now + pause, requests + 1
    return WaitOutcome(preparation, now - preparation, requests)


def ours(preparation: float) -> WaitOutcome:
    """Run the package's own protocol against a server that takes so long."""
    from appmetrica_frames.logs_api.protocol import RetryPolicy, export_protocol
    from appmetrica_frames.logs_api.steps import SendRequest, Wait

    flow = export_protocol(None, RetryPolicy(prepare_timeout=2 * LONGEST), began=0.0, random=lambda: 1.0)
    now, requests, reply = 0.0, 0, None
    while (step := _next(flow, reply)) is not None:
        if isinstance(step, Wait):
            now += step.seconds
        requests += isinstance(step, SendRequest)
        reply = _reply(step, now, is_ready=now >= preparation)
    return WaitOutcome(preparation, now - preparation, requests)


def _next(flow: Any, reply: Reply) -> Step | None:
    try:
        step: Step = flow.send(reply)
    except StopIteration:
        return None
    return step


def _reply(step: Step, now: float, *, is_ready: bool) -> Reply:
    from appmetrica_frames.logs_api.steps import BodyRead, ReadBody, Response, SendRequest

    if isinstance(step, SendRequest):
        return Response(200 if is_ready else 202, {}, "", sent_at=now, at=now)
    return BodyRead(now) if isinstance(step, ReadBody) else None


POLICIES: dict[str, Callable[[float], WaitOutcome]] = {
    "every 10 s": every(10.0),
    "20, 40, 80 … 1280 s": doubling,
    "every 120 s": every(120.0),
    "appmetrica_frames": ours,
}


def simulate_policies() -> dict[str, list[WaitOutcome]]:
    """Return how each policy does over preparation times from 5 seconds to an hour, evenly spaced by their ratio."""
    times = [SHORTEST * GROWTH**step for step in range(PREPARATIONS)]
    return {name: [policy(time) for time in times] for name, policy in POLICIES.items()}


def compare_policies(outcomes: dict[str, list[WaitOutcome]]) -> list[dict[str, Any]]:
    """Return mean and worst overshoot and the mean number of requests, by range of preparation times and policy."""
    return [
        {"from_seconds": low, "to_seconds": high, "policy": name, **summary(within(of_policy, low, high))}
        for low, high in pairwise(EDGES)
        for name, of_policy in outcomes.items()
    ]


def within(outcomes: list[WaitOutcome], low: float, high: float) -> list[WaitOutcome]:
    return [wait for wait in outcomes if low <= wait.preparation < high]


def summary(outcomes: list[WaitOutcome]) -> dict[str, float]:
    return {
        "mean_overshoot_seconds": round(mean(wait.overshoot for wait in outcomes), 1),
        "worst_overshoot_seconds": round(max(wait.overshoot for wait in outcomes), 1),
        "mean_overshoot_share": round(mean(wait.overshoot / wait.preparation for wait in outcomes), 3),
        "mean_requests": round(mean(wait.requests for wait in outcomes), 1),
    }
