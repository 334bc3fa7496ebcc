"""The grammar of JSON in regular expressions: strict ones that vouch for a text, loose ones that cut valid text up."""

from __future__ import annotations

import json
import re

BLANKS = " \t\r\n"
WS = rf"[{BLANKS}]*"
COLON = rf"{WS}:"

_HEX = "[0-9a-fA-F]"
# Two halves of a surrogate pair or none: a half alone is no character.
_UNICODE = rf"u(?:[0-9a-cA-CefEF]{_HEX}{{3}}|[dD][0-7]{_HEX}{{2}}|[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}})"
_STRING = rf'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|{_UNICODE}))*"'
_PLAIN_KEY = r'"[^"\\\x00-\x1f]*"'
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
STRICT_SCALAR = rf"(?:{_STRING}|{_NUMBER}|true|false|null)"

QUOTED = r'"(?:[^"\\]|\\.)*"'
SCALAR = rf'(?:{QUOTED}|[^,{{}}\[\]\s"]+)'
EASY_SCALAR = r'(?:"[^"\\]*"|[^,{}\[\]\s"]+)'


def quoted(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)


def pattern(key: str) -> str:
    return re.escape(quoted(key))


def stands_out(key: str) -> bool:
    """Return whether this key in quotes, before a colon, is a key in any valid text whose keys have no backslash.

    Quotes may be the end of a string and the beginning of the next; but one of ``,:{}[]`` stands between these.
    """
    return key.strip() != "" and quoted(key) == f'"{key}"' and not set(key) & set(",:{}[]")


def almost_object() -> str:
    """Return an expression that every object fits, and few other texts: brackets need not close what they opened."""
    name = rf"(?:{_STRING}{COLON}{WS})?"
    leaf = rf"(?:{STRICT_SCALAR}|\[{WS}\]|\{{{WS}\}})"
    item = rf"{name}(?:[\[{{]{WS}{name})*{leaf}{WS}(?:[\]}}]{WS})*"
    return rf"^{WS}\{{{WS}(?:{item}(?:,{WS}{item})*)?\}}{WS}$"


def whole_object(depth: int) -> str:
    """Return the strict expression of an object that nests at most so deep and has no backslash in a key."""
    return f"^{WS}{_object(depth)}{WS}$"


def _object(depth: int) -> str:
    return rf"\{{{_listed(f'{_PLAIN_KEY}{WS}:{WS}{_value(depth)}')}\}}"


def _value(depth: int) -> str:
    if not depth:
        return STRICT_SCALAR
    return rf"(?:{STRICT_SCALAR}|{_object(depth - 1)}|\[{_listed(_value(depth - 1))}\])"


def _listed(item: str) -> str:
    return f"{WS}(?:{item}{WS}(?:,{WS}{item}{WS})*)?"


def nested(depth: int) -> str:
    """Return the loose expression of an array or object that nests at most so deep."""
    within = rf'[^"{{}}\[\]]|{QUOTED}' + (f"|{nested(depth - 1)}" if depth else "")
    return rf"[\[{{](?:{within})*[\]}}]"


def up_to_value(key: str, depth: int) -> str:
    """Return the loose expression of an object's text before the last value of a key."""
    before = rf'(?:[^"{{}}\[\]]|{QUOTED}|{nested(depth)})*'
    return rf"^{WS}\{{{before}{pattern(key)}{COLON}{WS}"
