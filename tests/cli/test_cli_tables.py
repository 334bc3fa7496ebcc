"""The table that `read` prints: it fits the terminal, and no cell is broken over several lines."""

from __future__ import annotations

import polars as pl
import pytest

from appmetrica_frames.cli.exports import _fit

WIDE = pl.DataFrame({f"column_{number}": [f"a text of {number:03} and more"] * 3 for number in range(12)})


@pytest.mark.parametrize("width", [60, 80, 132, 400])
def test_a_table_shows_as_many_columns_as_fit(width: int) -> None:
    lines = _fit(WIDE, width).splitlines()
    assert max(map(len, lines)) <= width
    assert sum("a text of" in line for line in lines) == 3
    assert lines[-2].count("a text of") == min(8, (width - 5) // 25)


def test_a_terminal_that_is_too_narrow_gets_the_first_and_the_last_column() -> None:
    assert "column" in _fit(WIDE, 24)
    assert max(map(len, _fit(WIDE, 24).splitlines())) <= 24
