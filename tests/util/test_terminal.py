"""Controls are written as escapes before people see a text."""

from __future__ import annotations

import unicodedata

import pytest

from appmetrica_frames.util.terminal import escape_controls

BIDIRECTIONAL = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\rb\x7f\x00", r"a\rb\x7f\x00"),
        ("fdp\u202egpj", r"fdp\u202egpj"),
        ("one\u2028two", r"one\u2028two"),
        ("Привет, 👩‍👩‍👧 שלום", "Привет, 👩‍👩‍👧 שלום"),
        (r"C:\x1b", r"C:\x1b"),
    ],
)
def test_controls_become_escapes_and_text_stays(text: str, expected: str) -> None:
    assert escape_controls(text) == expected


def test_every_control_and_every_bidirectional_mark_is_escaped() -> None:
    controls = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) == "Cc"]
    assert len(controls) == 65
    for character in (*controls, *BIDIRECTIONAL):
        assert escape_controls(character).isascii()
        assert escape_controls(character).startswith("\\")


def test_line_breaks_stay_where_a_text_has_several_lines() -> None:
    assert escape_controls("a\n\tb\x1b", keep="\n") == "a\n\\tb\\x1b"
