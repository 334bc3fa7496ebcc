"""Threads of a pipeline: order, bounded distance, errors unchanged, and nothing left running."""

from __future__ import annotations

import gzip
import itertools
import linecache
import signal
import subprocess
import sys
import threading
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

import appmetrica_frames as af
from appmetrica_frames.emulator import Emulator, faults
from appmetrica_frames.engine import pipeline as pipeline_module
from appmetrica_frames.engine.pipeline import MAX_WORKERS, Pipeline, count_workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import FrameType


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def nothing() -> None:
    pass


def test_items_come_in_order_through_several_stages() -> None:
    with Pipeline(nothing) as pipeline:
        doubled = (2 * item for item in pipeline.prefetch(range(1000), depth=3, name="first"))
        assert list(pipeline.prefetch(doubled, depth=1, name="second")) == list(range(0, 2000, 2))


def test_a_stage_is_never_further_ahead_than_allowed() -> None:
    taken: list[int] = []

    def source() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    with Pipeline(nothing) as pipeline:
        for item in pipeline.prefetch(source(), depth=4, name="source"):
            assert len(taken) <= item + 1 + 4 + 1  # yielded, in the queue, and waiting for it


@pytest.mark.parametrize("error", [ValueError("x"), af.DownloadError("cut"), KeyboardInterrupt()])
def test_an_error_comes_out_unchanged_after_what_came_before(error: BaseException) -> None:
    def source() -> Iterator[int]:
        yield 1
        raise error

    taken = []
    with pytest.raises(type(error)) as caught, Pipeline(nothing) as pipeline:
        taken.extend(pipeline.prefetch(iter(pipeline.prefetch(source(), depth=2, name="a")), depth=2, name="b"))
    assert caught.value is error


def test_leaving_early_closes_the_source_in_its_own_thread() -> None:
    closed: list[str] = []

    def source() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.append(threading.current_thread().name)

    with Pipeline(nothing) as pipeline:
        assert next(pipeline.prefetch(source(), depth=1, name="source")) == 0
    assert closed == ["appmetrica-frames-source"]


