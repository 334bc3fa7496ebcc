"""Tables of text and frames that are shown whole."""

from __future__ import annotations

import pickle
import re

import polars as pl
import pytest
from polars.testing import assert_frame_equal

import appmetrica_frames as af
from appmetrica_frames.util.tables import NARROWEST, format_table
from appmetrica_frames.util.whole_frame import Listing

ROWS = [["name", "count", "what it is"], ["a_long_name", "1", "words " * 20], ["b", "22", "short"]]


def test_without_a_width_each_row_is_a_line() -> None:
    heading, first, second = format_table(ROWS)
    assert heading == "name         count  what it is"
    assert first == f"a_long_name  1      {('words ' * 20).strip()}"
    assert second == "b            22     short"


@pytest.mark.parametrize("width", [40, 60, 100])
def test_long_cells_are_wrapped_at_words(width: int) -> None:
    lines = list(format_table(ROWS, width=width))
    assert max(map(len, lines)) <= width
    assert " ".join(lines).count("words") == 20
    assert all(set(line.split()) <= {"words"} for line in lines if line.startswith(" "))


def test_the_first_column_is_never_wrapped() -> None:
    lines = list(format_table([["name", "text"], ["x" * 50, "one two three four"]], width=20))
    assert lines[1].startswith("x" * 50 + "  ")
    assert max(map(len, lines)) <= 50 + 2 + NARROWEST
    assert len(lines) == 3


@pytest.mark.parametrize("columns", [80, 160])
@pytest.mark.parametrize("resource", ["events", "ecommerce_events"])
def test_every_field_and_its_whole_description_is_shown(
    resource: str, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    fields = af.list_fields(resource)
    lines = str(fields).splitlines()
    assert [line.split()[0] for line in lines[1:] if not line.startswith(" ")] == fields["field"].to_list()
    html = fields._repr_html_()
    assert all(len(re.findall(f"<td>&quot;{name}&quot;</td>", html)) == 1 for name in fields["field"])
    assert "…" not in html
    assert "…" not in str(fields)


def test_every_resource_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    resources = af.list_resources()
    shown = repr(resources)
    assert all(f"\n{name} " in shown for name in resources["resource"])
    assert max(map(len, shown.splitlines())) <= 100


def test_a_listing_is_a_frame_like_any_other() -> None:
    plain = pl.DataFrame({"name": ["a", "b"], "count": [1, None], "ready": [True, False]})
    listing = Listing(plain)
    assert_frame_equal(listing, plain)
    assert_frame_equal(pickle.loads(pickle.dumps(listing)), plain)  # noqa: S301 - made here
    assert_frame_equal(listing.filter(pl.col("ready")), plain.head(1))
    assert_frame_equal(pl.concat([listing, plain]), pl.concat([plain, plain]))
    assert str(listing).splitlines() == ["name  count  ready", "a     1      yes", "b            no"]
