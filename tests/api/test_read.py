"""The front door against the emulator: every way to read gives the same cells, and asks as little as it can."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest

import appmetrica_frames as af

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from appmetrica_frames.emulator import Emulator

FIELDS = [
    "event_name",
    "appmetrica_device_id",
    "event_timestamp",
    "event_datetime",
    "event_json",
    "mcc",
    "city",
    "profile_id",
]
DAY = {"date_since": "2024-07-29", "date_until": "2024-07-29"}

AWKWARD: list[tuple[Any, ...]] = [
    (
        "purchase",
        2**64 - 1,
        1722285421,
        "2024-07-29 23:37:01",
        '{"name":"Alice, \\"A\\""}',
        250,
        "Набережные Челны",
        "a",
    ),
    ("line\nbreak", 2**63, 1722285421, "2024-07-29 23:37:01", "{\n}", 0, "", ""),
    ("crlf\r\nbreak", 0, 0, "1970-01-01 03:00:00", "", "", "", ""),
    ('quote "', 1, "", "", '[{"a":1},{"b":2}]', "", "NA", "null"),
    ("🚀, },{", 2**63 - 1, 4102444800, "2100-01-01 03:00:00", "},{", -1, " ", "é"),
    ("", "", "", "", "", "", "", ""),
]


def as_csv(rows: list[tuple[Any, ...]], fields: list[str]) -> bytes:
    """Write rows as the server does: columns in its order, quotes where needed, no line end after the last row."""
    build_options = sorted(fields)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(build_options)
    writer.writerows([row[fields.index(name)] for name in build_options] for row in rows)
    return text.getvalue().removesuffix("\n").encode()


def expected() -> pl.DataFrame:
    def moment(text: Any) -> datetime | None:
        return datetime.fromisoformat(text) if text else None

    columns = {name: [row[place] for row in AWKWARD] for place, name in enumerate(FIELDS)}
    return pl.DataFrame(
        {
            "event_name": [text or None for text in columns["event_name"]],
            "appmetrica_device_id": [None if i == "" else i for i in columns["appmetrica_device_id"]],
            "event_timestamp": [
                None if second == "" else datetime.fromtimestamp(second, UTC) for second in columns["event_timestamp"]
            ],
            "event_datetime": [moment(text) for text in columns["event_datetime"]],
            "event_json": [text or None for text in columns["event_json"]],
            "mcc": [None if number == "" else number for number in columns["mcc"]],
            "city": [text or None for text in columns["city"]],
            "profile_id": [text or None for text in columns["profile_id"]],
        },
        schema={
            "event_name": pl.String,
            "appmetrica_device_id": pl.UInt64,
            "event_timestamp": pl.Datetime("us", "UTC"),
            "event_datetime": pl.Datetime("us"),
            "event_json": pl.String,
            "mcc": pl.Int64,
            "city": pl.String,
            "profile_id": pl.String,
        },
    )


@pytest.fixture
def words(server: Emulator, client: af.Client) -> dict[str, Any]:
    server.answers["events"] = as_csv(AWKWARD, FIELDS)
    return {"application_id": server.application_id, "fields": FIELDS, "client": client, **DAY}


def by_duckdb(words: dict[str, Any]) -> pl.DataFrame:
    files = [str(path) for path in af.download_appmetrica("events", **words)]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        answer = connection.read_parquet(files).select(*FIELDS).to_arrow_table()
    return pl.DataFrame(answer)


def by_iterator(words: dict[str, Any]) -> pl.DataFrame:
    with af.iter_appmetrica("events", batch_size=2, **words) as batches:
        return pl.DataFrame(pa.Table.from_batches(list(batches), batches.schema))


WAYS: dict[str, Callable[[dict[str, Any]], pl.DataFrame]] = {
    "polars": lambda words: af.read_appmetrica("events", **words),
    "pandas": lambda words: pl.DataFrame(pa.Table.from_pandas(af.read_appmetrica("events", backend="pandas", **words))),
    "pyarrow": lambda words: pl.DataFrame(af.read_appmetrica("events", backend="pyarrow", **words)),
    "scan": lambda words: af.scan_appmetrica("events", **words).collect(),
    "iter": by_iterator,
    "duckdb": by_duckdb,
    "polars without the cache": lambda words: af.read_appmetrica("events", cache=False, **words),
    "iter without the cache": lambda words: by_iterator({**words, "cache": False}),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_arrives_is_what_was_sent(way: str, words: dict[str, Any]) -> None:
    frame = WAYS[way](words)
    assert frame.schema == expected().schema
    assert frame.equals(expected())


@pytest.mark.parametrize("way", WAYS)
def test_a_second_time_from_the_cache(way: str, words: dict[str, Any]) -> None:
    af.download_appmetrica("events", **words)
    assert WAYS[way](words).equals(expected())


def test_pandas_keeps_ids_exact_and_columns_backed_by_arrow(words: dict[str, Any]) -> None:
    frame = af.read_appmetrica("events", backend="pandas", **words)
    assert str(frame.dtypes["appmetrica_device_id"]) == "uint64[pyarrow]"
    assert str(frame.dtypes["mcc"]) == "int64[pyarrow]"
    assert frame["appmetrica_device_id"][0] == 2**64 - 1


@pytest.mark.parametrize("backend", ["polars", "pandas", "pyarrow"])
def test_columns_come_in_the_order_asked(backend: Any, words: dict[str, Any]) -> None:
    for fields in (list(reversed(FIELDS)), ["mcc", "city"], ["city"]):
        frame: Any = af.read_appmetrica("events", backend=backend, **{**words, "fields": fields})
        names = frame.column_names if backend == "pyarrow" else list(frame.columns)
        assert names == fields


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("end", ["\n", "", "\r\n"])
def test_an_export_without_rows_has_the_full_schema(
    way: str, end: str, server: Emulator, words: dict[str, Any]
) -> None:
    server.answers["events"] = (",".join(sorted(FIELDS)) + end).encode()
    frame = WAYS[way](words)
    assert frame.height == 0
    assert frame.schema == expected().schema


def test_two_reads_are_one_preparation_and_one_download(server: Emulator, words: dict[str, Any]) -> None:
    first = af.read_appmetrica("events", **words)
    asked = len(server.exchanges)
    assert af.read_appmetrica("events", **words).equals(first)
    assert (server.preparations, server.downloads, len(server.exchanges)) == (1, 1, asked)


def test_a_subset_of_stored_columns_touches_no_network(server: Emulator, words: dict[str, Any]) -> None:
    af.read_appmetrica("events", **words)
    asked = len(server.exchanges)
    narrow = af.read_appmetrica("events", **{**words, "fields": ["city", "event_name"]})
    assert narrow.equals(expected().select("city", "event_name"))
    assert len(server.exchanges) == asked


def test_every_row_of_a_single_column_is_there(server: Emulator, words: dict[str, Any]) -> None:
    """The file of one column would hide its empty cells."""
    server.answers["events"] = b"appmetrica_device_id,profile_id\n1,\n2,x\n3,"
    frame = af.read_appmetrica("events", **{**words, "fields": ["profile_id"]})
    assert frame["profile_id"].to_list() == [None, "x", None]


READ_ONCE = """
import sys, appmetrica_frames as af
client = af.Client("{token}", base_url="{base_url}", cache_dir="{cache}", poll=(0.05, 0.1), progress=False)
frame = af.read_appmetrica("installations", application_id={app}, date_since="2024-07-29", date_until="2024-07-29",
                           client=client)