def test_leaving_with_an_error_wakes_a_stage_that_waits_for_the_network() -> None:
    network = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        network.wait(30)
        yield 2

    def interrupted() -> None:
        with Pipeline(abort=network.set) as pipeline:
            for _ in pipeline.prefetch(source(), depth=1, name="source"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()


def double() -> Callable[[int], int]:
    return lambda item: 2 * item


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_results_come_in_the_order_of_the_items_whatever_takes_longer(workers: int) -> None:
    later_is_done = [threading.Event() for _ in range(101)]

    def step(item: int) -> int:
        if workers > 1 and item % workers == 0 and item < 100 - workers:
            later_is_done[item + 1].wait(30)
        later_is_done[item].set()
        return item

    with Pipeline(nothing) as pipeline:
        assert list(pipeline.map(lambda: step, range(100), workers=workers, name="step")) == list(range(100))


def test_each_worker_has_a_step_of_its_own() -> None:
    both_are_busy = threading.Barrier(4)
    seen: list[set[str]] = []

    def build_step() -> Callable[[int], int]:
        threads: set[str] = set()
        seen.append(threads)

        def step(item: int) -> int:
            both_are_busy.wait(30)
            threads.add(threading.current_thread().name)
            return item

        return step

    with Pipeline(nothing) as pipeline:
        assert list(pipeline.map(build_step, range(40), workers=4, name="step")) == list(range(40))
    assert sorted(name for threads in seen for name in threads) == [f"appmetrica-frames-step-{n}" for n in range(4)]
    assert [len(threads) for threads in seen] == [1] * 4


@pytest.mark.parametrize("workers", [1, 4])
def test_no_more_items_are_taken_than_the_workers_and_one(workers: int) -> None:
    taken: list[int] = []

    def source() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    with Pipeline(nothing) as pipeline:
        for number, _ in enumerate(pipeline.map(double, source(), workers=workers, name="step")):
            assert len(taken) - number <= workers + 1


@pytest.mark.parametrize("error", [ValueError("x"), af.DownloadError("cut"), KeyboardInterrupt()])
def test_an_error_of_a_step_is_raised_in_its_turn(error: BaseException) -> None:
    later_are_done = threading.Event()

    def step(item: int) -> int:
        if item == 3:
            later_are_done.wait(30)
            raise error
        if item == 5:
            later_are_done.set()
        return item

    taken = []
    with pytest.raises(type(error)) as caught, Pipeline(nothing) as pipeline:
        taken.extend(iter(pipeline.map(lambda: step, range(100), workers=4, name="step")))
    assert caught.value is error


def test_the_results_before_an_error_are_taken_first() -> None:
    error = af.DownloadError("cut")

    def source() -> Iterator[int]:
        yield from range(3)
        raise error

    with Pipeline(nothing) as pipeline:
        results = pipeline.map(double, source(), workers=4, name="step")
        assert [*islice(results, 3)] == [0, 2, 4]
        with pytest.raises(af.DownloadError) as caught:
            next(results)
    assert caught.value is error


def test_the_first_of_two_errors_is_raised() -> None:
    def source() -> Iterator[int]:
        yield from range(3)
        raise af.DownloadError("cut")

    def step(item: int) -> int:
        return 1 // (item - 1)

    with pytest.raises(ZeroDivisionError), Pipeline(nothing) as pipeline:
        list(pipeline.map(lambda: step, source(), workers=4, name="step"))


def test_leaving_early_ends_the_workers_and_reads_no_further() -> None:
    taken = 0

    def source() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            assert threading.current_thread() is threading.main_thread()
            yield taken

    with Pipeline(nothing) as pipeline:
        assert next(pipeline.map(double, source(), workers=4, name="step")) == 2
    assert taken == 5


def test_a_stage_that_takes_results_ends_when_the_pipeline_is_left() -> None:
    with Pipeline(nothing) as pipeline:
        doubled = pipeline.map(double, pipeline.prefetch(iter(int, 1), depth=1, name="a"), workers=4, name="step")
        assert next(pipeline.prefetch(doubled, depth=1, name="b")) == 0


@pytest.mark.parametrize(("cores", "workers"), [(1, 1), (2, 1), (3, 2), (4, 3), (5, 4), (64, MAX_WORKERS)])
def test_one_core_is_left_to_the_download(cores: int, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert count_workers() == workers
    monkeypatch.delattr("os.sched_getaffinity")
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert count_workers() == workers


def run_pipeline() -> None:
    with Pipeline(nothing) as pipeline:
        source = pipeline.prefetch(range(3), depth=1, name="source")
        doubled = pipeline.map(double, source, workers=2, name="step")
        list(pipeline.prefetch(doubled, depth=1, name="sink"))


def interrupt_at(line: int) -> bool:
    """Interrupt the main thread in the nth line of the module that it runs; return whether there is one."""
    lines = itertools.count()
    here = pipeline_module.__file__

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename != here:
            return None
        # A line with "with" is also run where the block ends, and there Python lets nothing come between.
        if event == "line" and "with" not in linecache.getline(here, frame.f_lineno) and next(lines) == line:
            raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        run_pipeline()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False


def test_an_interrupt_at_any_line_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    lines = 0
    while interrupt_at(lines):
        lines += 1
        left = set(threading.enumerate()) - before
        for thread in left:
            thread.join(5)  # one that has no more to do may still be ending, if nobody has waited for it
        assert not any(thread.is_alive() for thread in left), lines
    assert lines > 100


def answer(body: bytes, *, announced: int) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (announced, body)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"appmetrica_device_id,token\n1,a\n2", af.DecodeError),
        (b"token,city\n" * 100_000, af.SchemaError),
        (b"appmetrica_device_id,token\nx,a", af.SchemaError),
    ],
)
def test_a_stage_that_fails_leaves_no_thread_and_no_connection(
    content: bytes, error: type[Exception], raw_server: Any
) -> None:
    body = gzip.compress(content)
    server = raw_server(lambda *_: answer(body, announced=len(body)))
    with pytest.raises(error):
        af.read_appmetrica(
            "push_tokens",
            application_id=1,
            fields=["appmetrica_device_id", "token"],
            strict=True,
            client=server.client(),
        )
    assert af.Cache().exports() == []


def test_a_reader_that_stops_early_leaves_nothing(raw_server: Any) -> None:
    rows = b"".join(b"\n%d,token" % row for row in range(100_000))
    body = gzip.compress(b"appmetrica_device_id,token" + rows)
    server = raw_server(lambda *_: answer(body, announced=len(body)))
    with af.iter_appmetrica(
        "push_tokens",
        application_id=1,
        fields=["appmetrica_device_id", "token"],
        batch_size=10,
        client=server.client(),
    ) as batches:
        assert batches.read_next_batch().num_rows == 10


CALL = """
import appmetrica_frames as af
client = af.Client("{token}", base_url="{base_url}", cache_dir=r"{cache}", poll=(0.01, 0.01), progress=False)
af.read_appmetrica("installations", application_id={app}, date_since="2024-07-29", date_until="2024-07-29",
                   client=client)
"""


def test_ctrl_c_ends_a_download_that_stalls_long_before_the_network_timeout(tmp_path: Path) -> None:
    with Emulator(bodies={1: faults.Stall(100)}) as server:
        code = CALL.format(token=server.token, base_url=server.base_url, cache=tmp_path, app=server.application_id)
        with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) as process:
            while server.bodies.count == 0:
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            _, printed = process.communicate(timeout=20)
    assert b"KeyboardInterrupt" in printed
    assert [path.name for path in tmp_path.rglob("*") if path.suffix in {".parquet", ".tmp"}] == []
