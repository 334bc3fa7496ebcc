"""What the README and the documentation say is so: examples run, tables are complete, options exist."""

from __future__ import annotations

import errno
import inspect
import os
import re
import shlex
from datetime import date
from itertools import dropwhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.main import get_command

import appmetrica_frames
from appmetrica_frames import AppMetricaError, Cache, CacheWarning, Client, SchemaWarning, cli, errors, read_appmetrica
from appmetrica_frames.emulator import Emulator, faults
from appmetrica_frames.engine import options as words
from appmetrica_frames.schema.listing import DTYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from appmetrica_frames import CachedExport

STORE = "APPMETRICA_CACHE_DIR"
TOKEN = "emulator-token"
ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
ALL = "\n".join(page.read_text("utf-8") for page in PAGES)
LONGEST_README = 200
DESTRUCTIVE = re.compile(r"\.(?:clear|remove|prune)\(|\bcache (?:clear|remove|prune)\b|\brm \b|unlink\(|rmtree\(")


def page(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text("utf-8")


def blocks(language: str, text: str = ALL) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    """Return the words of every command of ours that is shown."""
    lines = "\n".join(blocks("sh")).replace("\\\n", " ").splitlines()
    split = [shlex.split(part, comments=True) for line in lines for part in re.split(r"&&|\||;", line)]
    unset = [list(dropwhile(lambda word: re.match(r"[A-Z_]+=", word), words)) for words in split]
    return [words[1:] for words in unset if words and words[0].endswith("appmetrica-frames")]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).with_suffix("").as_posix()


RUNNING = [path for path in PAGES if blocks("python", path.read_text("utf-8"))]