print(frame.hash_rows(seed=0).sort().hash(seed=0).sum(), frame.height)
"""


def test_eight_processes_are_one_preparation_and_one_download(server: Emulator, tmp_path: Path) -> None:
    code = READ_ONCE.format(
        token=server.token, base_url=server.base_url, cache=tmp_path / "shared", app=server.application_id
    )

    def run(_: int) -> str:
        ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        return ran.stdout

    with ThreadPoolExecutor(8) as pool:
        printed = set(pool.map(run, range(8)))
    assert len(printed) == 1
    assert (server.preparations, server.downloads) == (1, 1)


def test_without_the_cache_leaves_the_cache_untouched(words: dict[str, Any]) -> None:
    af.read_appmetrica("events", cache=False, **words)
    assert not af.Cache().directory.exists()


def test_a_file_read_without_the_cache_is_gone_afterwards(
    words: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    af.read_appmetrica("events", cache=False, **words)
    with af.iter_appmetrica("events", cache=False, batch_size=1, **words) as batches:
        assert batches.read_next_batch().num_rows == 1
    del batches
    assert list((tmp_path / "temporary").iterdir()) == []


def test_offline_reads_what_is_stored_and_touches_no_network(server: Emulator, words: dict[str, Any]) -> None:
    with pytest.raises(af.NotCachedError, match="once without offline"):
        af.read_appmetrica("events", offline=True, **words)
    assert len(server.exchanges) == 0
    af.read_appmetrica("events", **words)
    asked = len(server.exchanges)
    unreachable = af.Client(base_url=server.base_url)  # without a token, too
    assert af.read_appmetrica("events", offline=True, **{**words, "client": unreachable}).equals(expected())
    assert len(server.exchanges) == asked


def test_refresh_has_a_new_file_built(server: Emulator, words: dict[str, Any]) -> None:
    af.read_appmetrica("events", **words)
    server.answers["events"] = as_csv(AWKWARD[:2], FIELDS)
    assert af.read_appmetrica("events", refresh=True, **words).equals(expected()[:2])
    assert server.preparations == 2
    assert af.read_appmetrica("events", **words).equals(expected()[:2])


def test_a_damaged_file_is_dropped_with_a_warning_and_fetched_again(server: Emulator, words: dict[str, Any]) -> None:
    (path,) = af.download_appmetrica("events", **words)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    with pytest.warns(af.CacheWarning, match="damaged") as caught:
        assert af.read_appmetrica("events", **words).equals(expected())
    assert len(caught) == 1
    assert (server.preparations, server.downloads) == (1, 2)


def test_a_value_that_does_not_fit_makes_its_column_text(server: Emulator, words: dict[str, Any]) -> None:
    rows = [("x", 1, "soon", "", "", 7, "", ""), ("y", "-5", "", "", "", 8, "", "")]
    server.answers["events"] = as_csv(rows, FIELDS)
    with pytest.warns(af.SchemaWarning) as caught:
        frame = af.read_appmetrica("events", **words)
    said = sorted(str(warning.message) for warning in caught)
    assert len(said) == 2
    assert "appmetrica_device_id" in said[0]
    assert "-5" in said[0]
    assert "event_timestamp" in said[1]
    assert "soon" in said[1]
    assert frame["appmetrica_device_id"].to_list() == ["1", "-5"]
    assert frame["event_timestamp"].to_list() == ["soon", None]
    assert frame["mcc"].to_list() == [7, 8]
    assert server.preparations == 1

    asked = len(server.exchanges)
    with pytest.warns(af.SchemaWarning):
        assert af.read_appmetrica("events", **words).equals(frame)
    assert af.read_appmetrica("events", **{**words, "fields": ["mcc", "city"]})["mcc"].to_list() == [7, 8]
    assert len(server.exchanges) == asked
    with pytest.raises(af.SchemaError, match="strict=True"):
        af.read_appmetrica("events", strict=True, **words)


def test_strict_raises_and_stores_nothing(server: Emulator, words: dict[str, Any]) -> None:
    server.answers["events"] = as_csv([("x", "ten", "", "", "", "", "", "")], FIELDS)
    with pytest.raises(af.SchemaError) as caught:
        af.read_appmetrica("events", strict=True, **words)
    assert (caught.value.column, caught.value.row, caught.value.value) == ("appmetrica_device_id", 1, "ten")
    assert af.Cache().exports() == []


def test_chosen_types(words: dict[str, Any]) -> None:
    chosen = {
        "mcc": pl.Int16,
        "event_name": pl.Categorical,
        "event_timestamp": pa.timestamp("ms", "UTC"),
        "city": "string",
    }
    frame = af.read_appmetrica("events", schema_overrides=chosen, **words)
    assert frame["mcc"].to_list() == expected()["mcc"].to_list()
    assert frame["mcc"].dtype == pl.Int16
    assert isinstance(frame["event_name"].dtype, pl.Categorical)
    assert frame["event_name"].cast(pl.String).to_list() == expected()["event_name"].to_list()
    assert frame["event_timestamp"].dtype == pl.Datetime("ms", "UTC")
    assert af.read_appmetrica("events", **words).schema == expected().schema


def test_custom_profile_attributes_arrive(server: Emulator, client: af.Client) -> None:
    frame = af.read_appmetrica(
        "profiles",
        application_id=server.application_id,
        fields=["profile_id", "Уровень лояльности"],
        schema_overrides={"Уровень лояльности": pl.String},
        client=client,
    )
    assert frame["Уровень лояльности"].dtype == pl.String
    assert frame["Уровень лояльности"].drop_nulls().len() > 0


def test_every_resource_arrives_with_every_documented_field(server: Emulator, client: af.Client) -> None:
    week: dict[str, Any] = {"date_since": "2024-07-22", "date_until": "2024-07-28"}
    for name, dates in af.list_resources().select("resource", "dates").iter_rows():
        frame = af.read_appmetrica(
            name, application_id=server.application_id, client=client, strict=True, **(week if dates else {})
        )
        assert frame.columns == af.list_fields(name).filter("default")["field"].to_list()
        assert [str(dtype) for dtype in frame.dtypes] == af.list_fields(name).filter("default")["dtype"].to_list()
        assert frame.height > 0


@pytest.mark.parametrize("resource", ["events", "installations"])
def test_a_field_that_only_real_exports_have_arrives(resource: str, server: Emulator, client: af.Client) -> None:
    week: dict[str, Any] = {"date_since": "2024-07-22", "date_until": "2024-07-28"}
    frame = af.read_appmetrica(
        resource, application_id=server.application_id, fields=["android_id", "os_name"], client=client, **week
    )
    assert frame.filter(os_name="android")["android_id"].null_count() < frame.height
    assert frame.schema == {"android_id": pl.String, "os_name": pl.String}


def test_filters_and_limit_reach_the_server(server: Emulator, client: af.Client) -> None:
    words: dict[str, Any] = {"application_id": server.application_id, "client": client, **DAY}
    ios = af.read_appmetrica("events", fields=["os_name", "event_name"], filters={"os_name": "ios"}, **words)
    assert ios["os_name"].unique().to_list() == ["ios"]
    assert af.read_appmetrica("events", limit=3, **words).height == 3


def test_words_are_checked_before_anything_is_sent(server: Emulator, words: dict[str, Any]) -> None:
    bad: list[dict[str, Any]] = [
        {"backend": "spark"},
        {"max_age": -1},
        {"refresh": True, "offline": True},
        {"refresh": True, "max_age": 1},
        {"offline": True, "cache": False},
        {"fields": []},
        {"date_since": None},
        {"client": "token"},
    ]
    for word in bad:
        with pytest.raises(af.InvalidRequestError):
            af.read_appmetrica("events", **{**words, **word})
    with pytest.raises(af.InvalidRequestError, match="batch_size"):
        af.iter_appmetrica("events", batch_size=0, **words)
    with pytest.raises(af.MissingTokenError):
        af.read_appmetrica("events", **{**words, "client": af.Client(base_url=server.base_url)})
    with pytest.raises(TypeError, match="Did you mean 'fields'"):
        af.read_appmetrica("events", **words, feilds=["a"])
    assert len(server.exchanges) == 0
    assert not af.Cache().directory.exists()


def test_a_cache_directory_that_is_a_file_is_refused_before_anything_is_sent(
    server: Emulator, words: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("precious")
    client = af.Client(server.token, base_url=server.base_url, cache_dir=tmp_path / "file")
    with pytest.raises(af.InvalidRequestError, match="another directory"):
        af.read_appmetrica("events", **{**words, "client": client})
    assert len(server.exchanges) == 0
    assert (tmp_path / "file").read_text() == "precious"
