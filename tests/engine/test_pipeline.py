"""Stages in threads: order, bounded distance, errors unchanged, and nothing left running."""

from __future__ import annotations

import gzip
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

import appmetrica_frames as af
from appmetrica_frames.emulator import Emulator, faults
from appmetrica_frames.engine.pipeline import Pipeline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


def nothing() -> None:
    pass


def test_items_come_in_order_through_several_stages() -> None:
    with Pipeline(nothing) as pipeline:
        doubled = (2 * item for item in pipeline.ahead(range(1000), depth=3, name="first"))
        assert list(pipeline.ahead(doubled, depth=1, name="second")) == list(range(0, 2000, 2))


def test_a_stage_is_never_further_ahead_than_allowed() -> None:
    made: list[int] = []

    def source() -> Iterator[int]:
        for item in range(100):
            made.append(item)
            yield item

    with Pipeline(nothing) as pipeline:
        for item in pipeline.ahead(source(), depth=4, name="source"):
            assert len(made) <= item + 1 + 4 + 1  # taken, on the belt, and one in the hand


@pytest.mark.parametrize("error", [ValueError("x"), af.DownloadError("cut"), KeyboardInterrupt()])
def test_an_error_comes_out_unchanged_after_what_came_before(error: BaseException) -> None:
    def source() -> Iterator[int]:
        yield 1
        raise error

    taken = []
    with pytest.raises(type(error)) as caught, Pipeline(nothing) as pipeline:
        taken.extend(pipeline.ahead(iter(pipeline.ahead(source(), depth=2, name="a")), depth=2, name="b"))
    assert caught.value is error


def test_leaving_early_closes_the_source_in_its_own_thread() -> None:
    closed: list[str] = []

    def source() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.append(threading.current_thread().name)

    with Pipeline(nothing) as pipeline:
        assert next(pipeline.ahead(source(), depth=1, name="source")) == 0
    assert closed == ["appmetrica-frames-source"]


def test_leaving_with_an_error_wakes_a_stage_that_waits_for_the_world() -> None:
    world = threading.Event()

    def source() -> Iterator[int]:
        yield 1
        world.wait(30)
        yield 2

    def interrupted() -> None:
        with Pipeline(abort=world.set) as pipeline:
            for _ in pipeline.ahead(source(), depth=1, name="source"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()


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
    assert af.Cache().ls() == []


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
            _, said = process.communicate(timeout=20)
    assert b"KeyboardInterrupt" in said
    assert [path.name for path in tmp_path.rglob("*") if path.suffix in {".parquet", ".tmp"}] == []
