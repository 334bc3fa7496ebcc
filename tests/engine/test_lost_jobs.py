"""A server that loses a job and keeps an older file of the same request, as one that is restarted does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import appmetrica_frames as af
from appmetrica_frames.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appmetrica_frames.emulator.builder import Build
    from appmetrica_frames.emulator.faults import FaultSpec, Request

HOUR = 3600.0


class ForgetfulServer:
    """An emulator that loses its jobs, and no file, when some requests have come; rows say of which build they are."""

    def __init__(self) -> None:
        self.requests_left = 0
        self.losses = 0
        self.builds = 0
        self.emulator = Emulator(preparation=0.2, faults=self.lose_jobs)
        self.emulator.answers["push_tokens"] = self.build

    def build(self, _: Build) -> bytes:
        self.builds += 1
        return f"appmetrica_device_id,token\n1,build {self.builds}".encode()

    def lose_jobs(self, _: Request) -> FaultSpec:
        self.requests_left -= 1
        if self.requests_left == 0:
            self.emulator.lose_jobs()
            self.losses += 1
        return ()

    def read(self, *, lost_at: int = 0, **parameters: Any) -> str:
        """Read, losing the jobs when so many requests have come; return of which build the row is."""
        self.requests_left = lost_at
        client = af.Client(
            self.emulator.token, base_url=self.emulator.base_url, poll=(0.02, 0.02), network_timeout=10, progress=False
        )
        frame = af.read_appmetrica("push_tokens", application_id=1111, fields=["token"], client=client, **parameters)
        return str(frame["token"].item())

    @property
    def cache_controls(self) -> list[str]:
        headers = [exchange.headers.get("cache-control") for exchange in self.emulator.exchanges]
        return [header for header in headers if header is not None]


@pytest.fixture
def server() -> Iterator[ForgetfulServer]:
    forgetful = ForgetfulServer()
    with forgetful.emulator:
        yield forgetful


@pytest.mark.parametrize("policy", [{"refresh": True}, {"max_age": 0}], ids=str)
def test_the_file_of_a_lost_job_is_never_an_older_one(server: ForgetfulServer, policy: dict[str, Any]) -> None:
    first = server.read()
    server.emulator.clock.advance(HOUR)
    second = server.read(lost_at=3, **policy)
    assert server.losses == 1
    assert second != first
    assert server.emulator.preparations in {2, 3}  # the one that was lost may have been as good as ready
    assert len(server.cache_controls) == 3  # the first, the one that found the job lost, the one that took the file


@pytest.mark.parametrize("policy", [{"refresh": True}, {"max_age": 0}], ids=str)
def test_a_job_that_is_not_lost_costs_one_request_more_and_no_preparation(
    server: ForgetfulServer, policy: dict[str, Any]
) -> None:
    first = server.read()
    server.emulator.clock.advance(HOUR)
    assert server.read(**policy) != first
    assert server.emulator.preparations == 2
    assert len(server.cache_controls) == 2


@pytest.mark.parametrize("policy", [{"refresh": True}, {"max_age": 0}], ids=str)
def test_a_cache_without_the_export_sends_one_header(server: ForgetfulServer, policy: dict[str, Any]) -> None:
    server.read()
    server.emulator.clock.advance(HOUR)
    af.Cache().clear()
    server.read(**policy)
    assert len(server.cache_controls) == 1


@pytest.mark.parametrize("changes", [{"limit": 5}, {"cache": False}], ids=str)
def test_an_export_of_another_request_is_no_sign_of_an_older_file(
    server: ForgetfulServer, changes: dict[str, Any]
) -> None:
    server.read()
    server.read(refresh=True, **changes)
    assert server.cache_controls == ["no-cache"]