@pytest.fixture
def run_page(
    server: Emulator, ready_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[Path], dict[str, Any]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("APPMETRICA_TOKEN", server.token)
    monkeypatch.setenv("APPMETRICA_BASE_URL", ready_url)

    def run(path: Path) -> dict[str, Any]:
        names: dict[str, Any] = {"__name__": "__main__"}
        for block in blocks("python", path.read_text("utf-8")):
            exec(compile(block, str(path.relative_to(ROOT)), "exec"), names)  # noqa: S102 - that is the test
        return names

    return run


@pytest.mark.parametrize("path", RUNNING, ids=name_of)
def test_the_examples_of_a_page_run_one_after_another(
    path: Path, run_page: Callable[[Path], dict[str, Any]], server: Emulator
) -> None:
    names = run_page(path)
    CHECKS.get(name_of(path), lambda _: None)(names)
    exports = {exchange.query for exchange in server.exchanges if "/export/" in exchange.path}
    assert server.preparations == len(exports), "each is prepared once"


def cached_exports() -> list[CachedExport]:
    return Cache().exports()


def check_readme(names: dict[str, Any]) -> None:
    assert names["by_country"]["installs"].sum() == names["installs"].height > 0
    assert {export.resource for export in cached_exports()} == {"installations", "events"}


def check_quickstart(names: dict[str, Any]) -> None:
    assert names["by_country"]["installs"].sum() == names["installs"].height > 0


def check_requests(names: dict[str, Any]) -> None:
    assert names["purchases"].height > 0
    assert names["sessions"].height > 0
    assert names["sessions"]["session_start_timestamp"].dt.date().unique().to_list() == [date(2024, 7, 1)]
    assert {export.resource for export in cached_exports()} == {"events", "sessions_starts"}


def check_reading(names: dict[str, Any]) -> None:
    assert names["rows"] == names["frame"].shape[0] == names["by_country"]["installs"].sum() == names["installs"].height
    assert names["rows"] > 0
    assert names["windows"]["state"].to_list() == ["cached"]
    assert {export.resource for export in cached_exports()} == {"installations"}, "nothing is requested before collect"
    assert names["last_days"].collect().height > 0
    (fetched,) = (export for export in cached_exports() if export.resource == "events")
    assert fetched.request["date_since"] == "2024-06-24 00:00:00", "one week of the month"


def check_ranges(names: dict[str, Any]) -> None:
    planned = names["plan_appmetrica"]("events", **names["quarter"])["state"]
    assert planned.to_list() == ["settled"] * 13
    assert names["quarter_devices"] == names["quarter_events"]["appmetrica_device_id"].n_unique()


def check_recipes(names: dict[str, Any]) -> None:
    assert names["all_installs"]["application_id"].unique().to_list() == [1111, 2222]


def check_datasets(names: dict[str, Any]) -> None:
    import duckdb

    assert names["done"]["rows"].sum() == names["synced"].collect().height > 0
    (query,) = blocks("sql", page("api/datasets"))
    assert sum(count for _, count in duckdb.sql(query).fetchall()) == names["synced"].collect().height


def check_types(names: dict[str, Any]) -> None:
    assert names["profiles"].columns == ["profile_id", "favourite category"]
    assert names["opened"].collect().height == names["purchases"].height > 0


def check_cache(names: dict[str, Any]) -> None:
    assert names["plan"].exports == ()


CHECKS: dict[str, Callable[[dict[str, Any]], None]] = {
    "README": check_readme,
    "docs/quickstart": check_quickstart,
    "docs/recipes": check_recipes,
    "docs/api/datasets": check_datasets,
    "docs/guides/requests": check_requests,
    "docs/guides/reading": check_reading,
    "docs/guides/ranges": check_ranges,
    "docs/guides/types": check_types,
    "docs/guides/cache": check_cache,
}


def test_pages_with_checks_have_examples() -> None:
    assert set(CHECKS) <= set(map(name_of, RUNNING))


def test_the_readme_is_short() -> None:
    assert len(README.read_text("utf-8").splitlines()) <= LONGEST_README


def is_destructive(line: str) -> bool:
    return bool(DESTRUCTIVE.search(line)) and not re.search("dry.run", line)


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_nothing_that_people_paste_removes_anything(path: Path) -> None:
    text = path.read_text("utf-8")
    lines = "\n".join(block for language in ("python", "sh") for block in blocks(language, text)).replace("\\\n", " ")
    assert [line for line in lines.splitlines() if is_destructive(line)] == []


def test_a_destructive_line_would_be_noticed() -> None:
    assert is_destructive("Cache().clear()")
    assert is_destructive("appmetrica-frames cache prune --older-than 60")
    assert not is_destructive("appmetrica-frames cache prune --older-than 60 --dry-run")


def test_the_first_example_is_short() -> None:
    assert len(blocks("python", README.read_text("utf-8"))[0].strip().splitlines()) <= 15


def known_commands(group: Any = None, *path: str) -> dict[tuple[str, ...], Any]:
    found: dict[tuple[str, ...], Any] = {}
    for name, command in (group or get_command(cli.app)).commands.items():
        deeper = hasattr(command, "commands")
        found |= known_commands(command, *path, name) if deeper else {(*path, name): command}
    return found


def test_every_command_is_shown_with_options_that_it_has() -> None:
    known = known_commands()
    unseen = set(known)
    for shown in commands():
        if shown[0] in options_of_all():
            continue
        name = next(name for name in known if tuple(shown[: len(name)]) == name)
        known[name].make_context(" ".join(name), shown[len(name) :])
        unseen.discard(name)
    assert unseen == set()


def options_of_all() -> set[str]:
    return {spelt for option in get_command(cli.app).params for spelt in option.opts}


def test_every_option_spoken_of_exists() -> None:
    known = [option for command in known_commands().values() for option in command.params]
    options = {spelt for option in known for spelt in (*option.opts, *option.secondary_opts)}
    options |= options_of_all()
    assert set(re.findall(r"`(-[-\w]+)`", page("command_line"))) <= options


def tree(lines: list[str]) -> dict[str, list[str]]:
    """Return each name of a drawn tree with what it is: its parent, and the builtin in brackets."""
    drawn: dict[str, list[str]] = {}
    above: list[str] = []
    for line in lines:
        found = re.match(r"^([│├└─ ]*)(\w+)(?: \((\w+)\))?", line)
        assert found is not None, line
        depth, name, builtin = len(found[1]) // 4, found[2], found[3]
        above[depth:] = [name]
        drawn[name] = [*above[depth - 1 : depth], *([builtin] if builtin else [])] if depth else []
    return drawn


def test_the_tree_of_errors_is_the_real_one() -> None:
    (text,) = (block for block in blocks("text", page("guides/errors")) if block.startswith("AppMetricaError"))
    drawn = tree([line for line in text.splitlines() if line])
    real = {
        name: [base.__name__ for base in kind.__bases__]
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if kind.__module__ == errors.__name__ and issubclass(kind, BaseException)
    }
    assert drawn.pop("AppMetricaError") == []
    assert drawn.pop("Warning") == []
    del real["AppMetricaError"]  # an Exception, as everybody knows
    assert drawn == {
        name: ["Warning" if base == "UserWarning" else base for base in bases] for name, bases in real.items()
    }
    assert text.strip() in (errors.__doc__ or "")


def shown_messages() -> dict[str, str]:
    tables = re.findall(
        r"^\| (?:error|warning) \| you read, for example \| what to do \|\n\|---.*\n((?:\|.*\n)+)",
        page("guides/errors"),
        re.MULTILINE,
    )
    assert len(tables) == 2
    rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in "".join(tables).splitlines()]
    assert all(len(row) == 3 and row[2] for row in rows)
    return {row[0].strip("`"): row[1] for row in rows}


def test_every_error_and_warning_has_a_row() -> None:
    tree_of_names = {name for name in appmetrica_frames.__all__ if name.endswith(("Error", "Warning"))}
    assert set(shown_messages()) == tree_of_names - {"AppMetricaError"}


