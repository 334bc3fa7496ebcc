"""What people see after a mistake: their own line and one sentence, with a hint that answers what they typed."""

from __future__ import annotations

import logging
import traceback
import warnings
from datetime import datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

import appmetrica_frames as af
from appmetrica_frames.api.suggestions import suggest_parameters
from appmetrica_frames.emulator import Emulator
from appmetrica_frames.util import caller
from appmetrica_frames.util.caller import raise_at_caller

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EVENTS: dict[str, Any] = {"application_id": 1111, "date_since": "2024-07-01", "date_until": "2024-07-02"}

MISTAKES: dict[str, Callable[[], object]] = {
    "read": lambda: af.read_appmetrica("evnts", **EVENTS),
    "scan": lambda: af.scan_appmetrica("evnts", **EVENTS),
    "iter": lambda: af.iter_appmetrica("evnts", **EVENTS),
    "download": lambda: af.download_appmetrica("evnts", **EVENTS),
    "plan": lambda: af.plan_appmetrica("evnts", **EVENTS),
    "sync": lambda: af.sync_appmetrica("evnts", to="dataset", **EVENTS),
    "list_fields": lambda: af.list_fields("evnts"),
    "expand_json": lambda: af.expand_json(pl.DataFrame({"a": ["{}"]}), "b"),
    "Client": lambda: af.Client(retries=-1),
    "Client with a cause": lambda: af.Client(base_url="http://[x"),
    "Client.applications": lambda: af.Client().applications(),
    "Cache": lambda: af.Cache().remove(),
    "Cache.ls": lambda: af.Cache().ls(resource="evnts"),
}


def _frames(error: BaseException) -> list[str]:
    """Return the files of a traceback below the frame of the test itself."""
    return [frame.filename for frame in traceback.extract_tb(error.__traceback__)][1:]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_traceback_ends_at_the_line_of_the_caller(name: str) -> None:
    with pytest.raises(af.AppMetricaError) as caught:
        MISTAKES[name]()
    assert _frames(caught.value) == [__file__]
    assert "appmetrica_frames/" not in "".join(traceback.format_exception(caught.value)).replace(__file__, "")


@pytest.mark.parametrize(
    "function", [af.read_appmetrica, af.scan_appmetrica, af.iter_appmetrica, af.download_appmetrica, af.plan_appmetrica]
)
def test_a_misspelt_parameter_is_shown_at_the_line_of_the_caller(function: Callable[..., object]) -> None:
    with pytest.raises(TypeError, match=r"'date_from'\. Did you mean 'date_since'\?$") as caught:
        function("events", application_id=1111, date_from="2024-07-01")
    assert _frames(caught.value) == []


def test_what_fails_at_collect_shows_no_frames_of_ours() -> None:
    lazy = af.scan_appmetrica("events", **EVENTS)
    with pytest.raises(af.MissingTokenError) as caught:
        lazy.collect()
    assert not [name for name in _frames(caught.value) if "polars" not in name]


def test_the_frames_are_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "appmetrica_frames")
    with pytest.raises(af.InvalidRequestError):
        af.read_appmetrica("evnts", **EVENTS)
    assert "build_request" in caplog.text


@pytest.mark.parametrize("decorator", [raise_at_caller, suggest_parameters])
def test_an_interrupt_ends_at_the_line_of_the_caller(decorator: Any) -> None:
    @decorator
    def wait() -> None:
        raise KeyboardInterrupt("1 of 2 windows are in the cache")

    with pytest.raises(KeyboardInterrupt, match="1 of 2") as caught:
        wait()
    assert _frames(caught.value) == []


