"""The grammar of JSON in regular expressions: strict ones that validate a text, loose ones that split valid text."""

from __future__ import annotations

import json
import re

BLANKS = " \t\r\n"
WS = rf"[{BLANKS}]*"
COLON = rf"{WS}:"

_HEX = "[0-9a-fA-F]"
# A whole surrogate pair or none: a half is not a character.
_UNICODE = rf"u(?:[0-9a-cA-CefEF]{_HEX}{{3}}|[dD][0-7]{_HEX}{{2}}|[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}})"
_STRING = rf'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|{_UNICODE}))*"'
_PLAIN_KEY = r'"[^"\\\x00-\x1f]*"'
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
STRICT_SCALAR = rf"(?:{_STRING}|{_NUMBER}|true|false|null)"

QUOTED = r'"(?:[^"\\]|\\.)*"'
SCALAR = rf'(?:{QUOTED}|[^,{{}}\[\]\s"]+)'
EASY_SCALAR = r'(?:"[^"\\]*"|[^,{}\[\]\s"]+)'


def quote(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)


def match_key(key: str) -> str:
    return re.escape(quote(key))


def is_unmistakable(key: str) -> bool:
    """Return whether this key in quotes, before a colon, is a key in any valid text whose keys have no backslash.

    Quotes may be the end of a string and the beginning of the next, but one of ``,:{}[]`` is between these two.
    """
    return key.strip() != "" and quote(key) == f'"{key}"' and not set(key) & set(",:{}[]")


def match_almost_object() -> str:
    """Return an expression that matches every object and few other texts: brackets need not match each other."""
    name = rf"(?:{_STRING}{COLON}{WS})?"
    leaf = rf"(?:{STRICT_SCALAR}|\[{WS}\]|\{{{WS}\}})"
    item = rf"{name}(?:[\[{{]{WS}{name})*{leaf}{WS}(?:[\]}}]{WS})*"
    return rf"^{WS}\{{{WS}(?:{item}(?:,{WS}{item})*)?\}}{WS}$"


def match_object(depth: int) -> str:
    """Return the strict expression of an object that nests at most so deep and has no backslash in a key."""
    return f"^{WS}{_match_object(depth)}{WS}$"


def _match_object(depth: int) -> str:
    return rf"\{{{_match_list(f'{_PLAIN_KEY}{WS}:{WS}{_match_value(depth)}')}\}}"


def _match_value(depth: int) -> str:
    if not depth:
        return STRICT_SCALAR
    return rf"(?:{STRICT_SCALAR}|{_match_object(depth - 1)}|\[{_match_list(_match_value(depth - 1))}\])"


def _match_list(item: str) -> str:
    return f"{WS}(?:{item}{WS}(?:,{WS}{item}{WS})*)?"


def match_nested(depth: int) -> str:
    """Return the loose expression of an array or object that nests at most so deep."""
    within = rf'[^"{{}}\[\]]|{QUOTED}' + (f"|{match_nested(depth - 1)}" if depth else "")
    return rf"[\[{{](?:{within})*[\]}}]"


def match_up_to_value(key: str, depth: int) -> str:
    """Return the loose expression of an object's text before the last value of a key."""
    before = rf'(?:[^"{{}}\[\]]|{QUOTED}|{match_nested(depth)})*'
    return rf"^{WS}\{{{before}{match_key(key)}{COLON}{WS}"
