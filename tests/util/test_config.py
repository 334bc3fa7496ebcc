"""Settings and the client: argument over environment over default, and a token that is hidden."""

from __future__ import annotations

import copy
import pickle
import pydoc
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from appmetrica_frames import Client, InvalidRequestError
from appmetrica_frames.client import resolve_settings
from appmetrica_frames.util import config

if TYPE_CHECKING:
    from collections.abc import Callable

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
    assert config.resolve_base_url(given, environ) == expected


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
def test_the_token_is_not_sent_to_such_addresses(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidRequestError, match="base_url"):
        Client(base_url=url)
    with pytest.raises(InvalidRequestError, match="base_url"):
        config.resolve_base_url(None, {"APPMETRICA_BASE_URL": url})
    monkeypatch.setenv("APPMETRICA_BASE_URL", url)
    assert "invalid APPMETRICA_BASE_URL" in repr(Client())


@pytest.mark.parametrize("text", [f"OAuth {CANARY}", f"{CANARY}\nX: y", f"{CANARY}é", f"{CANARY}\x00"])
def test_a_token_that_cannot_be_one_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        resolve_settings(Client(text)).token()
    assert CANARY not in str(caught.value)


def test_a_client_does_not_show_its_token() -> None:
    client = Client(CANARY)
    shown = f"{client!r} {client} {vars(client)} {client.token!r} {resolve_settings(client)!r}"
    assert CANARY not in shown
    assert CANARY.encode() not in pickle.dumps(client)


def test_a_client_survives_a_pickle_and_reads_the_environment_there(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(CANARY, base_url="http://127.0.0.1:1", retries=2)
    there = pickle.loads(pickle.dumps(client))  # noqa: S301 - our own
    assert there == client
    assert there.token is None
    monkeypatch.setenv("APPMETRICA_TOKEN", "found")
    assert resolve_settings(there).token().reveal() == "found"


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
def test_a_copy_keeps_the_token(duplicate: Callable[[Client], Client]) -> None:
    client = duplicate(Client(CANARY, retries=2))
    assert resolve_settings(client).token().reveal() == CANARY
    assert client.retries == 2


def test_repr_shows_the_server_the_cache_and_where_the_token_comes_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPMETRICA_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("APPMETRICA_CACHE_DIR", str(tmp_path))
    assert repr(Client()).startswith(
        f"Client(base_url='http://127.0.0.1:9', cache_dir={str(tmp_path)!r}, token=<from the keyr"
    )
    monkeypatch.setenv("APPMETRICA_TOKEN", CANARY)
    assert "token=<from the variable APPMETRICA_TOKEN>" in repr(Client())
    assert "token=<from the argument>, max_bytes=5, " in repr(Client("given", max_bytes=5))
    assert CANARY not in repr(Client())


def test_cache_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert config.resolve_cache_directory(None, {"APPMETRICA_CACHE_DIR": str(tmp_path)}) == tmp_path
    assert config.resolve_cache_directory(tmp_path / "a", {"APPMETRICA_CACHE_DIR": str(tmp_path)}) == tmp_path / "a"
    assert config.resolve_cache_directory("~/x", {}) == Path.home() / "x"
    assert "appmetrica_frames" in str(config.resolve_cache_directory(None, {}))
    monkeypatch.chdir(tmp_path)
    assert config.resolve_cache_directory("here", {}) == tmp_path / "here"


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


def test_an_empty_base_url_is_rejected_rather_than_replaced_by_the_default() -> None:
    with pytest.raises(InvalidRequestError, match="base_url is empty"):
        Client(base_url="")
