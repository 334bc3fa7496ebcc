"""The protocol against models of the server: how old what it fetches can be, and that every job comes to an end.

Nobody knows whether the server builds all parts of an export at once or each as a job of its own, and whether a
repeated ``max-age`` sends a job that is being built to the end of the queue. The rules hold for all of these.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import ceil
from typing import TYPE_CHECKING, Literal, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appmetrica_frames import DownloadError, PreparationTimeoutError, QuotaExceededError
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
    RestartDownload,
    ResumedJob,
    SendRequest,
    TransportFailed,
    Wait,
)
from appmetrica_frames.request.part import Part

if TYPE_CHECKING:
    from collections.abc import Hashable

    from appmetrica_frames.logs_api.steps import Reply, Step

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

    def _reply(self, step: Step, places: PlaceKeeper) -> Reply:
        if isinstance(step, Wait):
            if step.older_file_at is not None:
                self.older_file_at = max(step.older_file_at, self.older_file_at or 0.0)
            if step.accepted_at is not None:
                if self.pending is None or self.pending.requested_at != step.accepted_at:
                    self.ordered_by = self.policy
                self.pending = ResumedJob(step.accepted_at, step.part.count, step.part.number)
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


def check(caller: Caller, policy: Policy, result: FetchResult, began: float, pending: ResumedJob | None) -> None:
    """Check that nothing is older than the policy allows, nor than the result says."""
    assert set(caller.received) == {Part(number, result.parts) for number in range(result.parts)}
    built = min(caller.received.values())
    assert built >= result.requested_at - (0 if result.waited else policy.accepted_age)
    allowed = began - 1 if result.parts > 1 else began - policy.accepted_age
    if pending is not None:  # what an earlier call ordered is waited for, whatever the policy
        allowed = min(allowed, pending.requested_at - 1)
    assert built >= allowed
    if result.parts == 1:  # and is then built during the call
        assert built >= began - max(policy.accepted_age, policy.resumed_age(caller.ordered_by))


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wanted", [2, 4])
def test_old_files_of_parts_are_not_mixed_with_new_ones(kind: Kind, policy: Policy, wanted: int) -> None:
    """The server has files of the parts, each of another age; only some are as young as the export."""
    server = ModelServer(kind, wanted)
    for number in range(wanted):
        server.files[server.key(Part(number, wanted))] = server.now - 1000 * (number + 1)
    caller, began = Caller(server), server.now
    result = caller.call(policy)
    check(caller, policy, result, began, None)
    assert result.requested_at >= began - 1
    assert server.builds == (1 if kind == "one build" else wanted)
    assert server.moved == 0


@pytest.mark.parametrize("kind", KINDS)
def test_each_part_carries_one_header(kind: Kind) -> None:
    server = ModelServer(kind, 4, preparation=100.0)
    caller = Caller(server)
    caller.call(Policy(max_age=60.0))
    sent: dict[Part, list[str]] = {}
    for part, header in caller.headers:
        if header is not None:
            sent.setdefault(part, []).append(header)
    assert sent.pop(Part(0, 1)) == ["max-age=60"]
    assert sent.pop(Part(0, 2)) == sent.pop(Part(0, 4)) == ["no-cache"]
    assert set(sent) == {Part(1, 4), Part(2, 4), Part(3, 4)}
    assert all(len(headers) == 1 and headers[0].startswith("max-age=1") for headers in sent.values())


@pytest.mark.parametrize("kind", KINDS)
def test_no_other_part_is_requested_before_part_0_is_there(kind: Kind) -> None:
    caller = Caller(ModelServer(kind, 8))
    caller.call(Policy())
    order = [part.number for part, _ in caller.headers if part.count == 8]
    assert set(order[: order.index(1)]) == {0}
    if kind == "a build each":  # then up to three are in the queue
        assert order[order.index(1) :][:3] == [1, 2, 3]


@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wanted", [1, 2, 4])
def test_a_call_interrupted_at_any_step_is_resumed(kind: Kind, policy: Policy, wanted: int) -> None:
    steps = 0
    for interrupted_after in range(1, 400):
        server = ModelServer(kind, wanted)
        caller, began = Caller(server), server.now
        try:
            caller.call(policy, interrupted_after=interrupted_after)
        except Interrupted:
            steps += 1
        else:
            break
        pending, resumed_at = caller.pending, server.now
        result = caller.call(policy)
        check(caller, policy, result, resumed_at, pending)
        if pending is None:  # interrupted before the first wait, where nothing can be noted yet
            continue
        assert server.moved == 0
        if policy.resumed_age(policy) == DAY and pending.parts == wanted:
            assert result.requested_at >= began - 1
            assert server.builds == (1 if kind == "one build" else wanted)
    assert steps > 20


@pytest.mark.parametrize("moves", [True, False], ids=["moved", "not moved"])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.75, 0.99])
@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wanted", [1, 2, 4])
def test_calls_that_time_out_restart_no_job(
    kind: Kind,
    policy: Policy,
    wanted: int,
    share: float,
    moves: bool,  # noqa: FBT001
) -> None:
    """With a max_age far below the preparation, too."""
    server = ModelServer(kind, wanted, moves_repeated_max_age=moves)
    caller, calls = Caller(server), 0
    while True:
        calls += 1
        assert calls <= 2 + wanted * (1 + 1 / share)
        try:
            caller.call(policy, prepare_timeout=share * server.preparation)
        except PreparationTimeoutError:
            continue
        break
    assert server.moved == 0
    assert server.builds == (1 if kind == "one build" else wanted)


def test_a_job_that_ended_too_long_ago_is_ordered_again() -> None:
    server = ModelServer("a build each")
    caller = Caller(server)
    with pytest.raises(PreparationTimeoutError):
        caller.call(Policy(max_age=60.0), prepare_timeout=600.0)
    server.advance(3600.0)
    began = server.now
    result = caller.call(Policy(max_age=60.0))
    waited = ceil(server.now - result.requested_at - 1.0 - LATENCY)
    assert [header for _, header in caller.headers if header] == ["max-age=60", f"max-age={waited}"]
    assert caller.headers[0] == (Part(), None)
    assert result.requested_at >= began
    assert server.builds == 2


@pytest.mark.parametrize("hours", [1, 23])
def test_an_interrupted_refresh_gets_the_file_that_it_ordered(hours: float) -> None:
    server = ModelServer("a build each")
    caller, began = Caller(server), server.now
    with pytest.raises(PreparationTimeoutError):
        caller.call(Policy(refresh=True), prepare_timeout=600.0)
    server.advance(hours * 3600)
    result = caller.call(Policy(refresh=True))
    assert caller.headers == [(Part(), None)]
    assert result == FetchResult(began, waited=True, parts=1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_that_ended_too_long_ago_has_the_export_built_again(kind: Kind) -> None:
    server = ModelServer(kind, 2)
    caller = Caller(server)
    with pytest.raises(PreparationTimeoutError):
        caller.call(Policy(max_age=60.0), prepare_timeout=600.0)
    server.advance(3600.0)
    began, builds = server.now, server.builds
    result = caller.call(Policy(max_age=60.0))
    assert result.requested_at >= began - 1
    assert min(caller.received.values()) >= began
    assert server.builds - builds == (1 if kind == "one build" else 2)


def test_a_refresh_takes_no_part_that_an_earlier_call_ordered() -> None:
    """Part 0 is there, and part 1 is being built."""
    server = ModelServer("a build each", 4, preparation=100.0)
    caller = Caller(server, pending=ResumedJob(server.now - 150, parts=4, part=1))
    server.files[Part(0, 4)] = server.now - 50
    server.answer(Part(1, 4), None)
    began = server.now
    caller.call(Policy(refresh=True))
    assert min(caller.received.values()) >= began
    assert [part for part, header in caller.headers if header == "no-cache"] == [Part(0, 4)]


def test_a_resumed_part_0_that_is_yet_to_be_built_lets_no_old_part_in() -> None:
    """The job was ordered 20 hours ago and lost; the file of the other part is 10 hours old."""
    server = ModelServer("a build each", 2)
    server.files[Part(1, 2)] = server.now - 36_000
    caller, began = Caller(server, pending=ResumedJob(server.now - 72_000, parts=2)), server.now
    caller.call(Policy(max_age=60.0))
    assert min(caller.received.values()) >= began


@pytest.mark.parametrize(
    ("parts", "age", "headers"),
    [(1, 3600, [None]), (1, 3601, [None, "max-age=3600"]), (2, 3598, [None]), (2, 3600, [None, "no-cache"])],
)
def test_the_age_of_a_job_that_has_ended_is_taken_strictly(parts: int, age: float, headers: list[str | None]) -> None:
    """The parts can be a second older than the first, as max-age is rounded up."""
    server = ModelServer("one build", parts, preparation=0.0)
    server.files[server.key(Part(0, parts))] = server.now - age
    caller = Caller(server, pending=ResumedJob(server.now - age, parts=parts))
    caller.call(Policy(max_age=3600.0))
    sent = [header for part, header in caller.headers if part.number == 0]
    assert sent[: len(headers)] == headers
    verifying = [header for header in sent[len(headers) :] if header is not None]
    assert len(verifying) == (len(headers) > 1)  # a file was declined: the one that is built must not be taken for it


@pytest.mark.parametrize("kind", KINDS)
def test_a_restarted_download_orders_nothing_again(kind: Kind) -> None:
    server = ModelServer(kind, 4)
    caller = Caller(server, faults=[None, RestartDownload(), TransportFailed(DownloadError("cut"), 0.0), None, None])
    caller.call(Policy(refresh=True))
    assert set(caller.received) == {Part(number, 4) for number in range(4)}
    assert server.builds == (1 if kind == "one build" else 4)
    assert server.moved == 0


CALLS = st.tuples(
    st.sampled_from(POLICIES),
    st.sampled_from([30.0, 500.0, 1100.0, 2500.0, 1e6]),
    st.sampled_from([3, 7, 15, 40, 100, 10**9]),
    st.sampled_from([0.0, 0.4, 45.0, 700.0, 5000.0, 50_000.0]),
    st.sampled_from(["", "", "", "lost", "jobs lost", "more parts"]),
    st.sampled_from([0, 0, 5, 9, 20, 60]),
)


@settings(max_examples=400, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    wanted=st.sampled_from([1, 2, 4]),
    preparation=st.sampled_from([0.0, 5.0, 1200.0, 4000.0]),
    moves=st.booleans(),
    calls=st.lists(CALLS, min_size=1, max_size=8),
)
def test_random_walks(
    kind: Kind,
    wanted: int,
    preparation: float,
    moves: bool,  # noqa: FBT001
    calls: list[tuple[Policy, float, int, float, str, int]],
) -> None:
    """Whatever is interrupted or lost: nothing is older than allowed, and resuming restarts no job."""
    server = ModelServer(kind, wanted, preparation, moves_repeated_max_age=moves)
    caller = Caller(server)
    for policy, prepare_timeout, interrupted_after, pause, event, lost_at in calls:
        pending, began, moved = caller.pending, server.now, server.moved
        if pending is not None and server.now - pending.requested_at > DAY:
            pending = None
        caller.lost_at = {lost_at}
        try:
            result = caller.call(policy, prepare_timeout=prepare_timeout, interrupted_after=interrupted_after)
        except (Interrupted, PreparationTimeoutError, QuotaExceededError):
            pass
        else:
            check(caller, policy, result, began, pending)
        if pending is not None and pending.parts == server.wanted:
            assert server.moved == moved
        server.advance(pause)
        if event == "lost":
            server.restart()
        if event == "jobs lost":
            caller.lose_jobs()
        if event == "more parts":
            server.wanted = min(8, server.wanted * 2)
