"""The API reference has every public name with its documentation, and needs no network."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import appmetrica_frames as af

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]


class Page(HTMLParser):
    """A parsed page: the text below each anchor, the headings, and what it would fetch."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.below: dict[str, str] = {}
        self.fetched: list[str] = []
        self.headings: list[str] = []
        self._open: list[str] = []
        self._tag = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        given = dict(attrs)
        if tag in {"section", "div"} and (anchor := given.get("id")):
            self._open = list({anchor.split(".")[0]: None, anchor: None})
            self.below.setdefault(anchor, "")
        if tag == "h6":
            self.headings.append("")
        self.fetched += [given[name] or "" for name in ("src", "srcset", "data", "poster") if name in given]
        if tag == "link":
            self.fetched.append(given["href"] or "")

    def handle_data(self, text: str) -> None:
        if self._tag == "style":
            self.fetched += re.findall(r"""(?:url\(|@import)\s*['"]?([^'")\s]+)""", text)
        if self._tag == "h6":
            self.headings[-1] += text
        for anchor in self._open:
            self.below[anchor] += text

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 - the signature of a handler
        self._tag = ""


def normalize(text: str) -> str:
    return " ".join(text.replace("`", "").split())


def public_names() -> Iterator[tuple[str, Any]]:
    """Yield every public name, with the anchor that it has on the page."""
    for name in af.__all__:
        thing = getattr(af, name)
        yield name, thing
        for part, member in vars(thing).items() if inspect.isclass(thing) else ():
            if not part.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
                yield f"{name}.{part}", member


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("reference")
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", "reference", folder / "html"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.strip() == str(folder / "html" / "index.html")
    return (folder / "html" / "index.html").read_text("utf-8")


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


@pytest.mark.parametrize(("anchor", "thing"), list(public_names()))
def test_every_public_name_is_there_with_its_summary(page: Page, anchor: str, thing: Any) -> None:
    assert anchor in page.below
    if not isinstance(thing, str):
        assert normalize((inspect.getdoc(thing) or "").split("\n\n")[0]) in normalize(page.below[anchor])


@pytest.mark.parametrize("way", [name for name in af.__all__ if name.endswith("_appmetrica")])
def test_a_signature_has_every_parameter_with_its_default(page: Page, way: str) -> None:
    signature, _, _ = page.below[way].partition("->")
    shown = {line.partition(":")[0]: line.strip(" ,") for line in signature.rstrip(" )").split("\t")}
    for name, parameter in inspect.signature(getattr(af, way)).parameters.items():
        default = "" if parameter.default is parameter.empty else f" = {parameter.default!r}"
        assert shown[name].endswith(default)
    assert "{words}" not in page.below[way]


def test_types_have_the_names_that_users_import(page: Page) -> None:
    assert "-> polars.DataFrame | pandas.DataFrame | pyarrow.Table:" in normalize(page.below["read_appmetrica"])
    assert "frame: polars.DataFrame | polars.LazyFrame | pandas.DataFrame," in normalize(page.below["expand_json"])


def test_sections_are_headings(page: Page, html: str) -> None:
    sections = [
        heading
        for _, thing in public_names()
        if not isinstance(thing, str)
        for heading in re.findall(r"^([A-Z][\w ]+)\n---", inspect.getdoc(thing) or "", re.MULTILINE)
    ]
    assert sorted(map(normalize, page.headings)) == sorted(sections)
    assert "----" not in re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)


def test_no_private_name_is_there(page: Page) -> None:
    names = {piece for anchor in page.below for piece in anchor.split(".")}
    assert {name for name in names if name.startswith("_")} <= {"__init__", "__version__"}
    assert {anchor.split(".")[0] for anchor in page.below} - {"togglestate"} == set(af.__all__)


def test_the_page_fetches_nothing(page: Page, html: str) -> None:
    assert [address for address in page.fetched if not address.startswith("data:")] == []
    assert "<script" not in html