ASKED: dict[str, Any] = {"application_id": 1111, "fields": ["event_name", "session_id"]}
DAY = {"date_since": "2024-07-01", "date_until": "2024-07-01"}


@pytest.fixture
def misbehaving() -> Iterator[Emulator]:
    with Emulator(rows_per_day=100, faults={}) as running:
        yield running


def said(server: Emulator, resource: str = "events", token: str = TOKEN, **words: Any) -> str:
    """Return what a read of the README's kind ends with."""
    settings = {"prepare_timeout": words.pop("prepare_timeout", 60), "base_url": words.pop("base_url", server.base_url)}
    client = Client(token, poll=(0.0, 0.01), retries=0, progress=False, **settings)
    with pytest.raises(AppMetricaError) as raised:
        read_appmetrica(resource, **{**ASKED, **DAY, **words}, client=client)
    return f"{type(raised.value).__name__}: {raised.value}"


def test_the_messages_shown_are_those_that_are_read(misbehaving: Emulator) -> None:
    server, shown = misbehaving, shown_messages()
    client = Client(TOKEN, base_url=server.base_url, poll=(0.0, 0.01), progress=False)

    def read(name: str, **words: Any) -> None:
        assert said(server, **words).startswith(f"{name}: {shown[name]}")

    read("InvalidRequestError", date_until=None)
    read("MissingTokenError", token="")
    shown["NotCachedError"] = shown["NotCachedError"].replace("/home/me/.cache/appmetrica_frames", os.environ[STORE])
    read("NotCachedError", offline=True)
    read("AuthenticationError", token="wrong")
    read("RequestRejectedError", application_id=4444)
    shown["DownloadError"] = shown["DownloadError"].replace("111", str(errno.ECONNREFUSED))
    read("DownloadError", base_url="http://127.0.0.1:9")
    server.answers["events"] = b"event_name,session_id\npurchase\n"
    read("DecodeError", limit=1)
    server.answers["events"] = b"event_name,session_id\npurchase,twelve\n"
    read("SchemaError", limit=2, strict=True)
    with pytest.warns(SchemaWarning) as misfit:
        read_appmetrica(
            "events", **ASKED, **DAY, client=Client("emulator-token", base_url=server.base_url, progress=False)
        )
    said_of_it = re.sub(r"\(CSV.*?\)", "(…)", str(misfit[0].message))
    assert said_of_it == shown["SchemaWarning"]
    server.faults[1:] = faults.Answer(503)
    read("ServerError", refresh=True)
    read("IncompleteExportError", date_until="2024-07-02", split="day")
    server.faults[1:] = faults.Answer(429, retry_after=86_400)
    read("QuotaExceededError", refresh=True)
    with pytest.warns(CacheWarning) as stale, pytest.warns(SchemaWarning):
        read_appmetrica("events", **ASKED, **DAY, max_age=0, stale_if_error=60, client=client)
    beginning, end = shown["CacheWarning"].split(" 2 d 3 h ")
    (warned,) = (str(warning.message) for warning in stale if warning.category is CacheWarning)
    assert warned.startswith(beginning)
    assert warned.endswith(end)
    server.faults[1:] = faults.Answer(202, "Wait for result")
    timed_out = shown["PreparationTimeoutError"].replace("1 h", "0 s")
    assert said(server, refresh=True, prepare_timeout=0.1).startswith(f"PreparationTimeoutError: {timed_out}")


def test_every_dtype_is_in_the_table_of_types() -> None:
    assert set(DTYPES.values()) == set(
        re.findall(r"^\| [^|]+ \| `([^`]+)` \| `[^`]+\[pyarrow\]`", page("guides/types"), re.MULTILINE)
    )


def test_every_public_name_word_and_setting_is_spoken_of() -> None:
    mentioned = set(re.findall(r"\w+", ALL))
    assert set(appmetrica_frames.__all__) - mentioned == {"__version__"}
    assert set(inspect.signature(Client).parameters) <= mentioned
    shared = set(inspect.signature(words.build_options).parameters) - {"clock", "find_zone"}
    assert shared <= mentioned
    assert {name for name in vars(Cache) if not name.startswith("_")} <= mentioned


def test_the_commands_of_the_first_page_install_the_extras_that_exist() -> None:
    project = ROOT.joinpath("pyproject.toml").read_text("utf-8")
    for extra in re.findall(r"'\.\[(\w+)\]'", ALL):
        assert re.search(rf"^{extra} = \[", project, re.MULTILINE)


@pytest.mark.parametrize("name", ["APPMETRICA_TOKEN", "APPMETRICA_BASE_URL", "APPMETRICA_CACHE_DIR"])
def test_every_variable_is_spoken_of(name: str) -> None:
    assert f"`{name}`" in page("guides/settings")
