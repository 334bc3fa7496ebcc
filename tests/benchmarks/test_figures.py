"""What the benchmarks compute from measurements, without measuring."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[2]
MILLION = 1_000_000


@pytest.fixture(autouse=True)
def _benchmarks_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)


@pytest.fixture
def exports() -> ModuleType:
    from benchmarks import exports

    return exports


def measurement(case: str, rows: int, *, wall: float = 1.0, cpu: float = 1.0, peak: float = 100.0) -> dict[str, Any]:
    figures = {"wall_seconds": wall, "cpu_seconds": cpu, "peak_mib": peak}
    about = {"case": case, "rows": rows, "resource": "events", "status": "ok"}
    return about | {name: {"median": value} for name, value in figures.items()}


def judge(*measurements: dict[str, Any]) -> dict[str, dict[str, Any]]:
    from benchmarks import targets

    return {one["figure"]: one for one in targets.judge_targets([*measurements], cores=2)["targets"]}


def only_value(found: dict[str, dict[str, Any]], part: str) -> dict[str, Any]:
    (one,) = (one for figure, one in found.items() if part in figure)
    return one


@pytest.mark.parametrize(("rival", "reached"), [(1.79, False), (1.8, True)])
def test_faster_is_measured_by_the_other_way(rival: float, reached: bool) -> None:  # noqa: FBT001
    found = judge(measurement("httpx-polars", MILLION, wall=rival), measurement("cold-polars", MILLION))
    assert only_value(found, "how much faster") | {"figure": ""} == {
        "figure": "",
        "to_reach": "at least 1.8 times",
        "value": rival,
        "reached": reached,
    }


@pytest.mark.parametrize(("wall", "reached"), [(3.6, True), (3.9, False), (2.7, None)])
def test_the_floor_is_the_processor_time_of_the_stages_over_the_cores(wall: float, reached: bool | None) -> None:  # noqa: FBT001
    pipeline = (measurement(stage, MILLION, cpu=2.0) for stage in ("gunzip", "parse", "encode"))
    one = only_value(judge(*pipeline, measurement("download", MILLION, wall=wall)), "against the floor")
    assert (one["value"], one["reached"]) == (wall / 3, reached)


def test_growth_compares_ten_million_rows_with_one() -> None:
    found = judge(
        measurement("download", MILLION, peak=300), measurement("download", 10 * MILLION, peak=400.5, wall=10)
    )
    memory = only_value(found, "peak memory of `download_appmetrica`, ten times")
    assert (memory["value"], memory["reached"]) == (1.335, False)
    assert only_value(found, "`download_appmetrica` at ten times")["reached"] is False
    assert only_value(found, "wall of `download_appmetrica`, ten times")["reached"] is True


def test_nothing_is_judged_on_few_rows_and_nothing_is_made_up() -> None:
    found = judge(measurement("warm-polars", 20_000), measurement("bare-polars", 20_000))
    warm = only_value(found, "warm read")
    assert (warm["value"], warm["reached"]) == (1.0, None)
    assert {one["value"] for one in found.values() if one is not warm} == {None}


@pytest.mark.parametrize(("resource", "wire_format"), [("events", "csv"), ("events", "json"), ("installations", "csv")])
def test_repeated_rows_are_one_valid_export_in_one_gzip_member(
    exports: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, resource: str, wire_format: str
) -> None:
    monkeypatch.setattr(exports, "SIMULATED", {"events": 500, "installations": 500})
    once, thrice = exports.prepare(tmp_path, [(resource, wire_format, 500), (resource, wire_format, 1500)])
    member = zlib.decompressobj(31)
    body = member.decompress((tmp_path / thrice.name).read_bytes())
    assert member.eof
    assert not member.unused_data
    assert len(body) == thrice.plain_bytes
    single = gzip.decompress((tmp_path / once.name).read_bytes())
    if wire_format == "json":
        assert json.loads(body)["data"] == 3 * json.loads(single)["data"]
    else:
        header, *rows = single.split(b"\n")
        assert body.split(b"\n") == [header, *rows, *rows, *rows]
    assert thrice.checksum == 3 * once.checksum % 2**64


def test_what_is_prepared_is_not_prepared_again(exports: ModuleType, tmp_path: Path) -> None:
    wanted = [("events", "csv", 500)]
    (first,) = exports.prepare(tmp_path, wanted)
    written = (tmp_path / first.name).stat().st_mtime_ns
    assert exports.prepare(tmp_path, wanted) == [first]
    assert (tmp_path / first.name).stat().st_mtime_ns == written


def test_policies_are_simulated_to_the_second() -> None:
    from benchmarks import waiting

    assert waiting.every(10.0)(25.0) == waiting.WaitOutcome(25.0, 5.0, 4)
    assert waiting.doubling(61.0) == waiting.WaitOutcome(61.0, 79.0, 4)
    assert waiting.doubling(2541.0) == waiting.WaitOutcome(2541.0, 19.0, 9)


def test_our_own_policy_notices_within_a_tenth() -> None:
    from benchmarks import waiting

    for wait in waiting.simulate_policies()["appmetrica_frames"]:
        assert 0 <= wait.overshoot <= max(2.0, wait.preparation / 10)
