"""Pages that are files of the repository, and links from one to another that hold in both places."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
PAGES = {
    "changelog": "CHANGELOG.md",
    "contributing": "CONTRIBUTING.md",
    "security": "SECURITY.md",
    "notebooks": "notebooks/README.md",
    "benchmarks/index": "benchmarks/README.md",
    "benchmarks/results": "benchmarks/results/results.md",
}
_LINK = re.compile(r"(\]\()(?!\w+:|#)([^)#\s]+)")
_PAGE_OF = {file: page for page, file in PAGES.items()} | {"README.md": "index"}


def place_links(text: str, *, page: str, file: str) -> str:
    """Return the text of a file of the repository with its links as they are seen from a page of the site."""

    def place(found: re.Match[str]) -> str:
        target = os.path.normpath(PurePosixPath(file).parent / found[2])
        target = Path(target).as_posix()
        if target in _PAGE_OF:
            return f"{found[1]}/{_PAGE_OF[target]}.md"
        if target.startswith("docs/"):
            return f"{found[1]}/{target.removeprefix('docs/')}"
        return found[1] + Path(os.path.relpath(target, PurePosixPath("docs", page).parent)).as_posix()

    return _LINK.sub(place, text)


def read_page(app: Sphinx, page: str, source: list[str]) -> None:
    """Take a page from its file in the repository."""
    if page in PAGES:
        app.env.note_dependency(str(ROOT / PAGES[page]))
        source[0] = place_links((ROOT / PAGES[page]).read_text("utf-8"), page=page, file=PAGES[page])
    else:
        source[0] = place_links(source[0], page=page, file=f"docs/{page}.md")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("source-read", read_page)
    return {"parallel_read_safe": True}
