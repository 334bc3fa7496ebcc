"""Settings and the client: argument over environment over default, and a token that shows itself to nobody."""

from __future__ import annotations

import copy
import pickle
import pydoc
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from appmetrica_frames import Client, InvalidRequestError, MissingTokenError
from appmetrica_frames.util import config

CANARY = "y0_canary-token"


@pytest.mark.parametrize(
    ("given", "environ", "expected"),
    [
        (None, {}, "https://api.appmetrica.yandex.com"),
        (None, {"APPMETRICA_BASE_URL": "https://api.appmetrica.yandex.ru/"}, "https://api.appmetrica.yandex.ru"),
        ("https://Example.COM:443", {"APPMETRICA_BASE_URL": "https://other"}, "https://example.com"),
        ("http://127.0.0.1:8000/", {}, "http://127.0.0.1:8000"),
        ("http://localhost:80", {}, "http://localhost"),
        ("http://[::1]:9", {}, "http://[::1]:9"),
    ],
)
def test_base_url(given: str | None, environ: dict[str, str], expected: str) -> None:
    assert config.base_url(given, environ) == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://api.appmetrica.yandex.com",
        "http://10.0.0.1",
        "http://localhost.example.com",
        "ftp://127.0.0.1",
        "api.appmetrica.yandex.com",
        "https://user:password@example.com",
        "https://example.com/logs",
        "https://example.com?x=1",
        "https://example.com:port",
        "https://[::1",
        "https://",
    ],
)
def test_addresses_that_the_token_must_not_go_to(url: str) -> None:
    with pytest.raises(InvalidRequestError, match="base_url"):
        Client(base_url=url)
    with pytest.raises(InvalidRequestError, match="base_url"):
        Client().origin({"APPMETRICA_BASE_URL": url})


def test_token_is_the_argument_else_the_environment() -> None:
    assert Client("given").token({"APPMETRICA_TOKEN": "found"}).reveal() == "given"
    assert Client().token({"APPMETRICA_TOKEN": "found\n"}).reveal() == "found"


@pytest.mark.parametrize("environ", [{}, {"APPMETRICA_TOKEN": " "}])
def test_a_missing_token_says_where_one_goes(environ: dict[str, str]) -> None:
    with pytest.raises(MissingTokenError, match="APPMETRICA_TOKEN"):
        Client().token(environ)


@pytest.mark.parametrize("text", [f"OAuth {CANARY}", f"{CANARY}\nX: y", f"{CANARY}é", f"{CANARY}\x00"])
def test_a_token_that_cannot_be_one_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        Client(text).token({})
    assert CANARY not in str(caught.value)


def test_a_client_does_not_show_its_token() -> None:
    client = Client(CANARY)
    shown = f"{client!r} {client} {vars(client)} {client.token({})!r}"
    assert CANARY not in shown
    assert CANARY.encode() not in pickle.dumps(client)


def test_a_client_survives_a_pickle_and_reads_the_environment_there() -> None:
    client = Client(CANARY, base_url="http://127.0.0.1:1", retries=2)
    there = pickle.loads(pickle.dumps(client))  # noqa: S301 - our own
    assert there == client
    assert there.token({"APPMETRICA_TOKEN": "found"}).reveal() == "found"
    assert copy.copy(client).retries == 2


def test_cache_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.cache_directory(None, {"APPMETRICA_CACHE_DIR": str(tmp_path)}) == tmp_path
    assert config.cache_directory(tmp_path / "a", {"APPMETRICA_CACHE_DIR": str(tmp_path)}) == tmp_path / "a"
    assert config.cache_directory("~/x", {}) == Path.home() / "x"
    assert "appmetrica_frames" in str(config.cache_directory(None, {}))
    monkeypatch.chdir(tmp_path)
    assert config.cache_directory("here", {}) == tmp_path / "here"


@pytest.mark.parametrize(
    "settings",
    [
        {"prepare_timeout": -1},
        {"network_timeout": 0},
        {"network_timeout": "60"},
        {"poll": 5},
        {"poll": (30, 2)},
        {"poll": (1, 2, 3)},
        {"retries": -1},
        {"retries": 1.5},
    ],
)
def test_settings_without_meaning_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match=next(iter(settings))):
        Client(**settings)


def test_durations_may_be_timedeltas() -> None:
    client = Client(prepare_timeout=timedelta(hours=2), poll=(timedelta(seconds=1), 10))
    assert client.prepare_timeout == 7200
    assert client.poll == (1, 10)


def test_help_does_not_show_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPMETRICA_TOKEN", "canary-token")
    assert "canary-token" not in pydoc.render_doc(Client)
