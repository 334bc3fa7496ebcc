"""A token that sings: it goes to the configured origin in one header and is found nowhere else, come what may."""

from __future__ import annotations

import gzip
import logging
import os
import pickle
import stat
import subprocess
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpcore
import pytest

import appmetrica_frames as af
from appmetrica_frames import errors
from appmetrica_frames.emulator import Emulator
from appmetrica_frames.engine import parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from keyring_backends import MemoryKeyring

CANARY = "y0_canary-3b9ac9ff"
WORDS: dict[str, Any] = {"application_id": 1, "fields": ["token", "appmetrica_device_id"]}
BODY = gzip.compress(b"appmetrica_device_id,token\n1,a\n2,b")


def answer(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "Connection: close", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


WHOLE = answer("200 OK", BODY, "Content-Encoding: gzip")

# What each request is answered with; the unkind ones say everything back that they were told.
ANSWERS: dict[str, tuple[Callable[[int, bytes], bytes], type[Exception] | None]] = {
    "success": (lambda *_: WHOLE, None),
    "a wait": (lambda number, echo: answer("202 Accepted", echo) if number < 3 else WHOLE, None),
    "400": (lambda _, echo: answer("400 Bad Request", echo), af.RequestRejectedError),
    "400 in JSON": (lambda _, echo: answer("400 Bad Request", as_json(echo)), af.RequestRejectedError),
    "401": (lambda _, echo: answer("401 Unauthorized", echo), af.AuthenticationError),
    "403": (lambda _, echo: answer("403 Forbidden", echo), af.AuthenticationError),
    "404": (lambda _, echo: answer("404 Not Found", echo), af.RequestRejectedError),
    "429": (lambda _, echo: answer("429 Too Many Requests", echo, "Retry-After: 90000"), af.QuotaExceededError),
    "500": (lambda _, echo: answer("500 Internal Server Error", echo), af.ServerError),
    "a redirect": (lambda *_: answer("302 Found", b"", "Location: https://other.example/"), af.RequestRejectedError),
    "no answer": (lambda *_: b"", af.DownloadError),
    "no HTTP": (lambda _, echo: echo, af.DownloadError),
    "a cut": (lambda *_: WHOLE[:-4], af.DownloadError),
    "a page": (lambda *_: answer("200 OK", b"<!DOCTYPE html>"), af.DecodeError),
    "no UTF-8": (lambda *_: answer("200 OK", b"appmetrica_device_id,token\n1,\xff"), af.DecodeError),
    "another column": (lambda *_: answer("200 OK", b"appmetrica_device_id,city\n1,x"), af.SchemaError),
    "202 for ever": (lambda _, echo: answer("202 Accepted", echo), af.PreparationTimeoutError),
}


def as_json(text: bytes) -> bytes:
    return b'{"errors": [{"message": "' + text.replace(b"\r\n", b" ") + b'"}]}'


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Have every logger say everything."""
    caplog.set_level(logging.DEBUG)
    for name in ("appmetrica_frames", "httpx", "httpcore", "filelock"):
        caplog.set_level(logging.DEBUG, name)
    return caplog


def format_duration(error: BaseException) -> Iterator[str]:
    """Yield all that a reporter of errors could show of one: text, attributes, pickle, locals of every frame."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    yield "".join(traceback.format_exception(error))
    while waiting:
        current = waiting.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        waiting += [current.__cause__, current.__context__]
        yield f"{current} {current!r} {current.args} {vars(current)}"
        yield from locals_of(current.__traceback__)
    yield str(pickle.dumps(error))


def locals_of(trace: TracebackType | None) -> Iterator[str]:
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_code.co_filename != __file__:
            for name, value in frame.f_locals.items():
                yield f"{Path(frame.f_code.co_filename).name} {frame.f_code.co_name}() {name} = {value!r}"
        trace = trace.tb_next


def files(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        yield str(path)
        if path.is_file():
            yield str(path.read_bytes())


def silent(*texts: str) -> None:
    told = [text for text in texts if CANARY in text]
    assert told == []


@pytest.mark.parametrize("case", ANSWERS)
def test_nothing_that_is_said_or_kept_holds_the_token(
    case: str, raw_server: Any, logged: pytest.LogCaptureFixture
) -> None:
    answers, error = ANSWERS[case]
    server = raw_server(answers)
    client = af.Client(
        CANARY, base_url=server.base_url, poll=(0.005, 0.01), prepare_timeout=0.1, retries=1 if case == "a cut" else 0
    )
    if error is None:
        frame = af.read_appmetrica("push_tokens", client=client, **WORDS)
        assert frame["token"].to_list() == ["a", "b"]
    else:
        with pytest.raises(error) as caught:
            af.read_appmetrica("push_tokens", client=client, **WORDS)
        silent(*format_duration(caught.value))
    assert all(f"Authorization: OAuth {CANARY}".encode() in request for request in server.requests)
    silent(logged.text, *(str(vars(record)) for record in logged.records))
    silent(*files(af.Cache().directory))
    silent(
        repr(client),
        str(pickle.dumps(client)),
        repr(af.Cache().exports()),
        repr(af.Cache().ls()),
        str(af.Cache().ls().rows()),
        repr(af.Cache().info()),
    )


def test_the_error_of_a_range_does_not_hold_the_token(raw_server: Any, logged: pytest.LogCaptureFixture) -> None:
    def answer(_: int, request: bytes) -> bytes:
        body = as_json(request)
        return b"HTTP/1.1 503 Down\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    client = af.Client(CANARY, base_url=raw_server(answer).base_url, poll=(0.005, 0.01), retries=0)
    week = {"application_id": 1, "date_since": "2024-07-01", "date_until": "2024-07-07"}
    with pytest.raises(af.IncompleteExportError) as caught:
        af.read_appmetrica("events", split="day", client=client, **week)  # type: ignore[arg-type]
    silent(*format_duration(caught.value), logged.text, *files(af.Cache().directory))


def test_every_error_of_the_tree_is_among_the_cases() -> None:
    """A new one is not forgotten."""
    tree = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, af.AppMetricaError)}
    tried = {error for _, error in ANSWERS.values() if error} | {af.IncompleteExportError}
    asked_for_nothing = {af.InvalidRequestError, af.MissingTokenError, af.NotCachedError}
    assert tree == tried | asked_for_nothing | {af.AppMetricaError, af.DatasetError}


