"""The windows of a range: how many jobs are with the server, and what stays after a failure or an interrupt."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import appmetrica_frames as af
from appmetrica_frames.cache.eviction import evict
from appmetrica_frames.cache.store import LocalStore
from appmetrica_frames.emulator import Emulator, MovableClock, faults
from appmetrica_frames.engine.interruption import Interruption
from appmetrica_frames.engine.workers import TICK, Task, Workers
from appmetrica_frames.errors import ExportWindow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from appmetrica_frames.emulator.faults import Request

NOON = 1_722_340_800.0  # 2024-07-30 12:00:00 UTC
FIELDS = ["event_datetime", "event_name", "appmetrica_device_id"]


def client_of(server: Emulator, **settings: Any) -> af.Client:
    return af.Client(server.token, base_url=server.base_url, **{"poll": (0.01, 0.05), "progress": False, **settings})


def read(server: Emulator, since: str, until: str, **more: Any) -> pl.DataFrame:
    parameters = {"split": "day", "fields": FIELDS, "client": client_of(server), **more}
    return af.read_appmetrica(
        "events", application_id=server.application_id, date_since=since, date_until=until, **parameters
    )


def since_of(request: Request) -> str:
    return dict(request.query).get("date_since", "")[:10]


def fail_on(*days: str, answer: faults.Fault) -> Callable[[Request], faults.Fault | None]:
    return lambda request: answer if since_of(request) in days else None


@pytest.fixture
def slow_server() -> Iterator[Emulator]:
    """Yield a server whose jobs take a while, so that several are in its queue at once."""
    with Emulator(rows_per_day=100, preparation=0.1) as emulator:
        yield emulator


def longest_queue(server: Emulator, stop: threading.Event) -> list[int]:
    """Watch how many jobs the application has with the server, until `stop`."""
    queue = server._queues[server.application_id]
    seen = [0]
    while not stop.wait(0.01):
        seen.append(len(queue.list_unfinished()))
    return seen


def watch(server: Emulator, call: Callable[[], Any]) -> int:
    stop, seen = threading.Event(), [0]
    watcher = threading.Thread(target=lambda: seen.extend(longest_queue(server, stop)))
    watcher.start()
    try:
        call()
    finally:
        stop.set()
        watcher.join()
    return max(seen)


def statuses(server: Emulator) -> set[int]:
    return {exchange.status for exchange in server.exchanges}


def test_three_jobs_are_with_the_server_and_never_a_fourth(slow_server: Emulator) -> None:
    assert watch(slow_server, lambda: read(slow_server, "2024-07-01", "2024-07-12")) == 3
    assert statuses(slow_server) == {200, 202}  # a fourth would have been answered with 429
    assert slow_server.preparations == 12


def test_the_parts_of_windows_share_the_three_places() -> None:
    with Emulator(rows_per_day=300, preparation=0.03, max_rows_per_file=150) as server:
        frame = read(server, "2024-07-01", "2024-07-06")
        assert 429 not in statuses(server)
        whole = read(server, "2024-07-01", "2024-07-06", split=None)
    assert frame.sort(pl.all()).equals(whole.sort(pl.all()))


def read_in_a_process(base_url: str, application_id: int, token: str, since: str, until: str) -> int:
    client = af.Client(token, base_url=base_url, poll=(0.01, 0.05), progress=False)
    parameters: Any = {"application_id": application_id, "date_since": since, "date_until": until, "client": client}
    return af.read_appmetrica("events", fields=FIELDS, split="day", **parameters).height


def test_two_processes_share_windows_and_places(slow_server: Emulator) -> None:
    run = partial(read_in_a_process, slow_server.base_url, slow_server.application_id, slow_server.token)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        ranges = [("2024-07-01", "2024-07-08"), ("2024-07-04", "2024-07-10")]
        heights = pool.starmap(run, ranges)
    assert slow_server.preparations == 10
    assert statuses(slow_server) == {200, 202}
    assert heights == [read(slow_server, *dates).height for dates in ranges]


def test_two_processes_never_have_four_jobs_with_the_server_although_windows_come_in_parts() -> None:
    with Emulator(rows_per_day=300, preparation=0.03, max_rows_per_file=100) as server:
        run = partial(read_in_a_process, server.base_url, server.application_id, server.token)
        ranges = [("2024-07-01", "2024-07-06"), ("2024-07-04", "2024-07-09")]
        heights: list[int] = []
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            assert watch(server, lambda: heights.extend(pool.starmap(run, ranges))) == 3
        assert statuses(server) == {200, 202, 400}  # a fourth would have been answered with 429
        assert heights == [read(server, *dates, offline=True).height for dates in ranges]


def test_applications_do_not_wait_for_one_another(slow_server: Emulator) -> None:
    slow_server.add_foreign_jobs(1)
    applications = [slow_server.application_id, slow_server.other_application_id]
    frame = af.read_appmetrica(
        "events",
        application_id=applications,
        date_since="2024-07-01",
        date_until="2024-07-04",
        fields=["application_id", "event_datetime"],
        split="day",
        client=client_of(slow_server),
    )
    order = frame["application_id"].to_list()
    assert order == sorted(order, key=applications.index)
    assert set(order) == set(applications)
    assert frame.group_by("application_id").agg(pl.col("event_datetime").dt.date().n_unique())[
        "event_datetime"
    ].to_list() == [4, 4]


def test_jobs_of_others_are_waited_for(slow_server: Emulator) -> None:
    slow_server.add_foreign_jobs(3)
    assert read(slow_server, "2024-07-01", "2024-07-03").height > 0
    assert slow_server.preparations == 3


def test_a_failed_window_costs_no_other() -> None:
    bad = fail_on("2024-07-03", answer=faults.json_error(500, "broken shard"))
    with Emulator(rows_per_day=100, clock=MovableClock(start=NOON), faults=bad) as server:
        with pytest.raises(
            af.IncompleteExportError, match=r"1 of 6 windows failed \(2024-07-03: ServerError"
        ) as caught:
            read(server, "2024-07-01", "2024-07-06", client=client_of(server, retries=0))
        error = caught.value
        assert list(error.failed) == [ExportWindow(server.application_id, "2024-07-03 00:00:00", "2024-07-03 23:59:59")]
        assert isinstance(error.__cause__, af.ServerError)
        assert len(error.completed) == 5
        assert error.not_tried == ()
        assert error.status == 500
        assert "5 of 6 windows are in the cache: make the same call again" in str(error)
        server.clear_faults()
        before = server.preparations
        assert (
            read(server, "2024-07-01", "2024-07-06").height
            == read(server, "2024-07-01", "2024-07-06", offline=True).height
        )
        assert server.preparations == before + 1


def test_after_three_failures_in_a_row_no_further_window_is_tried() -> None:
    with (
        Emulator(
            rows_per_day=100, clock=MovableClock(start=NOON), faults=lambda _: faults.json_error(500, "all broken")
        ) as server,
        pytest.raises(af.IncompleteExportError, match="were not tried after that") as caught,
    ):
        read(server, "2024-06-01", "2024-06-30", client=client_of(server, retries=0))
    assert 3 <= len(caught.value.failed) <= 8  # those under way at the third go on to their end
    assert len(caught.value.failed) + len(caught.value.not_tried) == 30


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (faults.json_error(403, "no access"), af.AuthenticationError),
        (faults.json_error(400, "unknown filter"), af.RequestRejectedError),
    ],
)
def test_an_error_that_concerns_all_windows_is_raised_as_itself(
    answer: faults.Fault, expected: type[Exception]
) -> None:
    with Emulator(rows_per_day=100, clock=MovableClock(start=NOON), faults=lambda _: answer) as server:
        with pytest.raises(expected):
            read(server, "2024-06-01", "2024-06-30")
        assert len(server.exchanges) <= 5


def test_a_range_that_the_server_finds_too_long_is_told_how_to_be_split() -> None:
    with Emulator(rows_per_day=100, max_days=7, clock=MovableClock(start=NOON)) as server:
        with pytest.raises(af.RequestRejectedError, match="split='month', 'week' or 'day'"):
            read(server, "2024-07-01", "2024-07-14", split=None)
        assert read(server, "2024-07-01", "2024-07-14", split="week").height > 0


def test_offline_names_the_windows_that_are_missing(server: Emulator) -> None:
    read(server, "2024-07-01", "2024-07-03")
    with pytest.raises(
        af.NotCachedError, match=r"3 of 10 windows are in the cache.*missing: 2024-07-04, .* and 2 more"
    ):
        read(server, "2024-07-01", "2024-07-10", offline=True)
    assert read(server, "2024-07-01", "2024-07-03", offline=True).height > 0


def test_no_windows_are_kept_without_the_cache(server: Emulator) -> None:
    for _ in range(2):
        read(server, "2024-07-01", "2024-07-03", cache=False)
    assert af.Cache().exports() == []


def window_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "appmetrica-frames-window"]


@pytest.mark.parametrize("stage", ["preparing", "downloading"])
def test_an_interrupt_keeps_the_finished_windows(stage: str) -> None:
    """The main thread is interrupted as Ctrl-C does it while the last windows are under way."""
    main = threading.main_thread().ident
    assert main is not None
    stalled, interrupted = threading.Event(), threading.Event()

    def send_interrupt() -> None:
        interrupted.set()
        signal.pthread_kill(main, signal.SIGINT)

    def stall(request: Request) -> faults.Fault | None:
        if since_of(request) < "2024-07-09" or interrupted.is_set():
            return None
        if not stalled.is_set():
            stalled.set()
            threading.Timer(0.5, send_interrupt).start()
        return faults.Stall(after=10)

    plan: dict[str, Any] = {"faults" if stage == "preparing" else "bodies": stall}
    with Emulator(rows_per_day=100, clock=MovableClock(start=NOON), **plan) as server:
        with pytest.raises(KeyboardInterrupt, match=r"\d+ of 12 windows are in the cache"):
            read(server, "2024-07-01", "2024-07-12")
        assert window_threads() == []
        kept, prepared = af.Cache().exports(), server.preparations
        assert len(kept) >= 1
        read(server, "2024-07-01", "2024-07-12")
        assert server.preparations <= 12
        assert server.preparations >= prepared


def workers(run: Callable[[int], int], *groups: str) -> Workers[int]:
    return Workers([Task(group, partial(run, number)) for number, group in enumerate(groups)], Interruption())


def test_the_call_ends_with_its_last_window() -> None:
    began = time.monotonic()
    for _ in range(10):
        assert [outcome.result for outcome in workers(abs, "a", "a", "b").run()] == [0, 1, 2]
    assert time.monotonic() - began < 10 * TICK


def test_threads_that_the_system_refuses_are_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[threading.Thread] = []

    class ScarceThread(threading.Thread):
        def start(self) -> None:
            if len(started) >= limit:
                raise RuntimeError("can't start new thread")
            started.append(self)
            super().start()

    monkeypatch.setattr("appmetrica_frames.engine.workers.Thread", ScarceThread)
    limit = 2
    assert [outcome.result for outcome in workers(abs, *"aaaaaa").run()] == list(range(6))
    assert len(started) == 2
    started.clear()
    limit = 0
    with pytest.raises(RuntimeError, match="can't start new thread"):
        workers(abs, *"aaaaaa").run()


def test_an_error_that_is_not_ours_ends_the_call_and_its_threads() -> None:
    def run(number: int) -> int:
        if number == 3:
            raise MemoryError("no more")
        return number

    with pytest.raises(MemoryError, match="no more"):
        workers(run, *"aaaaaaaaaa").run()
    assert window_threads() == []


def test_the_failures_of_one_application_do_not_end_another() -> None:
    def run(number: int) -> int:
        if number < 10:
            raise af.ServerError("broken", status=500)
        return number

    outcomes = workers(run, *"a" * 10, *"b" * 10).run()
    assert [outcome.result for outcome in outcomes[10:]] == list(range(10, 20))
    assert 3 <= sum(outcome.error is not None for outcome in outcomes[:10]) <= 8


FORK = """
import os, sys
from appmetrica_frames.engine.interruption import Interruption
from appmetrica_frames.engine.schedule import application_queue, download_gate

