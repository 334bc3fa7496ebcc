"""A DuckDB file has a view over each resource of a dataset: typed, described, pruned, and current while others read."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pytest

import appmetrica_frames as af
from appmetrica_frames.integrations.duckdb import ViewDatabase
from appmetrica_frames.integrations.storage import Bucket, open_storage

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Syncer

TYPES = {
    str(pl.Boolean()): "BOOLEAN",
    str(pl.Datetime("us")): "TIMESTAMP",
    str(pl.Datetime("us", "UTC")): "TIMESTAMP WITH TIME ZONE",
    str(pl.Int64()): "BIGINT",
    str(pl.String()): "VARCHAR",
    str(pl.UInt64()): "UBIGINT",
}


@pytest.fixture
def parameters(syncer: Syncer) -> dict[str, Any]:
    return {
        "application_id": syncer.server.application_id,
        "to": syncer.to,
        "date_since": "2024-07-27",
        "date_until": "2024-07-29",
        "fields": ["install_datetime", "city", "appmetrica_device_id"],
        "client": syncer.client(),
        "duckdb": syncer.folder / "app.duckdb",
    }


def ask(file: Path, question: str) -> list[Any]:
    with duckdb.connect(file, read_only=True) as database:
        return database.execute(question).fetchall()


def test_a_view_has_the_rows_the_types_and_the_comments(syncer: Syncer, parameters: dict[str, Any]) -> None:
    frame = af.sync_appmetrica("installations", **parameters)
    file = parameters["duckdb"]
    assert ask(file, "SELECT count(*) FROM installations") == [(frame["rows"].sum(),)]
    columns = ask(file, "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE table_name='installations'")
    assert [(name, type_) for name, type_, _ in columns] == [
        ("install_datetime", "TIMESTAMP"),
        ("city", "VARCHAR"),
        ("appmetrica_device_id", "UBIGINT"),
        ("application_id", "UBIGINT"),
        ("date", "DATE"),
    ]
    assert all(comment for _, _, comment in columns)
    (plan,) = ask(file, "EXPLAIN ANALYZE SELECT count(*) FROM installations WHERE date = DATE '2024-07-28'")
    assert "1/3" in plan[1], "of the files, only those of the day are read"


def test_every_documented_field_has_its_type_and_its_description(parameters: dict[str, Any]) -> None:
    af.sync_appmetrica("installations", **{**parameters, "fields": None})
    question = "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE table_name = 'installations'"
    shown = {name: (type_, comment) for name, type_, comment in ask(parameters["duckdb"], question)}
    documented = af.list_fields("installations").filter("default", pl.col("field") != "application_id").to_dicts()
    assert {row["field"] for row in documented} == set(shown) - {"application_id", "date"}, (
        "the rest are partition columns"
    )
    for row in documented:
        type_, comment = shown[row["field"]]
        assert type_ == TYPES[row["dtype"]]
        assert comment.startswith(row["description"])


def test_a_tool_with_an_older_duckdb_can_open_the_file(parameters: dict[str, Any]) -> None:
    af.sync_appmetrica("installations", **parameters)
    question = "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = 'app'"
    assert ask(parameters["duckdb"], question) == [("v1.0.0+",)]


def test_a_filter_by_time_as_bi_tools_write_it_leaves_the_other_days_unopened(parameters: dict[str, Any]) -> None:
    af.sync_appmetrica("installations", **parameters)
    (plan,) = ask(
        parameters["duckdb"],
        "EXPLAIN ANALYZE SELECT count(*) FROM installations "
        "WHERE date >= '2024-07-27 00:00:00.000000' AND date < '2024-07-29 00:00:00.000000'",
    )
    assert "2/3" in plan[1]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore:duckdb-engine doesn't yet support reflection")
def test_sqlalchemy_reads_the_views(parameters: dict[str, Any]) -> None:
    pytest.importorskip("duckdb_engine")
    import sqlalchemy

    frame = af.sync_appmetrica("installations", **parameters)
    engine = sqlalchemy.create_engine(f"duckdb:///{parameters['duckdb']}", connect_args={"read_only": True})
    with engine.connect() as connection:
        found = connection.execute(sqlalchemy.text("SELECT count(*), max(appmetrica_device_id) FROM installations"))
        rows, largest = found.one()
    assert rows == frame["rows"].sum()
    assert largest == read_largest(parameters["to"])
    assert sqlalchemy.inspect(engine).get_view_names(schema="main") == ["installations"]
    engine.dispose()


def read_largest(to: Path) -> int:
    ids = pl.scan_parquet(to / "installations", hive_partitioning=True).select("appmetrica_device_id")
    largest: int = ids.max().collect().item()
    return largest


def test_without_duckdb_the_extra_is_named(parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(af.InvalidRequestError, match=r"pip install 'appmetrica-frames\[duckdb\]'"):
        af.sync_appmetrica("installations", **parameters)


def test_a_dry_run_makes_no_file(parameters: dict[str, Any]) -> None:
    af.sync_appmetrica("installations", dry_run=True, **parameters)
    assert not parameters["duckdb"].exists()


def test_what_else_is_in_the_file_stays(parameters: dict[str, Any]) -> None:
    with duckdb.connect(parameters["duckdb"]) as database:
        database.execute("CREATE TABLE mine AS SELECT 42 AS answer")
    af.sync_appmetrica("installations", **parameters)
    af.sync_appmetrica("sessions_starts", **{**parameters, "fields": ["session_start_datetime", "city"]})
    assert ask(parameters["duckdb"], "SELECT answer FROM mine") == [(42,)]
    views = ask(parameters["duckdb"], "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY ALL")
    assert views == [("installations",), ("sessions_starts",)]


def test_a_new_column_is_in_the_view(parameters: dict[str, Any]) -> None:
    af.sync_appmetrica("installations", **parameters)
    wider = {**parameters, "fields": [*parameters["fields"], "os_name"], "date_since": "2024-07-26"}
    af.sync_appmetrica("installations", add_columns=True, **wider)
    days = "SELECT DISTINCT date::VARCHAR FROM installations WHERE os_name IS NOT NULL"
    assert ask(parameters["duckdb"], days) == [("2024-07-26",)]


READER = """
import json, sys, duckdb
database = duckdb.connect(sys.argv[1], read_only=True)
for _ in sys.stdin:
    print(json.dumps(database.execute("SELECT count(*) FROM installations").fetchall()), flush=True)
