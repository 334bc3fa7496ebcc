"""The documentation builds without a warning; every public name is there, and every link leads somewhere."""

from __future__ import annotations

import inspect
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest

import appmetrica_frames as af

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
API = "appmetrica_frames."


class Page(HTMLParser):
    """A parsed page: its anchors with the text below, what it links to, and what a browser would fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.below: dict[str, str] = {}
        self._api: list[tuple[int, str]] = []
        self._depth = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        anchor = given.get("id", "")
        self.anchors.add(anchor)
        if tag == "dl":
            self._depth += 1
        if tag == "dt" and anchor.startswith(API):
            self._api = [(depth, name) for depth, name in self._api if depth < self._depth]
            self._api.append((self._depth, anchor))
            self.below[anchor] = ""
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        self.fetched += [given[name] for name in ("src", "srcset", "data", "poster") if name in given]
        if tag == "link" and given.get("rel") == "stylesheet":
            self.fetched.append(given["href"])

    def handle_endtag(self, tag: str) -> None:
        if tag == "dl":
            self._api = [(depth, name) for depth, name in self._api if depth < self._depth]
            self._depth -= 1

    def handle_data(self, text: str) -> None:
        for _, name in self._api:
            self.below[name] += text


def normalize(text: str) -> str:
    return " ".join(re.sub(r"[`\u2018\u2019\u201c\u201d\"']|\*\*", "", text).split())


def public_names() -> Iterator[tuple[str, Any]]:
    """Yield every public name with its documentation, and the members of classes."""
    for name in af.__all__:
        thing = getattr(af, name)
        if not isinstance(thing, str):
            yield name, thing
        for part, member in vars(thing).items() if inspect.isclass(thing) else ():
            if not part.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                yield f"{name}.{part}", member


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text("utf-8")) for path in sorted(site.rglob("*.html"))}


@pytest.fixture(scope="module")
def below(pages: dict[Path, Page]) -> dict[str, str]:
    """Return what is written about each name of the package."""
    return {anchor.removeprefix(API): text for page in pages.values() for anchor, text in page.below.items()}


def test_every_public_name_is_there_with_its_summary(below: dict[str, str]) -> None:
    for name, thing in public_names():
        assert name in below
        assert normalize((inspect.getdoc(thing) or "").split("\n\n")[0]) in normalize(below[name]), name


@pytest.mark.parametrize("way", [name for name in af.__all__ if name.endswith("_appmetrica")])
def test_a_signature_has_every_parameter_with_its_default(below: dict[str, str], way: str) -> None:
    signature, _, _ = below[way].partition("→")
    shown = {line.partition(":")[0].strip(): line.strip(" ,") for line in signature.splitlines()}
    for name, parameter in inspect.signature(getattr(af, way)).parameters.items():
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        assert shown[name].endswith(default)


def test_types_have_the_names_that_users_import(below: dict[str, str]) -> None:
    assert "→ polars.DataFrame | pandas.DataFrame | pyarrow.Table" in normalize(below["read_appmetrica"])
    assert "frame: polars.DataFrame | polars.LazyFrame | pandas.DataFrame," in normalize(below["expand_json"])


def test_sections_of_docstrings_are_rendered(below: dict[str, str]) -> None:
    for name, thing in public_names():
        assert "----" not in below[name]
        for heading in re.findall(
            r"^(Parameters|Returns|Raises|Notes|Examples)\n---", inspect.getdoc(thing) or "", re.MULTILINE
        ):
            assert re.search(rf"^{heading}\b:?", below[name], re.MULTILINE), (name, heading)


def test_no_private_name_is_there(below: dict[str, str]) -> None:
    public = {name.split(".")[0] for name in below}
    assert {name for name in public if name.startswith("_")} == set()
    assert public - {"emulator"} == set(af.__all__) - {"__version__"}


def test_every_link_and_anchor_leads_somewhere(site: Path, pages: dict[Path, Page]) -> None:
    broken = [
        f"{path.relative_to(site)}: {link}"
        for path, page in pages.items()
        for link in page.links
        if not leads_somewhere(link, path, pages)
    ]
    assert broken == []


def leads_somewhere(link: str, path: Path, pages: dict[Path, Page]) -> bool:
    """Tell whether a link leads to a page, and to an anchor of it; other sites are not asked."""
    parts = urlsplit(link)
    if parts.scheme in {"http", "https"}:
        return bool(parts.netloc)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target not in pages:
        return not parts.fragment and target.is_file()
    return unquote(parts.fragment) in pages[target].anchors | {""}


def test_a_broken_link_would_be_noticed(tmp_path: Path) -> None:
    path = tmp_path / "index.html"
    path.write_text('<h1 id="top">There</h1>', "utf-8")
    pages = {path: Page(path.read_text("utf-8"))}
    for link, holds in {
        "#top": True,
        "index.html#top": True,
        "#gone": False,
        "gone.html": False,
        "a.png": False,
    }.items():
        assert leads_somewhere(link, path, pages) is holds


def test_a_browser_fetches_nothing_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        for address in page.fetched:
            parts = urlsplit(address)
            assert not parts.netloc, address
            assert parts.scheme == "data" or (path.parent / unquote(parts.path)).is_file(), address
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*['\"]?https?:", style.read_text("utf-8"))


@pytest.mark.parametrize(
    "page", ["quickstart", "guides/freshness", "guides/ranges", "recipes", "command_line", "server"]
)
def test_the_pages_that_people_look_for_are_in_the_menu(site: Path, pages: dict[Path, Page], page: str) -> None:
    assert f"{page}.html" in pages[site / "index.html"].links
