"""Calls that name no application are about those of ``APPMETRICA_APPLICATION_ID``."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import pytest

import appmetrica_frames as af
from appmetrica_frames.util import config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from appmetrica_frames.emulator import Emulator

DAY: dict[str, Any] = {"date_since": "2024-07-29", "date_until": "2024-07-29"}
CALLS: list[Callable[..., Any]] = [
    af.read_appmetrica,
    af.scan_appmetrica,
    af.iter_appmetrica,
    af.download_appmetrica,
    af.plan_appmetrica,
]


@pytest.fixture
def both(server: Emulator, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    numbers = [server.application_id, server.other_application_id]
    monkeypatch.setenv("APPMETRICA_APPLICATION_ID", f" {numbers[0]}, {numbers[1]} ")
    return numbers


def test_the_variable_names_one_application_or_several(both: list[int], client: af.Client) -> None:
    read = {"fields": ["application_id", "event_name"], "client": client, **DAY}
    assert af.read_appmetrica("events", **read)["application_id"].unique().sort().to_list() == sorted(both)
    assert af.plan_appmetrica("events", **read)["application_id"].to_list() == both
    assert len(af.download_appmetrica("events", **read)) == 2


def test_the_parameter_comes_before_the_variable(both: list[int], client: af.Client) -> None:
    plan = af.plan_appmetrica("events", application_id=both[1], client=client, **DAY)
    assert plan["application_id"].to_list() == both[1:]


def test_a_sync_takes_it_as_well(both: list[int], client: af.Client, tmp_path: Path) -> None:
    done = af.sync_appmetrica("events", to=tmp_path / "dataset", dry_run=True, client=client, **DAY)
    assert done["application_id"].to_list() == both


def test_a_lazy_frame_keeps_the_applications_that_it_was_made_for(
    both: list[int], server: Emulator, client: af.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    lazy = af.scan_appmetrica("events", fields=["application_id"], client=client, **DAY)
    monkeypatch.setenv("APPMETRICA_APPLICATION_ID", "4444")
    monkeypatch.setenv("APPMETRICA_TOKEN", server.token)
    there = pickle.loads(pickle.dumps(lazy))  # noqa: S301 - our own
    assert there.collect()["application_id"].unique().sort().to_list() == sorted(both)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
@pytest.mark.parametrize("value", [None, "", "  "])
def test_without_either_the_error_names_the_variable(
    call: Callable[..., Any], value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        monkeypatch.setenv("APPMETRICA_APPLICATION_ID", value)
    with pytest.raises(af.InvalidRequestError, match=r"No application_id.* APPMETRICA_APPLICATION_ID"):
        call("events", **DAY)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
@pytest.mark.parametrize("value", ["my-app", "1111,", "1111 2222", "0", "1111,1111"])
def test_a_value_that_names_no_application_is_refused_under_the_name_of_the_variable(
    call: Callable[..., Any], value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPMETRICA_APPLICATION_ID", value)
    with pytest.raises(af.InvalidRequestError, match=r"^APPMETRICA_APPLICATION_ID (is the application's|names 1111)"):
        call("events", **DAY)


def test_the_variable_is_read_from_the_mapping_that_is_given() -> None:
    assert config.default_application_ids({"APPMETRICA_APPLICATION_ID": "1, 2"}) == ["1", "2"]
