"""Progress in a terminal, in a notebook and elsewhere; and that a display that fails does not fail an export."""

from __future__ import annotations

import io
import logging
import math
import re
import sys
import warnings
from contextlib import nullcontext
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from appmetrica_frames import Client, read_appmetrica
from appmetrica_frames.progress import (
    CompositeReporter,
    NullReporter,
    QueuePosition,
    has_audience,
    report_progress,
    report_range,
    status_line,
)
from appmetrica_frames.progress import stream as stream_module
from appmetrica_frames.progress.bars import ProgressBar
from appmetrica_frames.progress.lines import LogLines, ProgressLines
from appmetrica_frames.progress.stats import format_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Clock

    from appmetrica_frames.emulator import Emulator

MB = 1_000_000


class Terminal(io.StringIO):
    """A terminal in memory."""

    def isatty(self) -> bool:
        return True

    @property
    def lines(self) -> list[str]:
        """The lines on the screen: text after a carriage return overwrites the line."""
        return [_overwritten(line) for line in self.getvalue().split("\n")]


def _overwritten(line: str) -> str:
    seen: list[str] = []
    for piece in line.split("\r"):
        seen[: len(piece)] = piece
    return "".join(seen).rstrip()


class Broken(Terminal):
    """A terminal that went away."""

    def write(self, _: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


class Full(Terminal):
    """A disk behind a redirection that is full."""

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    stream = Terminal()
    # Not sys.stderr itself, which pytest puts back between a fixture and its test.
    monkeypatch.setattr(stream_module, "sys", SimpleNamespace(stderr=stream, stdout=stream, modules=sys.modules))
    return stream


@pytest.fixture
def bars(terminal: Terminal, clock: Clock) -> ProgressBar:
    return ProgressBar("events", clock=clock)


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make this process look like a Jupyter kernel, with ipywidgets or without."""

    def pretend(*, widgets: bool, shell: str = "ZMQInteractiveShell", base: type = object) -> None:
        ipython: Any = ModuleType("IPython")
        running = type(shell, (base,), {})()
        ipython.get_ipython = lambda: running
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        known: Any = ModuleType("ipywidgets") if widgets else None
        monkeypatch.setitem(sys.modules, "ipywidgets", known)

    return pretend


@pytest.mark.parametrize(
    ("fraction", "position", "expected"),
    [
        (None, None, "events: waiting 1 min 20 s |"),
        (0.4, None, "events: waiting 1 min 20 s, 40% prepared |"),
        (0.4, QueuePosition(0, 0.55), "events: waiting 1 min 20 s, 55% prepared |"),
        (None, QueuePosition(1, 0.0), "events: waiting 1 min 20 s, 1 job before it |"),
        (None, QueuePosition(2, 0.0), "events: waiting 1 min 20 s, 2 jobs before it |"),
    ],
)
def test_a_wait_shows_its_length_and_how_far_the_job_is(
    bars: ProgressBar, terminal: Terminal, fraction: float | None, position: QueuePosition | None, expected: str
) -> None:
    bars.preparing(80.0, fraction, position)
    assert terminal.lines[-1].startswith(expected)


def test_a_download_shows_its_size_and_its_speed(bars: ProgressBar, terminal: Terminal, clock: Clock) -> None:
    bars.downloading(0, 4 * MB)
    assert terminal.lines[-1].startswith("events: downloading 0 B of 4 MB |")
    clock.now += 0.05
    bars.downloading(MB // 10, 4 * MB)
    assert terminal.lines[-1].startswith("events: downloading 0 B of 4 MB |")  # no picture for every chunk
    clock.now += 0.45
    bars.downloading(MB, 4 * MB)
    assert terminal.lines[-1].startswith("events: downloading 1 MB of 4 MB, 2 MB/s |")


def test_a_download_of_unknown_size_shows_what_has_come(bars: ProgressBar, terminal: Terminal, clock: Clock) -> None:
    bars.downloading(0, None)
    clock.now += 2
    bars.downloading(3 * MB, None)
    assert terminal.lines[-1] == "events: downloading 3 MB, 1.5 MB/s"


def test_a_summary_stays_on_one_line(terminal: Terminal, clock: Clock) -> None:
    with report_progress("events", wanted=None, clock=clock) as reporter:
        reporter.preparing(0.0, None)
        clock.now += 60
        reporter.preparing(60.0, 0.5)
        reporter.downloading(0, 4 * MB)
        clock.now += 2
        reporter.downloading(4 * MB, 4 * MB)
        reporter.preparing(0.0, None)  # of the second part
        reporter.downloading(0, 2 * MB)
        clock.now += 1
        reporter.downloading(2 * MB, 2 * MB)
        reporter.decoded(1_234_567)
    assert terminal.lines == [
        "events: ready in 1 min 3 s, 6 MB downloaded, 2 MB/s, 1,234,567 rows, 412,000 rows/s",
        "",
    ]


def test_a_restarted_body_is_counted_from_zero(bars: ProgressBar, terminal: Terminal, clock: Clock) -> None:
    bars.downloading(3 * MB, 4 * MB)
    clock.now += 1
    bars.downloading(MB, 4 * MB)
    assert terminal.lines[-1].startswith("events: downloading 1 MB of 4 MB |")


def test_a_download_shows_the_speed_of_its_rows_once_they_are_known(
    bars: ProgressBar, terminal: Terminal, clock: Clock
) -> None:
    bars.downloading(0, 4 * MB)
    clock.now += 2
    bars.decoded(3)
    bars.downloading(MB, 4 * MB)
    assert terminal.lines[-1].startswith("events: downloading 1 MB of 4 MB, 500 kB/s, 2 rows/s |")


def test_a_failure_leaves_no_line(terminal: Terminal) -> None:
    def interrupted(stage: str) -> None:
        if stage == "while it downloads":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _whole_export(wanted=True, at=interrupted)
    assert terminal.lines == ["events: resuming", ""]


def test_a_message_is_printed_above_the_bar_and_replaces_the_summary(bars: ProgressBar, terminal: Terminal) -> None:
    bars.preparing(1.0, None)
    bars.message("resuming the job that was requested 5 min ago")
    bars.preparing(2.0, None)
    assert terminal.lines[0] == "events: resuming the job that was requested 5 min ago"
    assert terminal.lines[-1].startswith("events: waiting 2 s |")
    bars.downloading(MB, None)
    bars.message("from the cache, built at most 3 d ago")
    bars.close(done=True)
    assert terminal.lines[1:] == ["events: from the cache, built at most 3 d ago", ""]


def test_two_concurrent_exports_do_not_overwrite_each_other(terminal: Terminal, clock: Clock) -> None:
    first, second = ProgressBar("events", clock=clock), ProgressBar("crashes", clock=clock)
    first.preparing(1.0, None)
    second.message("from the cache")
    assert terminal.lines[0] == "crashes: from the cache"
    assert terminal.lines[-1].startswith("events: waiting 1 s |")
    first.close()


@pytest.mark.parametrize(
    ("wanted", "stream", "expected"),
    [
        (None, Terminal, ProgressBar),
        (None, io.StringIO, NullReporter),
        (False, Terminal, NullReporter),
        (True, Terminal, ProgressBar),
        (True, io.StringIO, ProgressLines),
        (False, io.StringIO, NullReporter),
        (None, lambda: None, NullReporter),
    ],
)
def test_a_terminal_gets_bars_and_other_streams_get_lines_on_request(
    monkeypatch: pytest.MonkeyPatch, stream: Callable[[], Any], expected: type, *, wanted: bool | None
) -> None:
    monkeypatch.setattr(sys, "stderr", stream())
    with report_progress("events", wanted=wanted) as reporter:
        assert type(reporter) is expected


@pytest.fixture
def written() -> list[str]:
    return []


@pytest.fixture
def lines(written: list[str], clock: Clock) -> ProgressLines:
    return ProgressLines("events", written.append, clock=clock)


def test_lines_report_changes_at_once_and_waits_ever_less_often(
    lines: ProgressLines, written: list[str], clock: Clock
) -> None:
    for second in range(3601):
        clock.now = second
        lines.preparing(second, None, QueuePosition(2 if second < 10 else 1 if second < 20 else 0, second / 3600))
    seconds = [0, 10, 20, 50, 110, 230, 470, 770, 1070, 1370, 1670, 1970, 2270, 2570, 2870, 3170, 3470]
    assert len(written) == len(seconds)
    assert written[:5] == [
        "events: waiting 0 s, 2 jobs before it",
        "events: waiting 10 s, 1 job before it",
        "events: waiting 20 s, 1% prepared",
        "events: waiting 50 s, 1% prepared",
        "events: waiting 1 min 50 s, 3% prepared",
    ]


def test_lines_end_with_a_summary(lines: ProgressLines, written: list[str], clock: Clock) -> None:
    lines.preparing(0.0, None)
    clock.now += 60
    for megabyte in range(1, 5):
        lines.downloading(megabyte * MB, 4 * MB)
        clock.now += 0.5
    lines.decoded(70_000)
    lines.close(done=True)
    lines.close()
    assert written == [
        "events: waiting 0 s",
        "events: downloading 1 MB of 4 MB",
        "events: ready in 1 min 2 s, 4 MB downloaded, 2 MB/s, 70,000 rows, 35,000 rows/s",
    ]


def test_one_row_is_not_rows(lines: ProgressLines, written: list[str]) -> None:
    lines.downloading(MB, MB)
    lines.decoded(1)
    lines.close(done=True)
    assert written[-1] == "events: ready in 0 s, 1 MB downloaded, 1 row"


def test_lines_of_many_parts_are_few(lines: ProgressLines, written: list[str], clock: Clock) -> None:
    for _ in range(64):
        lines.preparing(0.0, None)
        clock.now += 1
        lines.downloading(MB, MB)
        clock.now += 1
    lines.close(done=True)
    assert len(written) == 5
    assert written[-1] == "events: ready in 2 min 8 s, 64 MB downloaded, 1 MB/s"


def test_a_message_is_a_line_and_replaces_the_summary(lines: ProgressLines, written: list[str]) -> None:
    lines.downloading(MB, None)
    lines.message("from the cache, built at most 3 h ago")
    lines.close(done=True)
    assert written == ["events: downloading 1 MB", "events: from the cache, built at most 3 h ago"]


def test_lines_are_printed_on_request(capsys: pytest.CaptureFixture[str]) -> None:
    _whole_export(wanted=True)
    output, lines = capsys.readouterr()
    assert output == ""
    assert lines.splitlines()[:3] == ["events: resuming", "events: waiting 0 s", "events: downloading 1 B of 2 B"]
    assert lines.splitlines()[3].startswith("events: ready in 0 s, 2 B downloaded")


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO, "appmetrica_frames")
    return lambda: [record.getMessage() for record in caplog.records]


def test_the_log_gets_the_lines_whatever_is_shown(
    logged: Callable[[], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    with report_progress("events", wanted=False) as reporter:
        assert type(reporter) is LogLines
        reporter.preparing(0.0, None, QueuePosition(1, 0.0))
    with report_progress("events", wanted=True) as reporter:
        assert type(reporter) is CompositeReporter
        assert (reporter.is_visible, reporter.interval) == (True, 30.0)
        reporter.preparing(80.0, 0.4)
    assert logged() == ["events: waiting 0 s, 1 job before it", "events: waiting 1 min 20 s, 40% prepared"]
    assert capsys.readouterr() == ("", "events: waiting 1 min 20 s, 40% prepared\n")


def test_the_log_of_an_export_is_a_few_lines(
    logged: Callable[[], list[str]], server: Emulator, client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    title = "push_tokens of 1111"
    parameters: dict[str, Any] = {"application_id": 1111, "fields": ["token"], "client": client}
    read_appmetrica("push_tokens", **parameters)
    first = [line for line in logged() if line.startswith(f"{title}: ")]
    read_appmetrica("push_tokens", **parameters)
    second = [line for line in logged() if line.startswith(f"{title}: ")][len(first) :]
    missed, waiting, downloading, ready = (line.removeprefix(f"{title}: ") for line in first)
    assert missed == "not from the cache (the cache has no such export)"
    assert waiting.startswith("waiting 0 s")
    assert downloading.startswith("downloading ")
    assert re.fullmatch(r"ready in \d+ s, [\d.]+ kB downloaded(, .*/s)?, [\d,]+ rows(, [\d,]+ rows/s)?", ready)
    (cached,) = second
    assert re.fullmatch(rf"{title}: from the cache \(fetched \d+ s ago, within the server's 24 h\)", cached)
    assert capsys.readouterr() == ("", "")


def test_the_queue_is_requested_only_if_progress_is_visible(server: Emulator, client: Client) -> None:
    read_appmetrica("push_tokens", application_id=1111, fields=["token"], client=client)
    assert [seen.path for seen in server.exchanges if "active_queries" in seen.path] == []


@pytest.mark.parametrize("widgets", [True, False])
def test_progress_false_is_silent_everywhere(
    notebook: Callable[..., None], terminal: Terminal, capsys: pytest.CaptureFixture[str], *, widgets: bool
) -> None:
    notebook(widgets=widgets)
    with report_progress("events", wanted=False) as reporter:
        assert (reporter.is_visible, reporter.interval) == (False, math.inf)
        reporter.preparing(1.0, 0.5, QueuePosition(1, 0.5))
        reporter.downloading(1, 2)
        reporter.message("from the cache")
    assert (terminal.getvalue(), capsys.readouterr().out) == ("", "")


@pytest.mark.parametrize("stream", [Broken, Full])
@pytest.mark.parametrize("wanted", [None, True])
def test_a_stream_that_fails_does_not_fail_the_export(
    monkeypatch: pytest.MonkeyPatch, stream: type[Terminal], *, wanted: bool | None
) -> None:
    monkeypatch.setattr(sys, "stderr", stream())
    _whole_export(wanted=wanted)


@pytest.mark.parametrize("wanted", [None, True])
@pytest.mark.parametrize("when", ["before", "while it waits", "while it downloads"])
def test_a_closed_stream_does_not_fail_the_export(
    monkeypatch: pytest.MonkeyPatch, when: str, *, wanted: bool | None
) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    if when == "before":
        stream.close()
    _whole_export(wanted=wanted, at=lambda stage: stream.close() if stage == when else None)


def test_no_stream_does_not_fail_the_export(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    _whole_export(wanted=True)


def _whole_export(*, wanted: bool | None, at: Callable[[str], Any] = str) -> None:
    with report_progress("events", wanted=wanted) as reporter:
        reporter.message("resuming")
        reporter.preparing(0.0, None)
        at("while it waits")
        reporter.preparing(1.0, 0.5)
        reporter.downloading(1, 2)
        at("while it downloads")
        reporter.downloading(2, 2)


def test_a_bar_that_cannot_be_created_is_not_tried_again(
    bars: ProgressBar, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def missing() -> None:
        tried.append(1)
        raise ImportError("IProgress not found. Please update jupyter and ipywidgets.")

    monkeypatch.setattr(status_line, "bar_class", missing)
    bars.preparing(1.0, None)
    assert (bars.is_visible, bars.interval) == (False, math.inf)
    bars.downloading(1, 2)
    bars.message("from the cache")
    bars.close(done=True)
    assert (tried, terminal.getvalue()) == ([1], "")


def test_an_export_arrives_although_standard_error_is_closed(server: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    stream.close()
    monkeypatch.setattr(sys, "stderr", stream)
    client = Client(server.token, base_url=server.base_url, poll=(0.01, 0.05), progress=True)
    assert read_appmetrica("push_tokens", application_id=1111, fields=["token"], client=client).height > 0


def test_in_a_notebook_without_widgets_the_plain_bar_is_used(
    notebook: Callable[..., None], capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    notebook(widgets=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert has_audience()
        bar = ProgressBar("events", clock=clock)
        bar.preparing(80.0, 0.4)
        bar.message("from the cache")
    assert bar.is_visible
    output = capsys.readouterr()
    assert "events: waiting 1 min 20 s, 40% prepared" in output.out
    assert output.out.endswith("events: from the cache\n")
    assert output.err == ""  # a notebook paints it red


class Widget:
    """What tqdm draws in a notebook."""

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        self.texts: list[str] = []
        self.is_closed = False

    def set_description_str(self, text: str, *, refresh: bool) -> None:
        assert not refresh
        self.texts.append(text)

    @classmethod
    def get_lock(cls) -> Any:
        return nullcontext()

    def refresh(self, *, nolock: bool) -> None:
        assert nolock

    def close(self) -> None:
        self.is_closed = True

    @classmethod
    def write(cls, text: str, *, file: Any, end: str, nolock: bool) -> None:
        assert nolock
        file.write(text + end)


@pytest.fixture
def widgets(notebook: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> list[Widget]:
    created: list[Widget] = []

    class Created(Widget):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            created.append(self)

    module: Any = ModuleType("tqdm.notebook")
    module.tqdm = Created
    monkeypatch.setitem(sys.modules, "tqdm.notebook", module)
    notebook(widgets=True)
    return created


def test_in_a_notebook_with_widgets_the_bar_is_a_widget(
    widgets: list[Widget], capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    bar = ProgressBar("events", clock=clock)
    bar.preparing(80.0, 0.4)
    bar.downloading(2 * MB, 2 * MB)
    clock.now += 2
    bar.close(done=True)
    waiting, downloading = widgets
    assert (waiting.texts, waiting.arguments["initial"]) == (["events: waiting 1 min 20 s, 40% prepared"], 0.4)
    assert (downloading.texts, downloading.arguments["total"]) == (["events: downloading 2 MB of 2 MB"], 2 * MB)
    assert [widget.is_closed for widget in widgets] == [True, True]
    assert capsys.readouterr() == ("events: ready in 2 s, 2 MB downloaded, 1 MB/s\n", "")


def test_in_a_notebook_a_range_is_one_widget_whose_text_does_not_wrap(
    widgets: list[Widget], capsys: pytest.CaptureFixture[str], clock: Clock
) -> None:
    with report_range("events of 1111, 2024-07-01 to 2024-09-28", windows=2, wanted=None, clock=clock) as progress:
        progress.finish_window(None, cached=True)
        window = progress.open_window("2024-07-02")
        clock.now += 1
        window.preparing(1.0, None)
        progress.finish_window(window, cached=True)
    (widget,) = widgets
    assert widget.arguments["total"] == 2
    assert (
        widget.texts[-1] == "events of 1111, 2024\u201107\u201101 to 2024\u201109\u201128: 1 of 2 windows, 1 preparing"
    )
    assert widget.is_closed
    assert capsys.readouterr().out.endswith(": ready in 1 s: 2 windows from the cache\n")


@pytest.mark.parametrize(
    ("shell", "base", "expected"),
    [
        ("ZMQInteractiveShell", object, True),
        ("Shell", type("ZMQInteractiveShell", (), {}), True),  # Colab's
        ("TerminalInteractiveShell", object, False),
    ],
)
def test_a_notebook_is_known_by_its_shell(
    notebook: Callable[..., None], shell: str, base: type, *, expected: bool
) -> None:
    notebook(widgets=False, shell=shell, base=base)
    assert stream_module.in_notebook() is expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (4_660_000, "4.66 MB"),
        (999_600_000, "1 GB"),
        (12_345_678_901, "12.3 GB"),
        (2e15, "2e+03 TB"),
    ],
)
def test_a_size_has_the_unit_that_people_choose(size: float, expected: str) -> None:
    assert format_bytes(size) == expected


ATTACK, ESCAPED = "\x1b]0;owned\x07\u202e", r"\x1b]0;owned\x07\u202e"


def test_controls_in_a_message_are_escaped_in_bars_and_lines(
    bars: ProgressBar, lines: ProgressLines, terminal: Terminal, written: list[str]
) -> None:
    bars.message(ATTACK)
    lines.message(ATTACK)
    assert terminal.lines[0] == written[0] == f"events: {ESCAPED}"


def test_controls_in_a_title_are_escaped_in_a_bar(terminal: Terminal, clock: Clock) -> None:
    bar = ProgressBar(ATTACK, clock=clock)
    bar.preparing(1.0, None)
    assert terminal.lines[-1].startswith(f"{ESCAPED}: waiting 1 s |")
    bar.close()
