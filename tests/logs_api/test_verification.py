"""A job that is lost while the server still has an older file: the two are told apart, at the price of one request."""

from __future__ import annotations

from dataclasses import replace

import pytest
from server_model import KINDS, LATENCY, Caller, Interrupted, Kind, ModelServer, Policy

from appmetrica_frames import PreparationTimeoutError, ServerError
from appmetrica_frames.logs_api.protocol import MAX_LOST_JOBS
from appmetrica_frames.logs_api.steps import ResumedJob
from appmetrica_frames.request.part import Part

MINUTE, HOUR = 60.0, 3600.0
REFRESH, YOUNG, ANY = Policy(refresh=True), Policy(max_age=60.0), Policy()


def server_with_older_file(wanted: int = 1, *, kind: Kind = "a build each", age: float = HOUR) -> ModelServer:
    server = ModelServer(kind, wanted)
    for number in range(wanted):
        server.files[server.key(Part(number, wanted))] = server.now - age
    return server


def caller_that_knows(server: ModelServer, *, since: float = 30 * MINUTE) -> Caller:
    """Return a caller whose cache has an export that was fetched so long ago."""
    return Caller(server, older_file_at=server.now - since)


def headers(caller: Caller, part: Part | None = None) -> list[str]:
    return [header for sent, header in caller.headers if header is not None and part in {None, sent}]