for _ in range(3):
    application_queue("origin", 1).take()
while download_gate(Interruption()).enter(timeout=0):
    pass
child = os.fork()
if child == 0:
    is_free = application_queue("origin", 1).take() is not None and download_gate(Interruption()).enter(timeout=0)
    os._exit(0 if is_free else 1)
sys.exit(os.waitpid(child, 0)[1] or application_queue("origin", 1).take() is not None)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows does not fork")
def test_a_forked_child_does_not_wait_for_the_threads_of_its_parent() -> None:
    assert subprocess.run([sys.executable, "-c", FORK], timeout=60, check=False).returncode == 0


def test_a_range_larger_than_max_bytes_is_fetched_once(server: Emulator) -> None:
    client = client_of(server, max_bytes=1)
    for number in (1, 2, 3):
        frame = read(server, f"2024-0{number}-01", f"2024-0{number}-14", client=client)
        assert frame["event_datetime"].dt.date().n_unique() == 14
        assert server.preparations == 14 * number, "no window was removed before it was read"


class KeptMeanwhile(set[Path]):
    """Folders to be kept, to which another thread adds one after it was looked for."""

    def __contains__(self, folder: object) -> bool:
        is_known = super().__contains__(folder)
        if isinstance(folder, Path):
            self.add(folder)
        return is_known


