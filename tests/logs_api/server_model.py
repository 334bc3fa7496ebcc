"""A model of the server, and of calls that resume each other: the protocol without a network, on a clock of its own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from appmetrica_frames.logs_api.places import ExportPlaces, PlaceKeeper
from appmetrica_frames.logs_api.protocol import export_protocol
from appmetrica_frames.logs_api.retry import RetryPolicy
from appmetrica_frames.logs_api.steps import (
    BodyRead,
    FetchResult,
    NoPlace,
    QueuePart,
    ReadBody,
    Response,
    ResumedJob,
    Wait,
)

if TYPE_CHECKING:
    from collections.abc import Hashable

    from appmetrica_frames.logs_api.steps import Reply, SendRequest, Step
    from appmetrica_frames.request.part import Part

DAY = 86_400.0
MORE = "Too much data. Try to use more parts."
LATENCY = 0.3
OK = 200
Kind: TypeAlias = Literal["one build", "a build each"]
KINDS: tuple[Kind, ...] = ("one build", "a build each")


@dataclass
class Job:
    key: Hashable
    done_at: float


@dataclass
class ModelServer:
    """A sequential queue of three jobs, with files that are kept for a day; `moved` counts jobs sent to its end."""

    kind: Kind
    wanted: int = 1
    preparation: float = 1200.0
    moves_repeated_max_age: bool = True
    now: float = 1_700_000_000.5
    jobs: list[Job] = field(default_factory=list)
    files: dict[Hashable, float] = field(default_factory=dict)
    builds: int = 0
    moved: int = 0
    losses: int = 0

    def key(self, part: Part) -> Hashable:
        return part if self.kind == "a build each" else part.count

    def advance(self, seconds: float) -> None:
        self.now += seconds
        while self.jobs and self.jobs[0].done_at <= self.now:
            job = self.jobs.pop(0)
            self.files[job.key] = job.done_at
        self.files = {key: built for key, built in self.files.items() if self.now - built <= DAY}

    def restart(self) -> None:
        """Lose what is in the queue, and every file."""
        self.jobs.clear()
        self.files.clear()

    def lose_jobs(self) -> None:
        """Lose what is in the queue, and keep the files."""
        self.jobs.clear()
        self.losses += 1

    def answer(self, part: Part, header: str | None) -> tuple[int, str]:
        if part.count < self.wanted:
            return 400, MORE
        key = self.key(part)
        job = next((job for job in self.jobs if job.key == key), None)
        is_ready = key in self.files and self.now - self.files[key] <= accepted_age(header)
        if job is not None:
            is_moved = header is not None and not is_ready and (header == "no-cache" or self.moves_repeated_max_age)
            if is_moved:
                self.jobs.remove(job)
                self.moved += 1
                self._enqueue(key)
            return 202, "Your query is moved to the end of the queue" if is_moved else "Wait for result"
        if is_ready:
            return 200, ""
        if len(self.jobs) == 3:
            return 429, "There are already 3 enqueued queries"
        self._enqueue(key)
        return 202, "Your query is added to the queue."

    def _enqueue(self, key: Hashable) -> None:
        begins = self.jobs[-1].done_at if self.jobs else self.now
        self.jobs.append(Job(key, begins + self.preparation))
        self.builds += 1


def accepted_age(header: str | None) -> float:
    if header is None:
        return DAY
    return -1.0 if header == "no-cache" else float(header.removeprefix("max-age="))


@dataclass(frozen=True)
class Policy:
    """What a call accepts: nothing older than itself (`refresh`), `max_age` seconds, or whatever the server has."""

    max_age: float | None = None
    refresh: bool = False

    @property
    def cache_control(self) -> str | None:
        if self.refresh:
            return "no-cache"
        return None if self.max_age is None else f"max-age={int(self.max_age)}"

    @property
    def accepted_age(self) -> float:
        return 0.0 if self.refresh else DAY if self.max_age is None else self.max_age

    def resumed_age(self, ordered_by: Policy) -> float:
        """Return how old the file of a job that has ended may be, since it was ordered."""
        if self.refresh:
            return DAY if ordered_by.refresh else 0.0
        return DAY if self.max_age is None else min(self.max_age, DAY)


POLICIES = [Policy(), Policy(refresh=True), Policy(max_age=60.0), Policy(max_age=3600.0)]


class Interrupted(Exception):  # noqa: N818 - as KeyboardInterrupt
    """Somebody pressed Ctrl-C."""


@dataclass
class Caller:
    """Makes calls, each of which resumes what the one before left behind."""

    server: ModelServer
    pending: ResumedJob | None = None
    ordered_by: Policy = field(default_factory=Policy)
    received: dict[Part, float] = field(default_factory=dict)
    headers: list[tuple[Part, str | None]] = field(default_factory=list)
    faults: list[Reply] = field(default_factory=list)
    policy: Policy = field(default_factory=Policy)
    older_file_at: float | None = None
    lost_at: set[int] = field(default_factory=set)
    waits: list[Wait] = field(default_factory=list)
    opened: float | None = None  # when the file of the response that is open was built

    def call(
        self, policy: Policy, *, prepare_timeout: float = 1e6, interrupted_after: float = float("inf")
    ) -> FetchResult:
        """Make a call; raise `Interrupted` after so many steps."""
        pending = self.pending
        if pending is not None and not 0 <= self.server.now - pending.requested_at <= DAY:
            pending = None
        protocol = export_protocol(
            policy.cache_control,
            RetryPolicy(prepare_timeout=prepare_timeout),
            began=self.server.now,
            random=lambda: 1.0,
            resumed=pending and replace(pending, max_age=policy.resumed_age(self.ordered_by)),
            older_file_at=self.known_file_at,
        )
        self.policy = policy
        places = PlaceKeeper(ExportPlaces())
        self.headers.clear()
        reply: Reply = None
        steps = 0
        while True:
            steps += 1
            if steps > interrupted_after:
                raise Interrupted
            assert steps < 100_000
            if steps in self.lost_at:
                self.lose_jobs()
            try:
                step = protocol.send(reply)
            except StopIteration as done:
                self.pending = None
                self.older_file_at = self.server.now
                result: FetchResult = done.value
                return result
            reply = self._reply(step, places)

    @property
    def known_file_at(self) -> float | None:
        """When the server had a file that it can still have, as far as is known."""
        is_recent = self.older_file_at is not None and self.server.now - self.older_file_at <= DAY
        return self.older_file_at if is_recent else None

    def lose_jobs(self) -> None:
        """Have the server lose its jobs, and those files of which nobody here can know."""
        self.server.lose_jobs()
        known = self.known_file_at
        self.server.files = {key: at for key, at in self.server.files.items() if known is not None and at <= known}

    def _note(self, wait: Wait) -> None:
        self.waits.append(wait)
        if wait.accepted_at is not None:
            self.older_file_at = wait.older_file_at
            if self.pending is None or self.pending.requested_at != wait.accepted_at:
                self.ordered_by = self.policy
            self.pending = ResumedJob(wait.accepted_at, wait.part.count, wait.part.number)

    def _reply(self, step: Step, places: PlaceKeeper) -> Reply:
        if isinstance(step, Wait):
            self._note(step)
            self.server.advance(step.seconds)
            return None
        if isinstance(step, ReadBody):
            return self._read(step.part)
        if isinstance(step, QueuePart):
            if not places.take(step.part):
                return NoPlace(self.server.now)
            response = self._send(step.request)
            if isinstance(response, Response) and response.status != 202:
                places.release(step.part)
            return response
        places.take(step.part)
        response = self._send(step)
        if isinstance(response, Response) and response.status == 200:
            places.finish(step.part)
        if isinstance(response, Response) and response.status == 400:
            places.release(step.part)
        return response

    def _send(self, request: SendRequest) -> Reply:
        sent_at = self.server.now
        header = request.header_at(sent_at)
        self.headers.append((request.part, header))
        self.server.advance(LATENCY / 2)
        status, text = self.server.answer(request.part, header)
        self.opened = self.server.files[self.server.key(request.part)] if status == OK else None
        self.server.advance(LATENCY / 2)
        return Response(status, {}, text, sent_at, self.server.now)

    def _read(self, part: Part) -> Reply:
        if self.faults:
            fault = self.faults.pop()
            if fault is not None:
                return fault
        if part.number == 0:
            self.received.clear()
        assert self.opened is not None
        self.received[part] = self.opened
        self.server.advance(1.0)
        return BodyRead(self.server.now)