@pytest.mark.parametrize("policy", [REFRESH, YOUNG, ANY], ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wanted", [1, 2, 4])
def test_a_cache_that_knows_of_no_file_sends_what_it_always_sent(kind: Kind, wanted: int, policy: Policy) -> None:
    caller = Caller(server_with_older_file(wanted, kind=kind, age=HOUR))
    caller.call(policy)
    for number in range(wanted):
        sent = [header for part, header in caller.headers if part == Part(number, wanted)]
        assert set(sent[1:]) <= {None}


def test_the_sequence_without_and_with_an_older_file_in_the_cache() -> None:
    fresh, knowing = Caller(server_with_older_file()), caller_that_knows(server_with_older_file())
    fresh.call(YOUNG)
    began = knowing.server.now
    knowing.call(YOUNG)
    sent = [header for _, header in fresh.headers]
    assert sent == ["max-age=60"] + [None] * (len(sent) - 1)
    *before, verifying = [header for _, header in knowing.headers]
    assert before == sent  # one request more, and not another one
    # A job that another client had begun up to 60 s before would do, too.
    assert int((verifying or "").removeprefix("max-age=")) == int(knowing.server.now - LATENCY - 1 - began + 60)


@pytest.mark.parametrize("policy", [REFRESH, YOUNG], ids=str)
@pytest.mark.parametrize("moves", [True, False], ids=["moved", "not moved"])
def test_a_job_that_is_not_lost_is_built_once_and_never_moved(policy: Policy, moves: bool) -> None:  # noqa: FBT001
    server = server_with_older_file()
    server.moves_repeated_max_age = moves
    caller, began = caller_that_knows(server), server.now
    result = caller.call(policy)
    assert (server.builds, server.moved, len(headers(caller))) == (1, 0, 2)
    assert result.requested_at == began
    assert caller.received[Part()] >= began


@pytest.mark.parametrize("policy", [REFRESH, YOUNG], ids=str)
@pytest.mark.parametrize("moves", [True, False], ids=["moved", "not moved"])
@pytest.mark.parametrize("step", [3, 5, 20])
def test_a_lost_job_costs_one_more_preparation(policy: Policy, moves: bool, step: int) -> None:  # noqa: FBT001
    server = server_with_older_file()
    server.moves_repeated_max_age = moves
    caller, began = caller_that_knows(server), server.now
    caller.lost_at = {step}
    result = caller.call(policy)
    assert server.losses == 1
    assert (server.builds, server.moved) == (2, 0)
    assert caller.received[Part()] > result.requested_at > began
    assert len(headers(caller)) == 3  # the first; the one that found it lost; the one that found the next not lost


def test_without_a_sign_of_an_older_file_a_lost_job_is_not_noticed() -> None:
    """The only case left: this is what the verification is for."""
    server = server_with_older_file()
    caller, began = Caller(server), server.now
    with pytest.raises(Interrupted):
        caller.call(REFRESH, interrupted_after=3)
    server.lose_jobs()
    caller.call(REFRESH)
    assert caller.received[Part()] < began


def test_no_header_needs_no_verification() -> None:
    """202 to such a request says that the server has no file at all."""
    caller = caller_that_knows(ModelServer("a build each"))
    caller.call(ANY)
    assert headers(caller) == []


def test_a_file_that_was_there_at_once_is_not_verified() -> None:
    caller = caller_that_knows(server_with_older_file(age=10))
    caller.call(YOUNG)
    assert [header for _, header in caller.headers] == ["max-age=60"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", range(3, 300, 11))
def test_parts_whose_jobs_are_lost_are_no_older_than_the_call(kind: Kind, step: int) -> None:
    server = server_with_older_file(4, kind=kind)
    caller, began = caller_that_knows(server), server.now
    caller.lost_at = {step}
    result = caller.call(YOUNG)
    assert min(caller.received.values()) >= result.requested_at - 1 >= began - 2
    assert server.moved == 0
    jobs = 1 if kind == "one build" else 4
    assert server.builds <= jobs + (1 if kind == "one build" else 3)  # three can be in the queue when it is lost
    for number in range(1, 4):
        assert len(headers(caller, Part(number, 4))) <= 3


@pytest.mark.parametrize("kind", KINDS)
def test_each_part_is_verified_once(kind: Kind) -> None:
    server = server_with_older_file(4, kind=kind)
    caller = caller_that_knows(server)
    caller.call(YOUNG)
    assert server.builds == (1 if kind == "one build" else 4)
    for number in range(4):
        waited_for = kind == "a build each" or number == 0
        assert len(headers(caller, Part(number, 4))) == 1 + waited_for


@pytest.mark.parametrize("policy", [REFRESH, YOUNG, ANY], ids=str)
@pytest.mark.parametrize("wanted", [1, 2])
def test_a_lost_job_is_noticed_by_the_call_that_resumes_it(policy: Policy, wanted: int) -> None:
    server = server_with_older_file(wanted)
    caller = caller_that_knows(server)
    with pytest.raises(PreparationTimeoutError):
        caller.call(REFRESH, prepare_timeout=300)
    assert caller.pending is not None
    ordered_at = caller.pending.requested_at
    server.lose_jobs()
    result = caller.call(policy)
    assert min(caller.received.values()) >= ordered_at
    assert min(caller.received.values()) >= result.requested_at - 1
    assert server.builds == wanted + 1


def test_what_a_resuming_call_declined_is_not_taken_later() -> None:
    """The declined file is the only sign of an older one, and the next call learns of it from the pending job."""
    server = ModelServer("a build each")
    caller = Caller(server)
    with pytest.raises(PreparationTimeoutError):
        caller.call(YOUNG, prepare_timeout=600)
    server.advance(HOUR)
    for _ in range(2):
        with pytest.raises(PreparationTimeoutError):
            caller.call(YOUNG, prepare_timeout=300)
    server.lose_jobs()
    began = server.now
    caller.call(YOUNG)
    assert server.builds == 3
    assert caller.received[Part()] >= began


def test_a_server_that_loses_the_job_again_and_again_ends_in_an_error() -> None:
    server = server_with_older_file()
    caller = caller_that_knows(server)
    caller.lost_at = set(range(2, 10_000))
    with pytest.raises(ServerError, match=f"lost the job {MAX_LOST_JOBS + 1} times"):
        caller.call(YOUNG)
    assert server.builds == 1 + 1 + MAX_LOST_JOBS


def test_patience_begins_anew_with_the_next_job() -> None:
    server = server_with_older_file()
    caller = caller_that_knows(server)
    caller.lost_at = {100}
    began = server.now
    caller.call(REFRESH, prepare_timeout=1.1 * server.preparation)
    assert server.now - began > 1.2 * server.preparation


def test_the_pending_job_is_the_next_one() -> None:
    server = server_with_older_file()
    caller, began = caller_that_knows(server), server.now
    caller.lost_at = {9}
    result = caller.call(REFRESH)
    instants = list(dict.fromkeys(wait.accepted_at for wait in caller.waits))
    assert instants == [began, result.requested_at]
    assert {wait.older_file_at for wait in caller.waits} == {began - 30 * MINUTE, result.requested_at}


def test_a_resumed_job_is_verified_by_when_it_was_requested() -> None:
    server = server_with_older_file()
    caller = Caller(server, pending=ResumedJob(server.now - 200), older_file_at=server.now - 30 * MINUTE)
    server.files[Part()] = server.now - 100
    caller.call(replace(YOUNG, max_age=HOUR))
    assert [header for _, header in caller.headers] == [None, "max-age=201"]
    assert server.builds == 0


def test_a_call_without_a_limit_keeps_the_sign_of_an_older_file() -> None:
    """The job that it orders in place of a lost one can be lost as well, and a call with a limit comes next."""
    server = ModelServer("a build each")
    caller = Caller(server)
    with pytest.raises(PreparationTimeoutError):
        caller.call(YOUNG, prepare_timeout=600)
    server.advance(HOUR)
    for policy in (YOUNG, ANY):
        with pytest.raises(PreparationTimeoutError):
            caller.call(policy, prepare_timeout=300)
        server.lose_jobs()
    caller.call(Policy(max_age=10 * MINUTE))
    assert server.now - caller.received[Part()] < HOUR