def refused(base_url: str) -> af.Client:
    return af.Client(CANARY, base_url=base_url, retries=0, progress=False)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "https://127.0.0.1:9", "https://no-such-host.invalid"])
def test_a_server_that_cannot_be_reached(address: str, logged: pytest.LogCaptureFixture) -> None:
    with pytest.raises(af.DownloadError) as caught:
        af.read_appmetrica("push_tokens", client=refused(address), **WORDS)
    silent(logged.text, *format_duration(caught.value))


def test_a_server_without_tls(raw_server: Any, logged: pytest.LogCaptureFixture) -> None:
    server = raw_server(lambda *_: b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(af.DownloadError) as caught:
        af.read_appmetrica("push_tokens", client=refused(server.base_url.replace("http", "https")), **WORDS)
    silent(logged.text, *format_duration(caught.value))
    assert all(CANARY.encode() not in request for request in server.requests)


@pytest.mark.parametrize("stage", ["write", "read"])
def test_a_connection_that_breaks_while_the_request_is_sent(
    stage: str, raw_server: Any, monkeypatch: pytest.MonkeyPatch, logged: pytest.LogCaptureFixture
) -> None:
    """The frames of the HTTP library hold the request as it goes over the wire."""

    def breaks(*_: Any, **__: Any) -> Any:
        raise httpcore.WriteTimeout if stage == "write" else httpcore.ReadTimeout

    monkeypatch.setattr(f"httpcore._backends.sync.SyncStream.{stage}", breaks)
    server = raw_server(lambda *_: WHOLE)
    with pytest.raises(af.DownloadError) as caught:
        af.read_appmetrica("push_tokens", client=refused(server.base_url), **WORDS)
    silent(logged.text, *format_duration(caught.value))


@pytest.mark.parametrize(
    ("token", "words", "error"),
    [
        (f"OAuth {CANARY}", {}, af.InvalidRequestError),
        (f"{CANARY}\n{CANARY}", {}, af.InvalidRequestError),
        (f"{CANARY}é", {}, af.InvalidRequestError),
        (CANARY, {"fields": ["no_such"]}, af.InvalidRequestError),
        (CANARY, {"offline": True}, af.NotCachedError),
        (CANARY, {"max_age": -1}, af.InvalidRequestError),
    ],
)
def test_what_is_refused_before_anything_is_sent(token: str, words: dict[str, Any], error: type[Exception]) -> None:
    client = af.Client(token, base_url="http://127.0.0.1:9", progress=False)
    with pytest.raises(error) as caught:
        af.read_appmetrica("push_tokens", **{**WORDS, **words}, client=client)
    silent(*format_duration(caught.value))


@pytest.mark.parametrize("token", [f"OAuth {CANARY}", f"{CANARY}é"])
def test_a_token_of_the_environment_that_is_none(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPMETRICA_TOKEN", token)
    with pytest.raises(af.InvalidRequestError) as caught:
        af.read_appmetrica("push_tokens", client=af.Client(base_url="http://127.0.0.1:9"), **WORDS)
    silent(*format_duration(caught.value))


def test_a_store_that_cannot_be_written_to(raw_server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("appmetrica_frames.cache.store.LocalStore.lock", full)
    client = af.Client(CANARY, base_url=raw_server(lambda *_: WHOLE).base_url, progress=False)
    with pytest.warns(af.CacheWarning) as caught:
        (path,) = af.download_appmetrica("push_tokens", client=client, **WORDS)
    silent(*(str(vars(warning)) for warning in caught), *files(path.parent))


@pytest.mark.parametrize("status", ["200 OK", "202 Accepted", "403 Forbidden"])
def test_the_command_line(status: str, raw_server: Any) -> None:
    server = raw_server(lambda _, echo: WHOLE if status == "200 OK" else answer(status, echo))
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "appmetrica_frames", "read", "push_tokens", "--application-id", "1"),
            *("--fields", "token,appmetrica_device_id", "--base-url", server.base_url, "--prepare-timeout", "0.5"),
        ],
        env={**os.environ, "APPMETRICA_TOKEN": CANARY},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (ran.returncode == 0) == (status == "200 OK")
    silent(ran.stdout, ran.stderr)


APPLICATIONS = (
    b'{"applications": [{"id": 1, "name": "y0", "time_zone_name": "Europe/Moscow", "time_zone_offset": 10800}]}'
)
SET = {"APPMETRICA_TOKEN": CANARY}
RUNS: dict[str, tuple[str, str, dict[str, str]]] = {
    "a login": ("login --token-stdin", "FileKeyring", {}),
    "a login where the environment has a token": ("login --token-stdin", "FileKeyring", {"APPMETRICA_TOKEN": "y0"}),
    "a login without a safe keyring": ("login --token-stdin", "PlainTextKeyring", {}),
    "a login that is not kept": ("login --token-stdin", "ForgetfulKeyring", {}),
    "a login that cannot be kept": ("login --token-stdin", "BrokenKeyring", {}),
    "a logout": ("logout", "FileKeyring", SET),
    "a logout that fails": ("logout", "BrokenKeyring", SET),
    "whoami": ("whoami", "FileKeyring", SET),
    "whoami for scripts": ("whoami --json", "FileKeyring", SET),
}


@pytest.mark.parametrize(
    ("run", "status"),
    [*((run, "200 OK") for run in RUNS), ("a login", "401 Unauthorized"), ("whoami", "403 Forbidden")],
)
def test_the_commands_about_tokens(run: str, status: str, raw_server: Any, tmp_path: Path) -> None:
    """The one file that holds the token is what stands in here for the keyring."""
    pytest.importorskip("keyring")
    arguments, backend, variables = RUNS[run]
    server = raw_server(lambda _, echo: answer(status, APPLICATIONS if status == "200 OK" else as_json(echo)))
    keyring = {"PYTHON_KEYRING_BACKEND": f"keyring_backends.{backend}", "TEST_KEYRING_FILE": str(tmp_path / "keyring")}
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    home = {"APPMETRICA_CACHE_DIR": str(tmp_path / "cache"), "HOME": str(tmp_path), "PYTHONPATH": path}
    ran = subprocess.run(
        [sys.executable, "-m", "appmetrica_frames", *arguments.split(), "--base-url", server.base_url],
        env={**os.environ, **keyring, **home, **variables},
        input=CANARY if arguments.startswith("login") else "",
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "Traceback" not in ran.stderr
    is_kept = arguments.startswith("login") and status == "200 OK" and backend == "FileKeyring"
    assert (tmp_path / "keyring").exists() == is_kept
    (tmp_path / "keyring").unlink(missing_ok=True)
    silent(ran.stdout, ran.stderr, *files(tmp_path))


def test_a_token_of_the_keyring_in_a_read(
    memory_keyring: MemoryKeyring, raw_server: Any, logged: pytest.LogCaptureFixture
) -> None:
    server = raw_server(lambda number, echo: WHOLE if number == 1 else answer("403 Forbidden", echo))
    memory_keyring.set_password(f"appmetrica-frames {server.base_url}", "oauth-token", CANARY)
    client = af.Client(base_url=server.base_url, poll=(0.005, 0.01), retries=0)
    assert af.read_appmetrica("push_tokens", client=client, **WORDS)["token"].to_list() == ["a", "b"]
    with pytest.raises(af.AuthenticationError) as caught:
        af.read_appmetrica("push_tokens", client=client, refresh=True, **WORDS)
    assert all(f"Authorization: OAuth {CANARY}".encode() in request for request in server.requests)
    silent(*format_duration(caught.value), logged.text, *(str(vars(record)) for record in logged.records))
    silent(*files(af.Cache().directory), repr(client), str(pickle.dumps(client)))


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
@pytest.mark.parametrize("before", [0, 2])
def test_another_origin_is_told_nothing(status: str, before: int, raw_server: Any) -> None:
    other = raw_server(lambda *_: WHOLE)
    away = answer(status, b"", f"Location: {other.base_url}/logs/v1/export/push_tokens.csv")
    server = raw_server(lambda number, _: answer("202 Accepted", b"Wait") if number <= before else away)
    with pytest.raises(af.RequestRejectedError):
        af.read_appmetrica("push_tokens", client=af.Client(CANARY, base_url=server.base_url, poll=(0, 0)), **WORDS)
    assert len(server.requests) == before + 1
    assert other.requests == []


@pytest.fixture
def umask_0() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def modes(*folders: Path) -> dict[Path, int]:
    found = [path for folder in folders for path in [folder, *folder.rglob("*")] if path.exists()]
    return {path: stat.S_IMODE(path.stat().st_mode) for path in found}


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of files mean something else there")
@pytest.mark.usefixtures("umask_0")
def test_all_that_is_made_is_its_owners_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen at every write, too: parts, drafts, the pending mark and what could not be stored."""
    cache, temporary = tmp_path / "cache", tmp_path / "temporary"
    temporary.mkdir(mode=0o700)
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    seen: dict[Path, int] = {}
    write = parquet.write

    def watched(path: Path, *args: Any, **kwargs: Any) -> int:
        rows = write(path, *args, **kwargs)
        seen.update(modes(cache, temporary))
        return rows

    monkeypatch.setattr(parquet, "write", watched)
    with Emulator(rows_per_day=3000, max_rows_per_file=11) as server:
        client = af.Client(server.token, base_url=server.base_url, cache_dir=cache, poll=(0.01, 0.02), progress=False)
        words: dict[str, Any] = {
            "application_id": server.application_id,
            "date_since": "2024-07-29",
            "date_until": "2024-07-29",
            "client": client,
        }
        assert af.scan_appmetrica("installations", **words).collect().height > 11
        assert af.read_appmetrica("installations", cache=False, **words).height > 11
    seen.update(modes(cache, temporary))
    kinds = {path.suffixes[-2] if path.suffix == ".tmp" else path.suffix for path in seen if not path.is_dir()}
    assert {".parquet", ".lock", ".lease", ".json", ".part0", ".part1"} <= kinds
    assert any(path.name == "pending.json" for path in seen)
    private_files = {path for path, mode in seen.items() if mode == 0o600}
    assert {path for path, mode in seen.items() if mode != 0o700} == private_files
    assert all(path.suffix for path in private_files)
