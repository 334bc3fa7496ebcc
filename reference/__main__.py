"""``python -m reference [FOLDER]``: the public names, their signatures and their docstrings, on one page of HTML."""

import re
import sys
from inspect import Signature, formatannotation
from pathlib import Path
from typing import ForwardRef

import pdoc
from markupsafe import Markup
from pdoc.render_helpers import format_signature

import appmetrica_frames
from appmetrica_frames.json_columns import expand as expansion

HERE = Path(__file__).parent
FOLDER = HERE.parent / "build" / "reference"


class ShortType:
    """A type, shown under the name that users import it by."""

    def __init__(self, annotation: object) -> None:
        self._name = re.sub(r"\b(polars|pyarrow)[.\w]+(?=\.[A-Z])", r"\1", formatannotation(annotation))

    def __repr__(self) -> str:
        return self._name


def build_page() -> str:
    """Return the page, which needs no other file and no network."""
    appmetrica_frames.__all__ = sorted(appmetrica_frames.__all__, key=_sort_key)
    expansion.Fields = ForwardRef(expansion.Fields)  # pdoc appends "| None" to it, which a string does not support
    pdoc.render.configure(docformat="numpy", show_source=False, search=False, template_directory=HERE)
    pdoc.render.env.filters["format_signature"] = _short_signature
    return pdoc.pdoc("appmetrica_frames")


def _sort_key(name: str) -> tuple[bool, bool, str]:
    """Put functions first and errors last."""
    is_class = isinstance(getattr(appmetrica_frames, name), type)
    return is_class and name.endswith(("Error", "Warning")), is_class or name.startswith("_"), name


def _short_signature(signature: Signature, *, colon: bool) -> Markup:
    parameters = [
        parameter
        if parameter.annotation is parameter.empty
        else parameter.replace(annotation=ShortType(parameter.annotation))
        for parameter in signature.parameters.values()
    ]
    returned = signature.return_annotation
    returned = returned if returned is Signature.empty else ShortType(returned)
    return format_signature(Signature(parameters, return_annotation=returned), colon)


if __name__ == "__main__":
    folder = Path(*sys.argv[1:2]) if sys.argv[1:] else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text(build_page(), encoding="utf-8")
    print(folder / "index.html")
