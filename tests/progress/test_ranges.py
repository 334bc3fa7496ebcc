"""The progress of a range: its windows, counted and estimated, in a terminal, in plain lines and in the log."""

from __future__ import annotations

import pytest

from appmetrica_frames.progress import report_range

MB = 1_000_000
TITLE = "events of 1111, 2024-07-01 to 2024-09-28"


class Clock:
    """A clock that tests set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_lines_say_how_far_the_range_is_and_end_with_a_summary(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with report_range(TITLE, windows=4, wanted=True, clock=clock) as progress:
        progress.finish_window(None, cached=True)
        for day in (2, 3, 4):
            window = progress.open_window(f"2024-07-0{day}")
            window.preparing(0.0, None)
            clock.now += 60
            window.downloading(0, MB)
            window.downloading(MB, MB)
            window.decoded(500)
            progress.finish_window(window, cached=False)
    assert capsys.readouterr().err.splitlines() == [
        f"{TITLE}: 1 of 4 windows, 1 preparing",
        f"{TITLE}: 1 of 4 windows, 1 downloading, about 2 min left",
        f"{TITLE}: 2 of 4 windows, 1 downloading, 1 MB, about 1 min left",
        f"{TITLE}: 3 of 4 windows, 1 downloading, 2 MB",
        f"{TITLE}: ready in 3 min: 1 window from the cache, 3 fetched (3 MB, 1,500 rows)",
    ]
