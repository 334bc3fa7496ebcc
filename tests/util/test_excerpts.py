"""Excerpts: a token is masked although the cut goes through it, at either end and in every escaped form."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from appmetrica_frames.logs_api.masking import TokenMask
from appmetrica_frames.util.config import Secret
from appmetrica_frames.util.excerpts import MASK, excerpt

TOKEN = "y0_AgAAAA=BC/dEfGhIjKlMnOpQrStUvWxYz0123456789"
SIZE = 80
FORMS = {
    "plain": TOKEN,
    "json": "".join(f"\\u{ord(character):04x}" for character in TOKEN),
    "url": quote(TOKEN, safe=""),
    "slashes": json.dumps(TOKEN).strip('"').replace("/", "\\/"),
}


def has_part_of_token(text: str, form: str) -> bool:
    """Return whether four characters of the token, in the form that it has, are in a text."""
    size = 4 * max(1, len(form) // len(TOKEN)) + 1
    return any(form[at : at + size] in text for at in range(len(form) - size + 1))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("as_bytes", [False, True])
def test_no_part_of_a_token_is_in_an_excerpt_wherever_the_cut_is(form: str, as_bytes: bool) -> None:  # noqa: FBT001
    spelled = FORMS[form]
    for at in range(SIZE + len(spelled) + 2):
        text = "é" * at + spelled + "." * 200
        with TokenMask(Secret(TOKEN)).active():
            shown = excerpt(text.encode(), SIZE, start=2 * 60) if as_bytes else excerpt(text, SIZE, start=60)
        assert not has_part_of_token(shown, spelled), at
    assert excerpt("a" * 100, SIZE) == "a" * SIZE


@pytest.mark.parametrize("form", FORMS)
def test_a_beginning_of_the_token_is_masked_where_somebody_else_has_cut_the_text(form: str) -> None:
    mask, spelled = TokenMask(Secret(TOKEN)), FORMS[form]
    for size in range(len(spelled) + 1):
        assert not has_part_of_token(mask.cut_text(f"see {spelled[:size]}"), spelled)
    assert mask.cut_text(f"{TOKEN} and {TOKEN[:20]}") == f"{MASK} and {MASK}"
    assert mask.cut_text("see y0_") == "see y0_"
    assert mask.cut_text(f"{TOKEN[:20]} there") == f"{TOKEN[:20]} there"


def test_without_a_connection_nothing_is_masked() -> None:
    with TokenMask(Secret(TOKEN)).active():
        pass
    assert excerpt(TOKEN, SIZE) == TOKEN
