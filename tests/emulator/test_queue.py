"""The queue as a pure state machine: no threads, no sockets, time as an argument."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from appmetrica_frames.emulator.queue import ANY_AGE, FILE_LIFETIME, NO_AGE, Full, Moved, Queue, Ready, Waiting


def complete(queue: Queue[str], content: str, at: float = 0.0) -> None:
    job = queue.get_current_job()
    assert job is not None
    queue.set_content(job.number, content, at)


def ready(response: object) -> str:
    assert isinstance(response, Ready)
    return response.file.content


def test_a_job_needs_both_its_time_and_its_content() -> None:
    queue: Queue[str] = Queue(lambda _: 10)
    assert isinstance(queue.request("a", ANY_AGE, 0), Waiting)
    assert isinstance(queue.request("a", ANY_AGE, 50), Waiting)
    complete(queue, "A")
    assert ready(queue.request("a", ANY_AGE, 50)) == "A"


def test_content_does_not_shorten_the_preparation() -> None:
    queue: Queue[str] = Queue(lambda _: 10)
    queue.request("a", ANY_AGE, 0)
    complete(queue, "A")
    assert isinstance(queue.request("a", ANY_AGE, 9.9), Waiting)
    assert ready(queue.request("a", ANY_AGE, 10)) == "A"


def test_the_next_job_starts_when_the_one_before_is_done() -> None:
    queue: Queue[str] = Queue(lambda _: 10)
    queue.request("a", ANY_AGE, 0)
    queue.request("b", ANY_AGE, 1)
    complete(queue, "A")
    queue.advance(30)
    job = queue.get_current_job()
    assert job is not None
    assert (job.key, job.started_at) == ("b", 10)


def test_a_file_lasts_24_hours_from_its_creation_and_is_then_dropped() -> None:
    queue: Queue[str] = Queue(lambda _: 10)
    queue.request("a", ANY_AGE, 0)
    complete(queue, "A")
    assert ready(queue.request("a", ANY_AGE, 10 + FILE_LIFETIME)) == "A"
    assert isinstance(queue.request("a", ANY_AGE, 10.5 + FILE_LIFETIME), Waiting)
    assert queue.dropped == ["A"]


def test_a_new_file_replaces_the_old_one() -> None:
    queue: Queue[str] = Queue(lambda _: 0)
    for content in ("A", "B"):
        assert isinstance(queue.request("a", NO_AGE, 0), Waiting)
        complete(queue, content)
        queue.advance(0)
    assert ready(queue.request("a", ANY_AGE, 0)) == "B"
    assert queue.dropped == ["A"]


def test_a_moved_job_starts_over_and_drops_what_was_built() -> None:
    queue: Queue[str] = Queue(lambda _: 10)
    queue.request("a", NO_AGE, 0)
    complete(queue, "A")
    assert isinstance(queue.request("a", NO_AGE, 5), Moved)
    assert queue.dropped == ["A"]
    complete(queue, "B")
    assert isinstance(queue.request("a", ANY_AGE, 14), Waiting)
    assert ready(queue.request("a", ANY_AGE, 15)) == "B"


def test_content_of_a_cancelled_attempt_is_dropped() -> None:
    queue: Queue[str] = Queue(lambda _: 0)
    first = queue.request("a", NO_AGE, 0)
    assert isinstance(first, Waiting)
    queue.request("a", NO_AGE, 0)
    queue.set_content(first.job.number, "late", 0)
    assert queue.dropped == ["late"]
    assert isinstance(queue.request("a", ANY_AGE, 0), Waiting)


def test_a_request_with_an_acceptable_file_joins_the_running_job() -> None:
    queue: Queue[str] = Queue(lambda _: 0)
    queue.request("a", ANY_AGE, 0)
    complete(queue, "A")
    assert isinstance(queue.request("a", NO_AGE, 5), Waiting)
    assert isinstance(queue.request("a", 60, 5), Waiting)
    assert isinstance(queue.request("a", 4, 5), Waiting)
    assert isinstance(queue.request("a", 4, 10), Moved)


def test_only_unfinished_jobs_count() -> None:
    queue: Queue[str] = Queue(lambda _: 0)
    for key in "abc":
        assert isinstance(queue.request(key, ANY_AGE, 0), Waiting)
    assert isinstance(queue.request("d", ANY_AGE, 0), Full)
    assert isinstance(queue.request("a", ANY_AGE, 0), Waiting)
    complete(queue, "A")
    assert isinstance(queue.request("d", ANY_AGE, 0), Waiting)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["ask", "build"]),
        st.sampled_from("abcde"),
        st.sampled_from([ANY_AGE, NO_AGE, 5.0, 50.0]),
        st.floats(0, 40_000),
    ),
    max_size=60,
)


@given(STEPS, st.sampled_from([0.0, 7.0]))
def test_the_queue_keeps_its_invariants(steps: list[tuple[str, str, float, float]], preparation: float) -> None:
    queue: Queue[str] = Queue(lambda _: preparation)
    now = 0.0
    for step, key, max_age, later in steps:
        now += later
        queue.advance(now)
        if step == "build":
            if queue.jobs and queue.jobs[0].file is None:
                complete(queue, key, now)
            continue
        response = queue.request(key, max_age, now)
        if isinstance(response, Ready):
            assert response.file.age(now) <= min(max_age, FILE_LIFETIME)
        assert len(queue.jobs) <= 3
        assert len({job.key for job in queue.jobs}) == len(queue.jobs)
        assert [job.started_at is not None for job in queue.jobs] == [True, False, False][: len(queue.jobs)]


def test_a_repeated_max_age_joins_a_job_that_started_within_it() -> None:
    queue: Queue[str] = Queue(lambda _: 100)
    queue.request("a", 10, 0)
    assert isinstance(queue.request("a", 10, 10), Waiting)
    assert isinstance(queue.request("a", 9, 10), Moved)


def test_a_repeated_max_age_joins_a_job_that_has_not_started() -> None:
    queue: Queue[str] = Queue(lambda _: 100)
    queue.request("first", ANY_AGE, 0)
    queue.request("a", 10, 0)
    assert isinstance(queue.request("a", 10, 50), Waiting)
    assert [job.key for job in queue.jobs] == ["first", "a"]


def test_a_repeated_max_age_moves_every_job_on_request() -> None:
    queue: Queue[str] = Queue(lambda _: 100, "move")
    queue.request("a", 10, 0)
    assert isinstance(queue.request("a", 10, 0), Moved)
    assert isinstance(queue.request("a", ANY_AGE, 0), Waiting)


def test_a_repeated_no_cache_always_moves_the_job() -> None:
    queue: Queue[str] = Queue(lambda _: 100)
    queue.request("a", NO_AGE, 0)
    assert isinstance(queue.request("a", NO_AGE, 0), Moved)


def test_only_the_request_that_makes_a_job_is_new() -> None:
    queue: Queue[str] = Queue(lambda _: 100)
    responses = [queue.request("a", ANY_AGE, 0) for _ in range(3)]
    assert [isinstance(response, Waiting) and response.is_new for response in responses] == [True, False, False]


def test_every_job_has_a_preparation_time_of_its_own() -> None:
    queue: Queue[str] = Queue({"a": 10.0, "b": 1.0}.__getitem__)
    for key in "ab":
        queue.request(key, ANY_AGE, 0)
    complete(queue, "A")
    queue.advance(9.5)
    assert queue.progress(queue.jobs[0], 9.5) == 0.95
    assert ready(queue.request("a", ANY_AGE, 10)) == "A"
    complete(queue, "B")
    assert ready(queue.request("b", ANY_AGE, 11)) == "B"
