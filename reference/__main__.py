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
    """A type under the name that its users import it by."""

    def __init__(self, annotation: object) -> None:
        self._name = re.sub(r"\b(polars|pyarrow)[.\w]+(?=\.[A-Z])", r"\1", formatannotation(annotation))

    def __repr__(self) -> str:
        return self._name


def page() -> str:
    """Return the page; it needs nothing else, neither a file nor the network."""
    appmetrica_frames.__all__ = sorted(appmetrica_frames.__all__, key=_place)
    expansion.Fields = ForwardRef(expansion.Fields)  # pdoc adds "| None" to it, which a text would not take
    pdoc.render.configure(docformat="numpy", show_source=False, search=False, template_directory=HERE)
    pdoc.render.env.filters["format_signature"] = _short_signature
    return pdoc.pdoc("appmetrica_frames")


def _place(name: str) -> tuple[bool, bool, str]:
    """Put functions first and errors last."""
    is_class = isinstance(getattr(appmetrica_frames, name), type)
    return is_class and name.endswith(("Error", "Warning")), is_class or name.startswith("_"), name


def _short_signature(signature: Signature, *, colon: bool) -> Markup:
    taken = [
        known if known.annotation is known.empty else known.replace(annotation=ShortType(known.annotation))
        for known in signature.parameters.values()
    ]
    given = signature.return_annotation
    given = given if given is Signature.empty else ShortType(given)
    return format_signature(Signature(taken, return_annotation=given), colon)


if __name__ == "__main__":
    folder = Path(*sys.argv[1:2]) if sys.argv[1:] else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text(page(), encoding="utf-8")
    print(folder / "index.html")
