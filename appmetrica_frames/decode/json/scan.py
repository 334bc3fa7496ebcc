"""Find the end of JSON strings and of nested values without building objects of them.

Time is linear in the text and memory is a byte for each level of nesting, whatever the text is. The expressions repeat
their groups a bounded number of times: each repetition costs memory until the match ends, and may be tried again.
"""

from __future__ import annotations

import re

RUN = 1000  # items of an array or object, or escapes of a string, in one match
SMALL_DEPTH, SMALL_RUN = 2, 16  # of arrays, objects and strings that are matched as one item

SPACE = rb"[ \t\n\r]*"
PLAIN_STRING = rb'"[^"\\\x00-\x1f]*"'
NUMBER = rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
WORD = rb"true|false|null"


def match_small_value(depth: int) -> bytes:
    """Return the expression of a value with few escapes and items that nests at most so deep."""
    scalar = rb'"%s"|%s|%s' % (_match_characters(SMALL_RUN), NUMBER, WORD)
    if not depth:
        return rb"(?:%s)" % scalar
    item = match_small_value(depth - 1) + SPACE
    array, object_ = _match_list(item), _match_list(_NAME + item)
    return rb"(?:%s|\[%s%s\]|\{%s%s\})" % (scalar, SPACE, array, SPACE, object_)


def _match_list(item: bytes) -> bytes:
    return rb"(?:%s(?:,%s%s){0,%d})?" % (item, SPACE, item, SMALL_RUN - 1)


def _match_characters(run: int) -> bytes:
    """Return the expression of the characters of a string, with at most so many escapes."""
    plain = rb'[^"\\\x00-\x1f]*'
    return rb'%s(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})%s){0,%d}' % (plain, plain, run)


_NAME = PLAIN_STRING + SPACE + b":" + SPACE
_ITEM = match_small_value(SMALL_DEPTH) + SPACE + b","
_ITEMS = re.compile(rb"(?:%s%s){0,%d}" % (SPACE, _ITEM, RUN))
_MEMBERS = re.compile(rb"(?:%s%s%s){0,%d}" % (SPACE, _NAME, _ITEM, RUN))
_SPACES = re.compile(SPACE)
_LITERAL = re.compile(rb"%s|%s" % (NUMBER, WORD))
_CHARACTERS = re.compile(_match_characters(RUN))
_OPEN_ARRAYS = re.compile(rb"\[+")
_OPEN_OBJECTS = re.compile(rb"(?:\{%s%s){1,%d}" % (SPACE, _NAME, RUN))
_CLOSE = re.compile(rb"\]+|\}+")

_QUOTE, _COMMA, _COLON, _OPEN_ARRAY, _CLOSE_ARRAY, _OPEN_OBJECT, _CLOSE_OBJECT = b'",:[]{}'
_CLOSERS = {_OPEN_ARRAY: _CLOSE_ARRAY, _OPEN_OBJECT: _CLOSE_OBJECT}


class JsonSyntaxError(Exception):
    """The text is not JSON, or is cut, at a position."""

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position


def skip_space(text: bytes, at: int) -> int:
    space = _SPACES.match(text, at)
    return space.end() if space else at


def skip_string(text: bytes, at: int) -> int:
    """Return the position after the string that begins at a position."""
    start, at = at, at + 1
    while (end := _end_of_characters(text, at)) != at:
        at = end
    if at >= len(text):
        raise JsonSyntaxError(f"unterminated string that starts at byte {start}", len(text))
    if text[at] != _QUOTE:
        raise JsonSyntaxError("invalid escape or control character in a string", at)
    return at + 1


def _end_of_characters(text: bytes, at: int) -> int:
    characters = _CHARACTERS.match(text, at)
    return characters.end() if characters else at


def expect(text: bytes, at: int, character: int) -> int:
    """Return the position after a character and the space around it."""
    at = skip_space(text, at)
    if at >= len(text) or text[at] != character:
        raise JsonSyntaxError(f"expected {chr(character)!r}", at)
    return skip_space(text, at + 1)


def skip_value(text: bytes, at: int) -> int:
    """Return the position after the value that begins at a position."""
    if text[at : at + 1] not in {b"[", b"{"}:
        return _skip_scalar(text, at)
    open_containers = bytearray()
    while True:
        at = _descend(text, at, open_containers)
        at = _ascend(text, at, open_containers)
        if not open_containers:
            return at


def _skip_scalar(text: bytes, at: int) -> int:
    if text[at : at + 1] == b'"':
        return skip_string(text, at)
    literal = _LITERAL.match(text, at)
    if not literal:
        raise JsonSyntaxError("expected a value", at)
    return literal.end()


def _descend(text: bytes, at: int, open_containers: bytearray) -> int:
    """Skip values up to the end of the first one that is followed by the end of its container."""
    while at < len(text) and text[at] in _CLOSERS:
        if objects := _OPEN_OBJECTS.match(text, at):
            open_containers += b"{" * (text.count(b'"', at, objects.end()) // 2)  # each has a name without escapes
            at = objects.end()
            continue
        arrays = _OPEN_ARRAYS.match(text, at)
        open_containers += arrays[0] if arrays else b"{"
        at = skip_space(text, arrays.end() if arrays else at + 1)
        if at < len(text) and text[at] == _CLOSERS[open_containers[-1]]:
            return at
        at = skip_to_value(text, at, is_object=not arrays)
    return _skip_scalar(text, at)


def skip_to_value(text: bytes, at: int, *, is_object: bool) -> int:
    """Skip simple members of a container, and return where the next value begins."""
    run = (_MEMBERS if is_object else _ITEMS).match(text, at)
    at = skip_space(text, run.end() if run else at)
    if not is_object:
        return at
    if at >= len(text) or text[at] != _QUOTE:
        raise JsonSyntaxError("expected a name in quotes", at)
    return expect(text, skip_string(text, at), _COLON)


def _ascend(text: bytes, at: int, open_containers: bytearray) -> int:
    """Close the containers that end here; return the position after the last one, or where the next value begins."""
    while open_containers:
        at = skip_space(text, at)
        character = text[at] if at < len(text) else -1
        if character == _COMMA:
            return skip_to_value(text, at + 1, is_object=open_containers[-1] == _OPEN_OBJECT)
        closing = _CLOSE.match(text, at)
        if not closing or character != _CLOSERS[open_containers[-1]]:
            raise JsonSyntaxError("expected ',' or the end of an array or object", at)
        count = min(len(closing[0]), len(open_containers))
        if not open_containers.endswith(open_containers[-1:] * count):
            raise JsonSyntaxError("unexpected end of an array or object", at + count - 1)
        del open_containers[-count:]
        at += count
    return at
