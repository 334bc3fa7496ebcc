"""Many processes and threads ask for one export: one fetches it, and nobody waits for the dead."""

from __future__ import annotations

import gzip
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock

import appmetrica_frames as af
from appmetrica_frames.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PROCESSES, THREADS = 8, 4

READ = """
import sys, threading, warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
import polars
import appmetrica_frames as af
from appmetrica_frames.cache.store import LocalStore

warnings.simplefilter("error", af.CacheWarning)
if "{lock}" == "no lock":
    @contextmanager
    def lock(self, key, *, timeout, on_wait, check=None):
        self.make_folder(self.root / "locks")
        yield
    LocalStore.lock = lock

client = af.Client("{token}", base_url="{base_url}", cache_dir=r"{cache}", poll=(0.05, 0.1), progress=False)
together = threading.Barrier({threads})

def read(_):
    together.wait()
    frame = af.read_appmetrica("installations", application_id={app}, date_since="2024-07-29",
                               date_until="2024-07-29", client=client)
    return frame.hash_rows(seed=0).sort().hash(seed=0).sum(), frame.height

print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor({threads}) as pool:
    print(*set(pool.map(read, range({threads}))))
"""


def asked_at_once(server: Emulator, cache: Path, lock: str) -> set[str]:
    """Return what all threads of all processes read, having let go of all at once."""
    code = READ.format(
        token=server.token,
        base_url=server.base_url,
        cache=cache,
        app=server.application_id,
        threads=THREADS,
        lock=lock,
    )
    command = [sys.executable, "-c", code]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = [process.communicate(timeout=60) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert [process.returncode for process in processes] == [0] * PROCESSES, answers
    return {out for out, _ in answers}


@pytest.mark.parametrize("lock", ["lock", "no lock"])
def test_all_read_the_same(lock: str, tmp_path: Path, count_tries: Callable[[str], Any]) -> None:
    tries = count_tries(f"calls at the same time read the same, {lock}")
    tries.add(PROCESSES * THREADS)
    with Emulator(rows_per_day=2000, preparation=0.5) as server:
        read = asked_at_once(server, tmp_path / "shared", lock)
        assert len(read) == 1
        assert not read.pop().endswith(" 0)\n")
        assert server.preparations == 1
        if lock == "lock":
            assert server.downloads == 1
    assert af.Cache(tmp_path / "shared").verify().damaged == ()
    assert len(af.Cache(tmp_path / "shared").exports()) == 1


BODY = gzip.compress(b"appmetrica_device_id,token\n1,a\n2,b\n3,c")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(BODY)


def respond(number: int, _: bytes) -> bytes:
    """Respond with 202, then with half of the file, then with all of it."""
    if number == 1:
        return b"HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    return HEAD + BODY[: len(BODY) // 2] if number == 2 else HEAD + BODY


HOLD = """
import appmetrica_frames as af
client = af.Client("t", base_url="{base_url}", cache_dir=r"{cache}", poll=(0.0, 0.0), progress=False)
af.read_appmetrica("push_tokens", application_id=1, fields=["token"], max_age=3600, client=client)
"""


def test_a_holder_killed_in_the_middle_of_its_download_blocks_nobody(tmp_path: Path, raw_server: Any) -> None:
    server = raw_server(respond, stall=2)
    cache = tmp_path / "shared"
    read: list[Any] = []

    def next_one() -> None:
        client = af.Client("t", base_url=server.base_url, cache_dir=cache, poll=(0.0, 0.0), progress=False)
        words: dict[str, Any] = {"application_id": 1, "fields": ["token"], "max_age": 3600}
        read.append(af.read_appmetrica("push_tokens", client=client, **words)["token"].to_list())

    code = HOLD.format(base_url=server.base_url, cache=cache)
    with subprocess.Popen([sys.executable, "-c", code]) as holder:
        assert server.stalled.wait(30)
        waiting = threading.Thread(target=next_one)
        waiting.start()
        waiting.join(0.2)
        assert (len(server.requests), read) == (2, []), "the lock keeps the next one from asking"
        holder.send_signal(signal.SIGKILL)
    began = time.monotonic()
    waiting.join(20)
    assert read == [["a", "b", "c"]]
    assert time.monotonic() - began < 10
    headers = [b"cache-control: max-age=3600" in request.lower() for request in server.requests]
    assert headers == [True, False, False], "the same job is resumed"
    assert len(list(cache.rglob("*.tmp"))) == 1
    af.Cache(cache).prune()
    assert list(cache.rglob("*.tmp")) == []


@contextmanager
def held_elsewhere(cache: Path) -> Iterator[None]:
    """Hold the lock of the only export of a cache, as a process does that does not come to an end."""
    (lock,) = (path for path in cache.rglob("*.lock") if "-place" not in path.name)
    with FileLock(lock):
        yield


def test_a_wait_for_another_process_ends_with_prepare_timeout(tmp_path: Path, server: Emulator) -> None:
    def connect(prepare_timeout: float) -> af.Client:
        settings: dict[str, Any] = {"cache_dir": tmp_path, "poll": (0.01, 0.01), "progress": False}
        return af.Client(server.token, base_url=server.base_url, prepare_timeout=prepare_timeout, **settings)

    patient: dict[str, Any] = {"application_id": 1111, "fields": ["token"], "client": connect(60.0)}
    words = {**patient, "client": connect(0.1)}
    frame = af.read_appmetrica("push_tokens", **patient)
    requests = len(server.exchanges)
    server.clock.advance(3600.0)
    with held_elsewhere(tmp_path):
        with pytest.raises(af.PreparationTimeoutError, match=r"Another process .*prepare_timeout"):
            af.read_appmetrica("push_tokens", refresh=True, **words)
        with pytest.warns(af.CacheWarning, match=r"Another process .*A cached file is returned instead"):
            assert af.read_appmetrica("push_tokens", refresh=True, stale_if_error=86_400.0, **words).equals(frame)
        assert af.read_appmetrica("push_tokens", **words).equals(frame), "a fresh file needs no lock"
    assert len(server.exchanges) == requests, "the one that holds the lock asks the server, nobody else"
    assert af.read_appmetrica("push_tokens", refresh=True, **patient).height > 0
