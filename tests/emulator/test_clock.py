"""The movable clock."""

from __future__ import annotations

from appmetrica_frames.emulator import MovableClock


def test_the_clock_runs_unless_it_has_a_start() -> None:
    frozen, running = MovableClock(start=5.0), MovableClock()
    frozen.advance(2)
    assert (frozen.now(), frozen.now()) == (7.0, 7.0)
    before = running.now()
    running.advance(100)
    assert running.now() >= before + 100
