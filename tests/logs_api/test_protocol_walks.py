"""The protocol against models of the server: how old what it fetches can be, and that every job comes to an end.

Nobody knows whether the server builds all parts of an export at once or each as a job of its own, and whether a
repeated ``max-age`` sends a job that is being built to the end of the queue. The rules hold for all of these.
"""

from __future__ import annotations

from math import ceil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from server_model import DAY, KINDS, LATENCY, POLICIES, Caller, Interrupted, Kind, ModelServer, Policy

from appmetrica_frames import DownloadError, PreparationTimeoutError, QuotaExceededError
from appmetrica_frames.logs_api.steps import FetchResult, RestartDownload, ResumedJob, TransportFailed
from appmetrica_frames.request.part import Part


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
    losses: dict[float, int] = {}  # before the call that ordered a job
    for policy, prepare_timeout, interrupted_after, pause, event, lost_at in calls:
        pending, began, moved = caller.pending, server.now, server.moved
        if pending is not None and server.now - pending.requested_at > DAY:
            pending = None
        caller.lost_at, lost = {lost_at}, server.losses
        try:
            result = caller.call(policy, prepare_timeout=prepare_timeout, interrupted_after=interrupted_after)
        except (Interrupted, PreparationTimeoutError, QuotaExceededError):
            pass
        else:
            check(caller, policy, result, began, pending)
        if caller.pending is not None:
            losses.setdefault(caller.pending.requested_at, lost)
        if pending is not None and pending.parts == server.wanted and losses[pending.requested_at] == server.losses:
            assert server.moved == moved
        server.advance(pause)
        if event == "lost":
            server.restart()
        if event == "jobs lost":
            caller.lose_jobs()
        if event == "more parts":
            server.wanted = min(8, server.wanted * 2)
