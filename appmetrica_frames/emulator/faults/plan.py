"""Fault plans: rules for which requests go wrong and how. They may change while the emulator runs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .kinds import Fault, FaultSpec
    from .response import Headers


EXPORT = "/logs/v1/export/"
ACTIVE_QUERIES = "/logs/v1/export/get_active_queries"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as a rule sees it.

    Attributes
    ----------
    number : int
        Counted from 1 by the plan.
    method, path : str
    query : tuple of (str, str)
        The decoded query pairs in the order sent.
    headers : dict of str to str
        Names in lower case.
    """

    number: int
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]

    @property
    def is_export(self) -> bool:
        """Whether it requests an export."""
        return self.path.startswith(EXPORT) and self.path != ACTIVE_QUERIES


Rule: TypeAlias = "Callable[[Request], FaultSpec]"
PlanSpec: TypeAlias = "Mapping[int, FaultSpec] | Rule"


class Plan:
    """Faults by number of the request or by predicate. Any thread may change it at any time.

    Parameters
    ----------
    spec : mapping of int to fault, or callable
        Faults by number of the request, counted from 1; or a function of the request that returns its fault.

    Examples
    --------
    >>> from appmetrica_frames.emulator import faults
    >>> plan = faults.Plan({1: faults.Answer(503)})
    >>> plan[2] = faults.Delay(0.1), faults.Cut(100, "chunked")
    >>> plan[5:] = faults.Refuse()
    >>> plan.when(lambda request: "no-cache" in request.headers.get("cache-control", ""), faults.Reset())
    """

    def __init__(self, spec: PlanSpec | None = None) -> None:
        self._rules: list[tuple[Callable[[Request], bool], Rule]] = []
        self._count = 0
        self._lock = Lock()
        if callable(spec):
            self._rules.append((lambda _: True, spec))
        for number, fault in {} if spec is None or callable(spec) else spec.items():
            self[number] = fault

    def __setitem__(self, numbers: int | slice, spec: FaultSpec) -> None:
        """Set the fault of one request or of a slice of requests; the latest rule for a request applies."""
        if isinstance(numbers, slice):
            first, end = numbers.start or 1, numbers.stop
            self.when(lambda request: first <= request.number and (end is None or request.number < end), spec)
        else:
            self.when(lambda request: request.number == numbers, spec)

    def when(self, predicate: Callable[[Request], bool], spec: FaultSpec) -> None:
        """Set the fault of all requests for which a predicate is true."""
        with self._lock:
            self._rules.append((predicate, lambda _: spec))

    def reset(self) -> None:
        """Remove all rules and restart the count."""
        with self._lock:
            self._rules.clear()
            self._count = 0

    @property
    def count(self) -> int:
        """The number of requests so far."""
        return self._count

    def next_faults(self, request: Request) -> tuple[Fault, ...]:
        """Count a request and return its faults."""
        with self._lock:
            self._count += 1
            request = replace(request, number=self._count)
            rules = self._rules[::-1]
        spec = next((rule(request) for predicate, rule in rules if predicate(request)), None)
        if spec is None:
            return ()
        return spec if isinstance(spec, tuple) else (spec,)


@dataclass(frozen=True, slots=True)
class FaultPlans:
    """The three plans of an emulator: for export requests, for downloads (their 200s), and for all other calls."""

    exports: Plan = field(default_factory=Plan)
    bodies: Plan = field(default_factory=Plan)
    calls: Plan = field(default_factory=Plan)

    def reset(self) -> None:
        for plan in (self.exports, self.bodies, self.calls):
            plan.reset()


def parse_request(message: bytes) -> Request:
    first, headers = parse_head(message)
    method, target, _ = first.split(" ", 2)
    path, _, query = target.partition("?")
    headers_by_name = {name.lower(): value for name, value in headers}
    return Request(0, method, path, tuple(parse_qsl(query, keep_blank_values=True)), headers_by_name)


def parse_head(message: bytes) -> tuple[str, Headers]:
    """Return the first line of a message and its headers."""
    first, *lines = message.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return first, tuple((name, value.strip()) for name, _, value in pairs)
