"""A dataset equals the export, whoever reads it, and is never mixed with what does not belong to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import appmetrica_frames as af
from appmetrica_frames.engine.parquet import METADATA_KEY
from appmetrica_frames.integrations.storage import OWN_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .conftest import Syncer

COLUMNS = ["install_datetime", "city", "appmetrica_device_id"]


def read_duckdb(folder: Path) -> pl.DataFrame:
    with duckdb.connect() as connection:
        return connection.sql(
            f"SELECT * FROM read_parquet('{folder}/**/*.parquet', hive_partitioning = true)"  # noqa: S608
        ).pl()


READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    "polars": lambda folder: pl.scan_parquet(folder, hive_partitioning=True).collect(),
    "duckdb": read_duckdb,
    "pyarrow": lambda folder: pl.DataFrame(ds.dataset(folder, partitioning="hive").to_table()),
}


def rewrite(path: Path, metadata: dict[bytes, bytes] | None) -> None:
    """Write a file again with other metadata."""
    pq.write_table(pq.read_table(path, partitioning=None).replace_schema_metadata(metadata), path)


@pytest.mark.parametrize("reader", READERS)
def test_the_dataset_is_the_export(syncer: Syncer, reader: str) -> None:
    frame = syncer.sync()
    exported = syncer.export()
    dataset = READERS[reader](syncer.to / "installations")
    assert exported.height > 30
    assert dataset.select(COLUMNS).sort(pl.all()).equals(exported.sort(pl.all()))
    assert dataset.schema["appmetrica_device_id"] == pl.UInt64
    days = dataset.select(pl.col("date").cast(pl.String), day=pl.col("install_datetime").dt.date().cast(pl.String))
    assert days["date"].to_list() == days["day"].to_list()
    assert dataset["application_id"].unique().to_list() == [syncer.server.application_id]
    assert frame["rows"].sum() == exported.height
    assert frame["path"].to_list() == [str(syncer.path(f"date=2024-07-{day}")) for day in (27, 28, 29)]


def test_duckdb_and_polars_read_only_the_partitions_that_are_asked_for(syncer: Syncer) -> None:
    syncer.sync()
    syncer.path("date=2024-07-29").write_bytes(b"not read")
    scan = pl.scan_parquet(syncer.to / "installations", hive_partitioning=True)
    one = scan.filter(pl.col("date") == pl.date(2024, 7, 28)).collect()
    with duckdb.connect() as connection:
        counted = connection.sql(
            f"SELECT count(*) FROM read_parquet('{syncer.to}/*/*/*/*.parquet', hive_partitioning = true) "  # noqa: S608
            "WHERE date = '2024-07-28'"
        ).fetchall()
    assert counted == [(one.height,)]
    assert one.height > 0


def test_the_partition_column_is_not_in_the_files(syncer: Syncer) -> None:
    syncer.sync(fields=["city", "application_id"])
    assert pq.read_schema(syncer.path()).names == ["city"]


@pytest.mark.parametrize("split", ["day", "week", "month"])
def test_a_file_lies_at_the_first_day_of_its_unit(syncer: Syncer, split: str) -> None:
    syncer.sync(split=split, date_since="2024-07-20")
    firsts = {
        "day": [f"date=2024-07-{day}" for day in range(20, 30)],
        "week": ["week=2024-07-15", "week=2024-07-22", "week=2024-07-29"],
        "month": ["month=2024-07-01"],
    }
    assert syncer.files() == [f"installations/application_id=1111/{first}/data.parquet" for first in firsts[split]]


def test_several_applications_have_a_folder_each(syncer: Syncer) -> None:
    applications = [syncer.server.application_id, syncer.server.other_application_id]
    syncer.sync(application_id=applications)
    rows = syncer.read()
    exported = syncer.export(application_id=applications, fields=[*COLUMNS, "application_id"])
    assert rows.group_by("application_id").len().sort("application_id").rows() == (
        exported.group_by("application_id").len().sort("application_id").rows()
    )
    assert len(syncer.files()) == 6


def test_a_window_without_rows_has_a_file_with_the_columns(syncer: Syncer) -> None:
    nowhere = {"filters": {"city": "Atlantis"}}
    frame = syncer.sync(**nowhere)
    assert frame["rows"].to_list() == [0, 0, 0]
    assert pq.read_schema(syncer.path()).names == COLUMNS
    assert syncer.read().height == 0
    assert read_duckdb(syncer.to / "installations").height == 0
    assert syncer.sync(**nowhere)["action"].to_list() == ["kept"] * 3


def test_a_file_says_what_it_is_the_export_of_and_not_the_token(syncer: Syncer) -> None:
    syncer.sync()
    about = json.loads(pq.read_metadata(syncer.path()).metadata[METADATA_KEY])
    assert about["request"]["date_since"] == "2024-07-28 00:00:00"
    assert set(about) == {"dataset", "origin", "request", "columns", "built_not_before", "fetched_at"}
    assert syncer.server.token.encode() not in syncer.path().read_bytes()


def test_nothing_but_data_lies_where_readers_look(syncer: Syncer) -> None:
    syncer.sync()
    assert {path.name for path in (syncer.to / "installations").rglob("*") if path.is_file()} == {"data.parquet"}
    assert [path.name for path in (syncer.to / OWN_FOLDER).iterdir()] == ["installations.lock"]


@pytest.mark.parametrize("damaged", [b"{", b"{}", b'{"dataset": 99}'])
def test_a_file_of_ours_with_damaged_metadata_is_fetched_again(syncer: Syncer, damaged: bytes) -> None:
    syncer.sync()
    rewrite(syncer.path(), {METADATA_KEY: damaged})
    syncer.forget_cache()
    assert syncer.requested() == ["2024-07-28"]
    assert syncer.sync()["action"].to_list() == ["kept"] * 3


def test_a_file_of_ours_that_is_no_parquet_any_more_is_fetched_again(syncer: Syncer) -> None:
    syncer.sync()
    content = syncer.path().read_bytes()
    syncer.path().write_bytes(content[:-8] + b"\0" * 8)
    frame = syncer.sync()
    assert frame.filter(action="written")["reason"].to_list() == ["the metadata of its file is damaged"]
    assert pq.read_table(syncer.path(), partitioning=None).num_rows == frame["rows"][1]


def test_a_file_that_lies_in_the_folder_of_another_window_is_fetched_again(syncer: Syncer) -> None:
    syncer.sync()
    syncer.path().write_bytes(syncer.path("date=2024-07-27").read_bytes())
    assert syncer.sync()["action"].to_list() == ["kept", "written", "kept"]
    assert syncer.read().select(COLUMNS).sort(pl.all()).equals(syncer.export().sort(pl.all()))


@pytest.mark.parametrize("content", ["", "foreign"])
def test_a_file_of_somebody_else_is_never_replaced(syncer: Syncer, content: str) -> None:
    syncer.path().parent.mkdir(parents=True)
    if content:
        pq.write_table(pa.table({"city": ["Kazan"]}), syncer.path())
    else:
        syncer.path().touch()
    before = syncer.path().read_bytes()
    with pytest.raises(af.InvalidRequestError, match="move the file away, or sync to another place"):
        syncer.sync()
    assert syncer.path().read_bytes() == before
    assert len(syncer.files()) == 1


def test_a_file_beside_the_data_that_readers_would_take_for_data_is_refused(syncer: Syncer) -> None:
    syncer.sync()
    stranger = syncer.path().with_name("part-0.parquet")
    pq.write_table(pa.table({"city": ["Kazan"]}), stranger)
    with pytest.raises(af.InvalidRequestError, match=r"part-0\.parquet is not a file of this dataset"):
        syncer.sync()
    stranger.rename(stranger.with_name("_SUCCESS"))
    assert syncer.sync()["action"].to_list() == ["kept"] * 3


def test_another_split_is_refused(syncer: Syncer) -> None:
    syncer.sync()
    with pytest.raises(af.InvalidRequestError, match="ask for split='day', or sync to another place"):
        syncer.sync(split="month")


def test_other_filters_are_refused(syncer: Syncer) -> None:
    syncer.sync()
    with pytest.raises(
        af.InvalidRequestError, match="was made without city, and this call is with city='Kazan': sync to another place"
    ):
        syncer.sync(filters={"city": "Kazan"})


def test_another_server_is_refused(syncer: Syncer) -> None:
    syncer.sync()
    path = syncer.path()
    about = json.loads(pq.read_metadata(path).metadata[METADATA_KEY])
    rewrite(path, {METADATA_KEY: json.dumps(about | {"origin": "https://elsewhere"}).encode()})
    with pytest.raises(
        af.InvalidRequestError, match=r"was made with base_url='https://elsewhere', and .* with base_url="
    ):
        syncer.sync()


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"fields": COLUMNS[:2]}, r"also has 'appmetrica_device_id': name all its columns in fields \(--fields\)"),
        ({"fields": [*COLUMNS, "os_name"]}, r"does not have 'os_name'. With add_columns=True"),
        (
            {"schema_overrides": {"city": "int64"}},
            r"has 'city' as string, not int64: give the fields the types of the dataset",
        ),
    ],
)
def test_other_columns_are_refused_before_anything_is_sent(syncer: Syncer, changes: Any, match: str) -> None:
    syncer.sync()
    before = len(syncer.server.exchanges)
    with pytest.raises(af.InvalidRequestError, match=match):
        syncer.sync(date_since="2024-07-20", **changes)
    assert len(syncer.server.exchanges) == before


def test_columns_are_added_where_that_is_wanted(syncer: Syncer) -> None:
    syncer.sync()
    wider = {"fields": ["os_name", *COLUMNS], "date_since": "2024-07-26"}
    frame = syncer.sync(add_columns=True, **wider)
    assert frame["action"].to_list() == ["written", "kept", "kept", "kept"]
    assert pq.read_schema(syncer.path("date=2024-07-26")).names == [*COLUMNS, "os_name"]
    assert syncer.sync(**wider)["action"].to_list() == ["kept"] * 4
    with duckdb.connect() as connection:
        united = connection.sql(
            f"FROM read_parquet('{syncer.to}/*/*/*/*.parquet', hive_partitioning = true, union_by_name = true)"
        ).pl()
    for rows in (united, syncer.read()):
        assert rows.height == frame["rows"].sum()
        if "os_name" in rows.columns:
            assert rows.filter(pl.col("os_name").is_not_null())["date"].cast(pl.String).unique().to_list() == [
                "2024-07-26"
            ]


def test_the_order_of_the_fields_is_that_of_the_dataset(syncer: Syncer) -> None:
    syncer.sync()
    syncer.sync(fields=COLUMNS[::-1], date_since="2024-07-26")
    assert pq.read_schema(syncer.path("date=2024-07-26")).names == COLUMNS


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"resource": "push_tokens", "date_since": None, "date_until": None}, "takes no dates"),
        ({"split": None}, "split is 'day', 'week' or 'month'"),
        ({"fields": ["application_id"]}, "name at least one other field"),
        ({"fields": None, "schema_overrides": {"application_id": "string"}}, "which is a partition column"),
    ],
)
def test_what_has_no_partitions_is_refused(syncer: Syncer, changes: Any, match: str) -> None:
    with pytest.raises(af.InvalidRequestError, match=match):
        syncer.sync(**changes)
    assert not syncer.to.exists()


@pytest.mark.parametrize(("split", "name"), [("day", "Date"), ("week", "week"), ("month", "MONTH")])
def test_a_field_with_the_name_of_a_partition_column_is_refused(syncer: Syncer, split: str, name: str) -> None:
    with pytest.raises(af.InvalidRequestError, match=f"the name of a partition column with split='{split}': leave"):
        syncer.sync(resource="profiles_v2", split=split, fields=["profile_id", name], schema_overrides={name: "string"})


@pytest.mark.parametrize("to", ["", "gs://bucket/prefix", "s3://", "s3://key:secret@bucket"])
def test_a_place_that_is_none_is_refused(syncer: Syncer, to: str) -> None:
    with pytest.raises(af.InvalidRequestError, match="to takes"):
        af.sync_appmetrica("installations", application_id=1, to=to, date_since="2024-07-01", client=syncer.client())


def test_a_file_in_the_way_is_refused(syncer: Syncer) -> None:
    syncer.to.write_text("here")
    with pytest.raises(af.InvalidRequestError, match="a file is in the way"):
        syncer.sync()
