"""The documentation in a real browser, wide and narrow: search finds, code can be copied, pictures load."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if sys.platform == "win32":
    pytest.skip("the browser is told over pipes that Windows does not have", allow_module_level=True)

sys.path.insert(0, str(Path(__file__).parents[1] / "notebooks"))

from chromium import Chromium, program

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDE, NARROW = 1400, 390
LOOKED_AT = [
    "index",
    "quickstart",
    "recipes",
    "guides/ranges",
    "guides/progress",
    "api/reading",
    "api/errors",
    "server",
]
LOADED = "document.readyState === 'complete'"
PICTURES = "[...document.images].filter(image => getComputedStyle(image).display !== 'none')"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    found = program()
    if found is None:
        assert os.environ.get("CI") != "true", "CI needs a browser"
        pytest.skip("there is no Chromium")
    with Chromium(found, profile=tmp_path_factory.mktemp("profile")) as running:
        yield running


def look(browser: Chromium, page: Path, *, width: int, query: str = "") -> None:
    browser.tell("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
    browser.open(page)
    if query:
        browser.tell("Page.navigate", url=f"{page.as_uri()}?q={query}")
    browser.until(f"location.protocol === 'file:' && {LOADED}")


@pytest.mark.parametrize("width", [WIDE, NARROW])
@pytest.mark.parametrize("page", LOOKED_AT)
def test_a_page_fits_the_screen_and_its_pictures_load(browser: Chromium, site: Path, page: str, width: int) -> None:
    look(browser, site / f"{page}.html", width=width)
    browser.run(f"Promise.all({PICTURES}.map(image => {{ image.loading = 'eager'; return image.decode() }}))")
    assert browser.run(f"{PICTURES}.every(image => image.naturalWidth > 0)")
    assert browser.run("document.documentElement.scrollWidth <= window.innerWidth")
    assert [address for address in browser.asked() if not address.startswith(("file:", "data:", "about:"))] == []
    assert browser.complaints() == []


@pytest.mark.parametrize("page", ["quickstart", "recipes", "guides/requests"])
def test_code_blocks_can_be_copied(browser: Chromium, site: Path, page: str) -> None:
    look(browser, site / f"{page}.html", width=WIDE)
    blocks = browser.run("document.querySelectorAll('article div.highlight pre').length")
    browser.until(f"document.querySelectorAll('button.copybtn').length === {blocks}")
    assert blocks > 1


def test_what_a_button_copies_is_the_code(browser: Chromium, site: Path) -> None:
    look(browser, site / "quickstart.html", width=WIDE)
    browser.until("document.querySelectorAll('button.copybtn').length > 0")
    copied = browser.run(
        "(() => { const field = document.querySelector('div.highlight-python button.copybtn');"
        " return document.querySelector(field.dataset.clipboardTarget).textContent })()"
    )
    assert copied.startswith("import polars as pl\n")
    assert "¶" not in copied


@pytest.mark.parametrize(
    ("query", "page"),
    [
        ("lookback", "guides/ranges.html"),
        ("stale_if_error", "guides/freshness.html"),
        ("read_appmetrica", "api/reading.html"),
    ],
)
def test_the_search_finds(browser: Chromium, site: Path, query: str, page: str) -> None:
    look(browser, site / "search.html", width=WIDE, query=query)
    browser.until("document.querySelectorAll('#search-results li a').length > 0")
    browser.until("!document.querySelector('#search-results h2')?.textContent.includes('Searching')")
    found = json.loads(
        browser.run("JSON.stringify([...document.querySelectorAll('#search-results li a')].map(a => a.href))")
    )
    assert any(page in address for address in found), found


def test_the_search_says_so_when_there_is_nothing(browser: Chromium, site: Path) -> None:
    look(browser, site / "search.html", width=WIDE, query="zzyzx")
    browser.until("document.querySelector('#search-results p')?.textContent.includes('did not match')")


def test_the_menu_opens_on_a_narrow_screen(browser: Chromium, site: Path) -> None:
    look(browser, site / "index.html", width=NARROW)
    menu = "document.querySelector('.sidebar-drawer').getBoundingClientRect().left"
    assert browser.run(menu) < 0
    browser.run("document.querySelector('label.nav-overlay-icon').click()")
    browser.until(f"{menu} >= 0")
