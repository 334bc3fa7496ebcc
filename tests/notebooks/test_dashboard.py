"""The dashboard that a notebook writes is drawn in a real browser, answers its reader, and asks nobody for anything."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("nbclient")
pytest.importorskip("altair")
pytest.importorskip("vl_convert")

from running import KERNEL_WARNS, NOTEBOOKS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chromium import Chromium
    from conftest import Ran

pytestmark = [pytest.mark.filterwarnings(warning) for warning in KERNEL_WARNS]

MOST_BYTES = 1_500_000
# What a reader sees of each chart: the marks that take up room, by kind. A path is a day's field for the pointer.
MARKS = {
    "Active users, daily and weekly": {"line": 2, "path": 85},
    "Crash-free users, seven days": {"line": 1, "path": 85, "rule": 1, "text": 1},
    "New and returning users, by week": {"rect": 24},
    "Retention by week of install": {"rect": 65, "text": 65},
    "Top events of the last four weeks": {"rect": 8, "text": 8},
    "Revenue by day, US dollars": {"line": 1, "path": 85, "rect": 85},
    "Revenue by country": {"rect": 8, "text": 8},
}
SEEN = """\
Object.fromEntries([...document.querySelectorAll("figure")].map(figure => {
  const seen = {};
  for (const mark of figure.querySelectorAll("svg .role-mark :is(path, line, text)")) {
    const { width, height } = mark.getBoundingClientRect();
    const kind = mark.closest(".role-mark").classList[0].replace("mark-", "");
    if (width + height > 0 && getComputedStyle(mark).opacity > 0) seen[kind] = (seen[kind] ?? 0) + 1;
  }
  return [figure.querySelector("p").textContent, seen];
}))"""
SIZES = """\
[...document.querySelectorAll("figure svg")].map(svg => {
  const { width, height } = svg.getBoundingClientRect();
  return [width, height];
})"""
MIN_USERS = 30  # as in the notebook
CONCLUSIONS = """\
Object.fromEntries([...document.querySelectorAll("figure")].map(figure => {
  const [topic, conclusion, basis] = [...figure.querySelectorAll("p, h2")].map(part => part.textContent);
  return [topic, [conclusion, basis]];
}))"""
TOO_FEW = re.compile(r"Too few users \((\d+)\) to conclude")
BASIS = re.compile(r"Based on ([\d,]+) (or more )?(users|buyers)\b")
ADDRESSES = {"src", "srcset", "href", "xlink:href", "action", "formaction", "poster", "data", "ping", "background"}
POLICY = 'http-equiv="Content-Security-Policy"'
OUTWARD = {
    "img": '<img src="https://outside.invalid/picture.png">',
    "script": '<script src="https://outside.invalid/library.js"></script>',
    "stylesheet": '<link rel="stylesheet" href="https://outside.invalid/style.css">',
    "preconnect": '<link rel="preconnect" href="https://outside.invalid">',
    "font": "<style>@font-face { font-family: x; src: url(https://outside.invalid/x) } h1 { font-family: x }</style>",
    "fetch": '<script>fetch("https://outside.invalid/figures.json").catch(() => {})</script>',
    "websocket": '<script>new WebSocket("wss://outside.invalid/live")</script>',
    "frame": '<iframe src="https://outside.invalid/"></iframe>',
}


@pytest.fixture(scope="session")
def dashboard(ran: Callable[[Path], Ran]) -> Path:
    notebook = next(path for path in NOTEBOOKS if path.stem == "04_bi_prototype")
    return ran(notebook).directory / "dashboard.html"


@pytest.fixture
def page(chromium: Chromium, dashboard: Path) -> Chromium:
    return drawn(chromium, dashboard)


def drawn(chromium: Chromium, path: Path) -> Chromium:
    chromium.open(path)
    chromium.until('document.body?.dataset.drawn === "7"')
    return chromium


class Outward(HTMLParser):
    """Collects what elements and styles name outside of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._style = tag == "style"
        self.found += [f"{tag} {name}={value}" for name, value in attrs if name in ADDRESSES]
        self.found += [f"{tag} style={value}" for name, value in attrs if name == "style" and "url(" in (value or "")]

    def handle_endtag(self, tag: str) -> None:
        self._style = self._style and tag != "style"

    def handle_data(self, data: str) -> None:
        if self._style and ("url(" in data or "@import" in data):
            self.found.append(data)


def leaks(chromium: Chromium, path: Path) -> list[str]:
    """Return whatever leads out of a page: what it names, what it asks for, and what its console says about that."""
    drawn(chromium, path)
    named = Outward()
    named.feed(path.read_text(encoding="utf-8"))
    return named.found + [url for url in chromium.asked() if url != path.as_uri()] + chromium.complaints()


def choose(page: Chromium, country: str) -> None:
    page.run(f"""\
        document.querySelector("select").value = "{country}";
        document.querySelector("select").dispatchEvent(new Event("change"));""")
    page.until(f'document.body.dataset.country === "{country}"')


def test_every_chart_is_drawn(page: Chromium) -> None:
    assert page.run(SEEN) == MARKS
    assert all(width > 300 and height > 150 for width, height in page.run(SIZES))
    assert page.complaints() == []


def test_it_asks_nobody_for_anything(chromium: Chromium, dashboard: Path) -> None:
    assert leaks(chromium, dashboard) == []
    assert POLICY in dashboard.read_text(encoding="utf-8")
    assert dashboard.stat().st_size < MOST_BYTES


