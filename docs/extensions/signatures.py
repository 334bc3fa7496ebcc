"""Signatures as users read them: `polars.DataFrame`, not `pl.DataFrame` or a private module."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import appmetrica_frames
from appmetrica_frames.emulator import Emulator, faults

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ALIASES = {"pl": "polars", "pd": "pandas", "pa": "pyarrow", "config.Secret": "str"}
_ALIAS = re.compile(r"\b(pl|pd|pa)(?=\.)|\bconfig\.Secret\b")
_SIGNED = {"function", "method", "class", "exception"}


def shorten(annotation: object) -> str:
    """Return an annotation with the names that users import."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = re.sub(r"\b(polars|pyarrow)[.\w]+(?=\.[A-Z])", r"\1", text)
    return _ALIAS.sub(lambda found: ALIASES[found[0]], text)


def write_signature(thing: Any, *, bound: bool = False) -> tuple[str, str | None]:
    """Return the parameters of a callable, and what it returns."""
    signature = inspect.signature(thing)
    parameters = list(signature.parameters.values())[bound:]
    shown = [_with_short_type(parameter) for parameter in parameters]
    returned = signature.return_annotation
    text = str(signature.replace(parameters=shown, return_annotation=inspect.Signature.empty))
    return text, None if returned in {inspect.Signature.empty, "None"} else shorten(returned)


def parameter_names() -> set[str]:
    """Return the names that docstrings of public names refer to, and that have no place of their own on a page."""
    public = [getattr(appmetrica_frames, name) for name in appmetrica_frames.__all__]
    things = [*public, Emulator, *vars(faults).values(), *(member for thing in public for member in _methods(thing))]
    return {name for thing in things if callable(thing) for name in _parameters(thing)}


def _methods(thing: Any) -> list[Any]:
    return [member for _, member in inspect.getmembers(thing, inspect.isfunction)] if inspect.isclass(thing) else []


def _parameters(thing: Any) -> list[str]:
    try:
        return list(inspect.signature(thing).parameters)
    except ValueError:  # written in C
        return []


class _Shown:
    """Its repr is a text as it is."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _with_short_type(parameter: inspect.Parameter) -> inspect.Parameter:
    if parameter.annotation is parameter.empty:
        return parameter
    return parameter.replace(annotation=_Shown(shorten(parameter.annotation)))


def replace_signature(  # noqa: PLR0917 - Sphinx calls it
    app: Sphinx,  # noqa: ARG001 - the event passes it
    what: str,
    name: str,  # noqa: ARG001
    obj: Any,
    options: Any,  # noqa: ARG001
    signature: str | None,
    return_annotation: str | None,
) -> tuple[str | None, str | None]:
    """Write the signature of what has one."""
    if what not in _SIGNED or not signature:
        return signature, return_annotation
    arguments, returned = write_signature(obj, bound=what == "method")
    return arguments, None if what in {"class", "exception"} else returned


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("autodoc-process-signature", replace_signature)
    return {"parallel_read_safe": True}
