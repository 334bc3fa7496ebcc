"""Which requests go wrong, and how: rules that tests may set while the emulator runs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .kinds import Fault, Spoiled
    from .reply import Headers


EXPORT = "/logs/v1/export/"
ACTIVE_QUERIES = "/logs/v1/export/get_active_queries"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as a rule sees it.

    Attributes
    ----------
    number : int
        Counted from 1 by the plan that is asked.
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
    def exports(self) -> bool:
        """Whether it goes to the address of an export."""
        return self.path.startswith(EXPORT) and self.path != ACTIVE_QUERIES


Rule: TypeAlias = "Callable[[Request], Spoiled]"
Planned: TypeAlias = "Mapping[int, Spoiled] | Rule"


class Plan:
    """Faults by number or by predicate, with a count of what was numbered. Any thread may change it at any time.

    Parameters
    ----------
    planned : mapping of int to fault, or callable
        What goes wrong with which number, counted from 1; or a function of the request, None for nothing.

    Examples
    --------
    >>> from appmetrica_frames.emulator import faults
    >>> plan = faults.Plan({1: faults.Answer(503)})
    >>> plan[2] = faults.Delay(0.1), faults.Cut(100, "chunked")
    >>> plan[5:] = faults.Refuse()
    >>> plan.when(lambda request: "no-cache" in request.headers.get("cache-control", ""), faults.Reset())
    """

    def __init__(self, planned: Planned | None = None) -> None:
        self._rules: list[tuple[Callable[[Request], bool], Rule]] = []
        self._count = 0
        self._lock = Lock()
        if callable(planned):
            self._rules.append((lambda _: True, planned))
        for number, spoiled in {} if planned is None or callable(planned) else planned.items():
            self[number] = spoiled

    def __setitem__(self, numbers: int | slice, spoiled: Spoiled) -> None:
        """Plan for a number, or for all from one to before another; the latest rule for a request counts."""
        if isinstance(numbers, slice):
            first, end = numbers.start or 1, numbers.stop
            self.when(lambda request: first <= request.number and (end is None or request.number < end), spoiled)
        else:
            self.when(lambda request: request.number == numbers, spoiled)

    def when(self, applies: Callable[[Request], bool], spoiled: Spoiled) -> None:
        """Plan for the requests of which that is true."""
        with self._lock:
            self._rules.append((applies, lambda _: spoiled))

    def restart(self) -> None:
        """Forget all rules and count from 1 again."""
        with self._lock:
            self._rules.clear()
            self._count = 0

    @property
    def count(self) -> int:
        """How many were numbered so far."""
        return self._count

    def draw(self, request: Request) -> tuple[Fault, ...]:
        """Give a request the next number; return what goes wrong with it."""
        with self._lock:
            self._count += 1
            request = replace(request, number=self._count)
            rules = self._rules[::-1]
        spoiled = next((rule(request) for applies, rule in rules if applies(request)), None)
        if spoiled is None:
            return ()
        return spoiled if isinstance(spoiled, tuple) else (spoiled,)


@dataclass(frozen=True, slots=True)
class Plans:
    """The three plans of an emulator: for export requests, for the 200s among their answers, for all other calls."""

    exports: Plan = field(default_factory=Plan)
    bodies: Plan = field(default_factory=Plan)
    calls: Plan = field(default_factory=Plan)

    def restart(self) -> None:
        for plan in (self.exports, self.bodies, self.calls):
            plan.restart()


def request_of(message: bytes) -> Request:
    first, headers = parted(message)
    method, target, _ = first.split(" ", 2)
    path, _, query = target.partition("?")
    named = {name.lower(): value for name, value in headers}
    return Request(0, method, path, tuple(parse_qsl(query, keep_blank_values=True)), named)


def parted(message: bytes) -> tuple[str, Headers]:
    """Return the first line of a message and its headers."""
    first, *lines = message.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    named = (line.partition(":") for line in lines)
    return first, tuple((name, value.strip()) for name, _, value in named)