@pytest.mark.parametrize("kind", OUTWARD)
@pytest.mark.parametrize("policy", [True, False], ids=["kept in", "let out"])
def test_what_would_ask_somebody_is_noticed(
    chromium: Chromium, dashboard: Path, tmp_path: Path, kind: str, *, policy: bool
) -> None:
    text = dashboard.read_text(encoding="utf-8").replace("<header>", f"{OUTWARD[kind]}<header>")
    changed = tmp_path / "changed.html"
    changed.write_text(text if policy else text.replace(POLICY, ""), encoding="utf-8")
    assert any("outside.invalid" in leak for leak in leaks(chromium, changed))


def test_the_menu_changes_figures_titles_and_charts(page: Chromium) -> None:
    shown = 'document.querySelector("#figures").innerText + [...document.querySelectorAll("h2")].map(h => h.innerText)'
    lines = '[...document.querySelectorAll("figure:first-child .mark-line path")].map(path => path.getAttribute("d"))'
    menu = '[...document.querySelector("select").options].map(option => option.value)'
    assert page.run(menu) == ["All", "RU", "TR", "US", "KZ", "DE", "BR", "BY", "IN"]
    everywhere = page.run(shown), page.run(lines)
    choose(page, "DE")
    germany = page.run(shown), page.run(lines)
    choose(page, "All")
    assert "89.8%" in everywhere[0]
    assert "81.1%" in germany[0]
    assert everywhere[1] != germany[1]
    assert (page.run(shown), page.run(lines)) == everywhere
    assert page.complaints() == []


def check_conclusion(conclusion: str, basis: str) -> bool:
    """Return whether a card concludes anything; either way, it says from how many users."""
    too_few = TOO_FEW.fullmatch(conclusion)
    if too_few:
        assert int(too_few[1]) < MIN_USERS
        assert basis == ""
        return False
    users = BASIS.match(basis)
    assert users, (conclusion, basis)
    assert int(users[1].replace(",", "")) >= MIN_USERS
    return True


@pytest.mark.parametrize("country", ["All", "RU", "TR", "US", "KZ", "DE", "BR", "BY", "IN"])
def test_each_conclusion_says_on_how_many_users_it_rests_and_small_counts_claim_nothing(
    page: Chromium, country: str
) -> None:
    choose(page, country)
    conclusions = page.run(CONCLUSIONS)
    assert set(conclusions) == set(MARKS)
    concluded = {topic for topic, (said, basis) in conclusions.items() if check_conclusion(said, basis)}
    if country == "All":
        assert concluded == set(MARKS)
    if country == "IN":
        assert concluded < set(MARKS)


def test_the_conclusions_are_those_of_the_chosen_country(page: Chromium) -> None:
    everywhere = page.run(CONCLUSIONS)
    choose(page, "RU")
    russia = page.run(CONCLUSIONS)
    assert everywhere["Retention by week of install"][1] == "Based on 398 users who installed at least five weeks ago"
    assert russia["Revenue by country"] == ["RU brings 41% of the revenue", "Based on 146 buyers there"]
    same = [topic for topic in MARKS if topic != "Revenue by country" and everywhere[topic][1] == russia[topic][1]]
    assert same == []
    choose(page, "BR")
    assert page.run(CONCLUSIONS)["Revenue by country"][0] != russia["Revenue by country"][0]


def test_shares_of_too_few_users_are_not_shown(page: Chromium) -> None:
    tiles = """Object.fromEntries([...document.querySelectorAll("#figures > div")].map(tile => [
        tile.querySelector("p").textContent, tile.querySelector("b").textContent]))"""
    assert "n/a" not in page.run(tiles).values()
    choose(page, "IN")
    shown = page.run(tiles)
    assert (shown["Stickiness"], shown["Crash-free users"]) == ("n/a", "n/a")
    assert "n/a" not in (shown["Users a day"], shown["Revenue a day"]), "counts and sums are what they are"
    assert page.run('document.querySelector("#figures").innerText').count("too few users (20)") == 2
    retention = page.run(SEEN)["Retention by week of install"]
    assert retention.get("text", 0) < retention["rect"], "cells of few users have no number"


def test_pointing_at_a_day_shows_its_figures(page: Chromium) -> None:
    x, y = page.run("""(() => {
        const { x, y, width, height } = document.querySelector("figure svg").getBoundingClientRect();
        return [x + width / 2, y + height / 2];
    })()""")
    page.tell("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    page.until('document.querySelector("#vg-tooltip-element.visible")')
    told = page.run('document.querySelector("#vg-tooltip-element").innerText')
    assert all(word in told for word in ("2022", "daily", "weekly", "stickiness"))
    assert page.complaints() == []


@pytest.mark.parametrize("width", [360, 800, 1600])
def test_it_fits_a_window(chromium: Chromium, dashboard: Path, width: int) -> None:
    chromium.tell(
        "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500
    )
    try:
        drawn(chromium, dashboard)
        assert chromium.run("document.documentElement.scrollWidth") <= width
        assert all(0.6 * min(width, 400) < drawn_width <= width for drawn_width, _ in chromium.run(SIZES))
    finally:
        chromium.tell("Emulation.clearDeviceMetricsOverride")
