"""Messages of the library, in the words of the command line: options instead of Python's keyword arguments.

The library's errors tell what to write in Python, as in ``date_until='2024-07-07'`` or ``refresh=True``. Whoever reads
them in a shell needs ``--date-until 2024-07-07`` and ``--refresh``.
"""

import re
import shlex
from collections.abc import Collection

from appmetrica_frames.api.suggestions import OTHER_NAMES

from .options import CLIENT_SETTINGS, SPECS

_NAMES = {*SPECS, *CLIENT_SETTINGS}
_OPTION = "|".join(_NAMES)
# Words of English as well, unless they are the subject of a sentence or what it says to leave out.
_PLAIN = "|".join(name for name in _NAMES if "_" not in name)
_UNMISTAKABLE = "|".join(name for name in _NAMES if "_" in name)
_PHRASES = {
    "Client().applications() lists": "appmetrica-frames apps lists",
    "Make the same call": "Run the same command",
    "make the same call": "run the same command",
    "the same call": "the same command",
    ", or pass client=Client(token=...)": "",  # no option takes a token
}
_TEXT = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""

# The first alternative that matches at a place counts: what the server says, paths and quoted texts stay as they are.
_PYTHON = re.compile(
    rf"""
      (?P<kept>The\ server\ says:.*?(?=[Mm]ake\ the\ same\ call|\Z))
    | (?P<phrase>{"|".join(map(re.escape, _PHRASES))})
    | (?P<aside>\ \(on\ the\ command\ line\ [^)]*\))
    | \bClient\((?P<setting>{_OPTION})=\.\.\.\)
    | (?<![\w/\\.-])(?P<name>{_OPTION})=
      (?P<value>\[[^\]]*\]|\{{[^}}]*\}}|{_TEXT}|True\b|\.\.\.|[\w:-]+(?:\.[\w:-]+)*)
    | (?<![\w/\\.-])(?P<item>filters|schema_overrides)\[(?P<key>{_TEXT})\]
    | (?<!\w)(?P<quoted>{_TEXT})
    | (?<![\w/\\.=-])(?P<unmistakable>{_UNMISTAKABLE})(?![\w/=])
    | ^(?P<subject>{_PLAIN})(?=\ (?:is|takes|names|caps|means)\b)
    | (?<=\bdrop\ )(?P<dropped>{_PLAIN})(?=[.,:;])
    | (?<=\bDrop\ )(?P<dropped_too>{_PLAIN})(?=[.,:;])
    | (?<=\bwithout\ )(?P<left_out>{_PLAIN})(?=[.,:;])
    | (?<=\bin\ )(?P<listed>fields)(?=,)
    | (?<=\band\ )(?P<second>split)(?=\ makes\b)
    """,
    re.VERBOSE | re.DOTALL,
)
_ITEM = re.compile(_TEXT)


def to_options(message: str) -> str:
    """Return a message with options in place of keyword arguments."""
    return _PYTHON.sub(_translate, message)


def suggest_option(flag: str, known: Collection[str]) -> str:
    """Return a sentence on what was probably meant by an option that does not exist, or an empty text."""
    name = flag.lstrip("-").replace("-", "_").lower()
    if name in {"token", *OTHER_NAMES["token"]}:
        return "No option takes a token, which others could see: set APPMETRICA_TOKEN."
    meant = [_flag(parameter) for parameter, others in OTHER_NAMES.items() if name in others]
    return next((f"Did you mean {option}?" for option in meant if option in known), "")


def _translate(found: re.Match[str]) -> str:
    parts = {name: text for name, text in found.groupdict().items() if text is not None}
    if "name" in parts:
        return _format_argument(parts["name"], parts["value"])
    if "item" in parts:
        return f"{_flag(parts['item'])} {parts['key'][1:-1]}=..."
    if parts.keys() & {"phrase", "aside"}:
        return _PHRASES.get(found[0], "")
    if parts.keys() & {"kept", "quoted"}:
        return found[0]
    return _flag(*parts.values())


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _format_argument(name: str, value: str) -> str:
    """Format a keyword argument, as in ``--fields a,b`` or ``--schema-overrides a=string``."""
    flag, items = _flag(name), [text[1:-1] for text in _ITEM.findall(value)]
    if value == "True":
        return flag
    if value.startswith("{"):
        pairs = zip(items[::2], items[1::2], strict=False)
        return " ".join(f"{flag} {shlex.quote(f'{key}={chosen}')}" for key, chosen in pairs) or flag
    if value.startswith("["):
        return f"{flag} {shlex.quote(','.join(items))}" if items else f"{flag} A,B,..."
    return f"{flag} {shlex.quote(items[0])}" if items else f"{flag} {value}"