def test_a_fault_of_ours_keeps_its_traceback() -> None:
    @raise_at_caller
    def fail() -> None:
        raise ZeroDivisionError

    @raise_at_caller
    def fail_because() -> None:
        try:
            fail()
        except ZeroDivisionError as error:
            raise af.DecodeError("the file is damaged") from error

    with pytest.raises(ZeroDivisionError) as fault:
        fail()
    assert len(_frames(fault.value)) == 2
    with pytest.raises(af.DecodeError) as decode:
        fail_because()
    assert _frames(decode.value) == []
    assert decode.value.__cause__ is not None
    assert decode.value.__cause__.__traceback__ is not None


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"date_from": "2024-07-01", "date_to": "2024-07-02"}, "Did you mean 'date_since' and 'date_until'?"),
        ({"columns": ["event_name"]}, "Did you mean 'fields'?"),
        ({"feilds": ["event_name"]}, "Did you mean 'fields' or 'filters'?"),
        ({"n_rows": 5}, "Did you mean 'limit'?"),
        ({"App_ID": 5}, "Did you mean 'application_id'?"),
        ({"token": "secret"}, "'token' is a setting of the client: client=Client(token=...)."),
        ({"timeout": 5}, "'network_timeout' is a setting of the client: client=Client(network_timeout=...)."),
        ({"wobble": 5}, "help(read_appmetrica) lists its parameters."),
    ],
)
def test_an_unknown_parameter_is_answered_with_what_was_meant(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(TypeError) as caught:
        af.read_appmetrica("events", **wrong)
    assert str(caught.value).startswith("read_appmetrica() got ")
    assert str(caught.value).endswith(text)
    assert "secret" not in str(caught.value)


def test_what_is_given_by_position_is_answered_with_its_name() -> None:
    with pytest.raises(TypeError, match=r"only 'resource' by position: write application_id=1111, date_since='today'"):
        af.read_appmetrica("events", 1111, "today")  # type: ignore[call-overload]


def test_what_is_missing_is_answered_with_an_example() -> None:
    with pytest.raises(TypeError, match=r"needs 'to' and 'date_since', for example to='dataset', date_since='2024-"):
        af.sync_appmetrica("events", application_id=1111)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"fields": "event_name, event_json"}, "write fields=['event_name', 'event_json']."),
        ({"fields": "event_name"}, "write fields=['event_name']."),
        ({"fields": ["event_name,event_json"]}, "write 'event_name', 'event_json'."),
        ({"date_until": None}, "events needs date_until, for example date_until='2024-07-07'."),
        ({"date_since": None}, "events needs date_since, for example date_since='2024-07-01'."),
        (
            {"date_since": None, "date_until": None},
            "events needs date_since and date_until, for example date_since='2024-07-01', date_until='2024-07-07'.",
        ),
    ],
)
def test_a_wrong_value_is_answered_with_the_right_one(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(af.InvalidRequestError) as caught:
        af.read_appmetrica("events", **{**EVENTS, **wrong})
    assert str(caught.value).endswith(text)


@pytest.mark.parametrize("name", ["read", "scan", "iter", "download", "plan", "sync"])
def test_a_warning_points_at_the_line_of_the_caller(name: str, client: af.Client, tmp_path: Path) -> None:
    midnight: dict[str, Any] = {**EVENTS, "date_until": datetime(2024, 7, 2), "client": client}  # noqa: DTZ001 - the server's
    functions: dict[str, Callable[..., object]] = {
        "read": af.read_appmetrica,
        "scan": af.scan_appmetrica,
        "iter": af.iter_appmetrica,
        "download": af.download_appmetrica,
        "plan": af.plan_appmetrica,
        "sync": lambda *args, **words: af.sync_appmetrica(*args, to=tmp_path, dry_run=True, **words),
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        functions[name]("installations", **midnight)
    assert [(str(warning.filename), warning.category) for warning in caught] == [(__file__, af.DateWarning)]


def test_warnings_of_a_range_and_of_a_collect_point_at_the_line_of_the_caller(tmp_path: Path) -> None:
    with Emulator(rows_per_day=50, rejected_fields=["city"]) as server:
        client = af.Client(server.token, base_url=server.base_url, cache_dir=tmp_path, poll=(0.01, 0.05))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            af.read_appmetrica("installations", **EVENTS, client=client, split="day")
            af.scan_appmetrica("installations", **EVENTS, client=client, split="day").collect()
    assert len(caught) == 2
    assert {warning.filename for warning in caught} == {__file__}


def test_warnings_of_expand_json_point_at_the_line_of_the_caller() -> None:
    with pytest.warns(af.SchemaWarning) as caught:
        af.expand_json(pl.DataFrame({"event_json": ['{"a": 1}', "{broken"]}))
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("name", ["ls", "info", "verify", "prune", "remove", "clear"])
def test_warnings_of_the_cache_point_at_the_line_of_the_caller(name: str, client: af.Client) -> None:
    af.read_appmetrica("installations", **EVENTS, client=client)
    (record,) = af.Cache().directory.rglob("entry.json")
    record.write_text("{")
    arguments = {"resource": "installations"} if name == "remove" else {}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        getattr(af.Cache(), name)(**arguments)
    assert {warning.filename for warning in caught} <= {__file__}
    assert caught or name not in {"ls", "info"}


def test_a_script_beside_the_package_is_a_caller(tmp_path: Path) -> None:
    script = compile("warn('text', UserWarning)", caller.PACKAGE.rstrip("/\\") + "_reports.py", "exec")
    with pytest.warns(UserWarning, match="text") as caught:
        exec(script, {"warn": caller.warn_caller})  # noqa: S102 - the line above
    assert caught[0].filename.endswith("_reports.py")
