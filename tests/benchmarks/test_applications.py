"""A sync of a hundred applications, on a simulated clock: how long it takes, and how often it asks the server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[2]


@pytest.fixture
def applications(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks import applications

    return applications


@pytest.mark.parametrize(
    "changes",
    [
        {"applications": 1},
        {"applications": 1, "spread": 0.0},
        {"applications": 10, "days": 10, "spread": 1.0},
        {"days": 3},
        {"split": "week"},
        {"applications": 1, "shortest": 1_800.0, "spread": 0.9},
        {"applications": 20},
        pytest.param({}, marks=pytest.mark.exhaustive),
    ],
)
def test_a_sync_takes_hardly_longer_than_the_longest_queue(applications: ModuleType, changes: dict[str, Any]) -> None:
    outcome = applications.simulate(applications.Scenario(**changes))
    assert outcome.statuses[200] >= outcome.scenario.windows
    assert outcome.times_bound <= applications.LIMIT
    assert outcome.statuses.keys() == {200, 202}, "there is never a fourth job"


def test_the_sync_of_a_day_keeps_to_the_documented_quotas(applications: ModuleType) -> None:
    outcome = applications.simulate(applications.SCENARIOS["the sync of each day after that"])
    assert outcome.scenario.windows == 800
    assert outcome.requests <= applications.DAILY_QUOTA
    assert max(outcome.by_second.values()) <= applications.IP_QUOTA


def test_a_window_takes_few_requests_while_the_server_has_others_to_go_on_with(applications: ModuleType) -> None:
    outcome = applications.simulate(applications.Scenario(applications=20))
    assert outcome.a_window <= 6  # more than twenty if each were asked for as if it were alone


def test_downloads_that_take_longer_than_the_queues_are_what_is_waited_for(applications: ModuleType) -> None:
    outcome = applications.simulate(applications.Scenario(applications=20, days=5, longest=60.0, download=30.0))
    downloads = outcome.scenario.windows * 30.0 / outcome.scenario.downloads
    assert downloads > outcome.scenario.bound
    assert outcome.seconds <= 1.1 * downloads