def test_what_another_thread_has_just_fetched_is_not_removed(server: Emulator, tmp_path: Path) -> None:
    read(server, "2024-07-01", "2024-07-02")
    evict(LocalStore(tmp_path / "cache"), max_bytes=1, now=time.time(), keep=KeptMeanwhile())
    assert len(af.Cache().exports()) == 2


def test_no_window_is_removed_before_an_iteration_comes_to_it(server: Emulator) -> None:
    """Each file is opened when the one before it has been read; meanwhile others may make room."""
    parameters: Any = {"application_id": server.application_id, "fields": FIELDS, "split": "day"}
    dates: Any = {"date_since": "2024-07-01", "date_until": "2024-07-05"}
    with af.iter_appmetrica("events", **dates, **parameters, client=client_of(server)) as batches:
        read(server, "2024-06-01", "2024-06-03", client=client_of(server, max_bytes=1))
        rows = sum(batch.num_rows for batch in batches)
    assert rows == read(server, "2024-07-01", "2024-07-05").height


def test_a_server_that_fails_is_not_asked_for_every_window_that_may_be_stale() -> None:
    with Emulator(rows_per_day=50, clock=MovableClock(start=NOON), faults={}) as server:
        frame = read(server, "2024-06-01", "2024-06-30")
        server.faults[1:] = faults.json_error(500, "all broken")
        before = server.export_requests
        stale: dict[str, Any] = {"refresh": True, "stale_if_error": 30 * 86_400.0}
        with pytest.warns(af.CacheWarning) as warned:
            assert read(server, "2024-06-01", "2024-06-30", client=client_of(server, retries=0), **stale).equals(frame)
        assert 3 <= server.export_requests - before <= 8
        assert 1 <= len(warned) <= 6
        with pytest.raises(af.IncompleteExportError):
            read(server, "2024-05-30", "2024-06-30", client=client_of(server, retries=0), **stale)