"""


def test_another_process_reads_before_and_after_a_sync_replaces_windows(
    syncer: Syncer, parameters: dict[str, Any]
) -> None:
    first = af.sync_appmetrica("installations", **parameters)["rows"].sum()
    command = [sys.executable, "-c", READER, str(parameters["duckdb"])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None

        def count() -> int:
            assert reader.stdin is not None
            assert reader.stdout is not None
            reader.stdin.write("\n")
            return int(json.loads(reader.stdout.readline())[0][0])

        assert count() == first
        frame = af.sync_appmetrica("installations", **{**parameters, "date_since": "2024-07-25", "refresh": True})
        assert frame["action"].to_list() == ["written"] * 5
        assert count() == frame["rows"].sum() > first
        reader.stdin.close()


def test_a_file_that_another_process_writes_to_is_an_error_that_keeps_the_dataset(
    syncer: Syncer, parameters: dict[str, Any]
) -> None:
    af.sync_appmetrica("installations", **parameters)
    command = [sys.executable, "-c", READER.replace(", read_only=True", ""), str(parameters["duckdb"])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        writer.stdin.write("\n")
        assert json.loads(writer.stdout.readline())
        with pytest.raises(af.DatasetError, match=r"cannot be updated .* close the file where it is open"):
            af.sync_appmetrica("installations", **{**parameters, "date_since": "2024-07-26"})
        assert len(syncer.files()) == 4
        writer.stdin.close()


def test_a_table_with_the_name_of_the_resource_stays(syncer: Syncer, parameters: dict[str, Any]) -> None:
    with duckdb.connect(parameters["duckdb"]) as database:
        database.execute("CREATE TABLE installations AS SELECT 42 AS answer")
    with pytest.raises(af.DatasetError, match=r"app\.duckdb cannot be updated .* The dataset is up to date"):
        af.sync_appmetrica("installations", **parameters)
    assert len(syncer.files()) == 3


def test_a_path_with_signs_of_patterns_and_quotes_is_taken_as_it_is(syncer: Syncer, parameters: dict[str, Any]) -> None:
    to = syncer.folder / "it's [a] *dataset*"
    frame = af.sync_appmetrica("installations", **{**parameters, "to": to})
    assert ask(parameters["duckdb"], "SELECT count(*) FROM installations") == [(frame["rows"].sum(),)]


def test_a_place_that_cannot_be_is_refused_before_anything_is_sent(syncer: Syncer, parameters: dict[str, Any]) -> None:
    for file in (syncer.folder, syncer.folder / "gone" / "app.duckdb"):
        with pytest.raises(af.InvalidRequestError, match="the path of a file in a directory that exists"):
            af.sync_appmetrica("installations", **{**parameters, "duckdb": file})
    with pytest.raises(af.InvalidRequestError, match="views over a dataset in a directory"):
        ViewDatabase("app.duckdb", Bucket(None, "bucket"))  # type: ignore[arg-type]
    assert open_storage(syncer.to).list_files("installations") == []
    assert [one for one in syncer.server.exchanges if "/export/" in one.path] == []


def test_two_first_syncs_keep_the_views_of_both(
    syncer: Syncer, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    del parameters["duckdb"]
    af.sync_appmetrica("installations", **parameters)
    af.sync_appmetrica("events", **{**parameters, "fields": ["event_name", "appmetrica_device_id"]})
    file, storage = tmp_path / "both.duckdb", open_storage(syncer.to)
    define = ViewDatabase._define

    def define_after_another(self: ViewDatabase, database: Any, resource: str, split: Any) -> None:
        if resource == "events" and not file.exists():
            ViewDatabase(file, storage).update("installations", "day")
        define(self, database, resource, split)

    monkeypatch.setattr(ViewDatabase, "_define", define_after_another)
    ViewDatabase(file, storage).update("events", "day")
    views = ask(file, "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY 1")
    assert views == [("events",), ("installations",)]
