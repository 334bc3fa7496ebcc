"""Text from outside, made safe to be shown in a terminal or a log."""

from __future__ import annotations

import re

# C0 and C1 controls with DEL, the marks, embeddings, overrides and isolates of bidirectional text, and the separators
# of lines and paragraphs: they can move the cursor, retitle the window, reorder a line or fake one.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def escape_controls(text: str, *, keep: str = "") -> str:
    r"""Return the text with every control character written as an escape, as in ``\x1b``.

    Parameters
    ----------
    text
        Text that may come from a server, a file or a file name.
    keep
        Controls that stay as they are, such as the line breaks of a text of several lines.
    """
    return _CONTROLS.sub(lambda match: match[0] if match[0] in keep else _escape(match[0]), text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
