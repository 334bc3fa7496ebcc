"""`expand_json`: columns out of JSON, held to what `json.loads` reads."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appmetrica_frames import InvalidRequestError, SchemaWarning, expand_json

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
SCALARS = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS | TEXTS | st.sampled_from(['"a":1', "},{", ":", '\\"', "null"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
KEYS = [
    "a",
    "b",
    "c",
    "a.b",
    "it's",
    'q"d',
    "sp ace",
    "Имя",
    ",",
    " ",
    ":",
    "",
    "back\\slash",
    "$",
    "[0]",
    "\n",
    "a\u0001",
]
OBJECTS = st.dictionaries(st.sampled_from(KEYS) | TEXTS, VALUES, max_size=5)


def frame(*texts: str | None) -> pl.DataFrame:
    return pl.DataFrame({"event_json": pl.Series(texts, dtype=pl.String)})


def opened(*texts: str | None, fields: Any) -> list[tuple[Any, ...]]:
    return expand_json(frame(*texts), fields=fields).drop("event_json").rows()


@settings(max_examples=100, deadline=None)
@given(st.lists(OBJECTS, min_size=1, max_size=6), st.booleans(), st.sampled_from([(",", ":"), (", ", " : ")]))
def test_what_json_loads_reads_is_there(objects: list[dict[str, Any]], plain: bool, separators: Any) -> None:  # noqa: FBT001
    texts = [json.dumps(thing, ensure_ascii=plain, separators=separators) for thing in objects]
    wide = expand_json(frame(*texts), prefix="json ")
    assert set(wide.columns[1:]) == {f"json {key}" for thing in objects for key in thing}
    for thing, row in zip(objects, wide.rows(named=True), strict=True):
        for name, text in list(row.items())[1:]:
            value = thing.get(name.removeprefix("json "))
            if value is None or isinstance(value, str):
                assert text == value
            else:
                assert json.loads(text) == value


@settings(max_examples=100, deadline=None)
@given(st.text('{}[]":,\\ntrueflsu01.-e d8', max_size=14).map(lambda text: f'{{"a":{text}') | TEXTS)
def test_what_is_broken_for_json_loads_is_null(text: str) -> None:
    try:
        thing = json.loads(text, parse_constant=lambda _: 1 / 0)
    except (ValueError, ZeroDivisionError):
        thing = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ((value,),) = opened(text, fields=["a"])
    if not isinstance(thing, dict):
        assert value is None
        assert len(caught) == 1
    elif isinstance(thing.get("a"), (bool, int)):
        assert json.loads(value) == thing["a"]


def test_rows_that_hold_no_object_are_counted_and_null() -> None:
    rows = ['{"a":1}', None, '{"a":', "[1]", "null", '"{a"', "", "3", '{"a":2}x', '{"a":"\\ud83d"}', ' {"a" : 4} ']
    with pytest.warns(SchemaWarning) as caught:
        values = opened(*rows, fields=["a"])
    assert [value for (value,) in values] == ["1", *[None] * 9, "4"]
    said = (
        "Column 'event_json': 8 of 11 rows hold no JSON object, the first of them row 3: '{\"a\":'. They are null in "
        "the new columns."
    )
    assert [str(warning.message) for warning in caught] == [said]
    assert caught[0].filename == __file__


def test_numbers_keep_every_digit() -> None:
    for number in (
        "9007199254740993",
        "18446744073709551615",
        "-9223372036854775808",
        "1.50",
        "1e400",
        "0.1" + "0" * 40,
    ):
        assert opened(f'{{"a":{number}}}', fields=["a"]) == [(number,)]
    ids = opened('{"a":18446744073709551615}', '{"a":"9223372036854775809"}', fields={"a": pl.UInt64})
    assert ids == [(2**64 - 1,), (2**63 + 1,)]
    assert opened('{"a":-9007199254740993}', fields={"a": pa.int64()}) == [(-(2**53) - 1,)]
    deep = '{"a":18446744073709551615,"b":[[[[[[7]]]]]]}'
    assert opened(deep, fields=["a", "b"]) == [("18446744073709551615", "[[[[[[7]]]]]]")]


def test_types() -> None:
    text = '{"n":3,"s":"3","f":3.5,"t":true,"d":"2024-07-01","z":null,"o":{"t":1}}'
    types = {"n": "int64", "s": pl.Int8, "f": pl.Float64, "t": pa.bool_(), "d": pl.Date, "z": pl.Boolean, "o": pl.Int64}
    wide = expand_json(frame(text), fields=types).drop("event_json")
    assert wide.dtypes == [pl.Int64, pl.Int8, pl.Float64, pl.Boolean, pl.Date, pl.Boolean, pl.Int64]
    assert wide.select(pl.col("d").cast(pl.String), pl.exclude("d")).row(0) == (
        "2024-07-01",
        3,
        3,
        3.5,
        True,
        None,
        None,
    )
    assert opened(text, fields={"f": pl.Int64, "d": pl.Boolean, "t": pl.Float64}) == [(None, None, None)]
    assert opened('{"a":300}', fields={"a": pl.Int8}) == [(None,)]


def test_only_the_top_counts_and_the_last_of_two() -> None:
    assert opened('{"b":{"a":1},"c":[{"a":2}]}', fields=["a"]) == [(None,)]
    assert opened('{"b":{"a":1},"a":3,"c":[{"a":2}]}', fields=["a"]) == [("3",)]
    assert opened('{"a":1,"a":{"a":1.50}}', '{"a":[1],"a":null}', '{"\\u0061":1}', fields=["a"]) == [
        ('{"a":1.50}',),
        (None,),
        ("1",),
    ]
    assert opened('{"b":"\\"a\\":5","a":"x\\"a\\":6"}', fields=["a"]) == [('x"a":6',)]


def test_every_kind_of_frame_says_the_same() -> None:
    texts = ['{"a":"x","n":9223372036854775809}', None, '{"n":1,"b":[1, 2]}']
    fields = {"a": pl.String, "n": pl.UInt64, "b": pl.String}
    polars = expand_json(frame(*texts), fields=fields)
    assert expand_json(frame(*texts).lazy(), fields=fields).collect().equals(polars)
    assert expand_json(frame(*texts).lazy(), fields=fields).collect_schema() == polars.schema
    for dtype in (pd.ArrowDtype(pa.string()), "object", "str"):
        given = pd.DataFrame({"event_json": pd.Series(texts, index=[7, 7, 9], dtype=dtype)})
        answer = expand_json(given, fields=fields)
        assert list(answer.index) == [7, 7, 9]
        assert list(given.columns) == ["event_json"]
        assert answer["event_json"].dtype == given["event_json"].dtype
        arrow = {"a": pa.string(), "n": pa.uint64(), "b": pa.string()}
        assert {name: answer[name].dtype.pyarrow_dtype for name in fields} == arrow
        for name in fields:
            assert answer[name].array.__arrow_array__().to_pylist() == polars[name].to_list()


@pytest.mark.parametrize("texts", [[], [None, None]])
def test_no_rows_and_no_objects(texts: list[None]) -> None:
    assert expand_json(frame(*texts)).columns == ["event_json"]
    assert expand_json(frame(*texts), fields={"a": pl.Int64}).schema == {"event_json": pl.String, "a": pl.Int64}
    nothing = pd.DataFrame({"event_json": pd.Series(texts, dtype="object")})
    assert list(expand_json(nothing, fields=["a"]).columns) == ["event_json", "a"]


def test_keys_come_in_the_order_of_appearance() -> None:
    assert expand_json(frame('{"b":1}', '{"a":1,"b":{"z":1}}', "{}")).columns == ["event_json", "b", "a"]


def test_a_lazy_frame_is_not_collected() -> None:
    def poison(_: pl.DataFrame) -> pl.DataFrame:
        raise AssertionError

    lazy = frame('{"a":1}', "broken").lazy().map_batches(poison, schema={"event_json": pl.String})
    assert expand_json(lazy, fields=["a"]).collect_schema().names() == ["event_json", "a"]
    with pytest.raises(InvalidRequestError, match=r"name them, fields=\[…\]"):
        expand_json(lazy)


def test_many_rows_stay_in_order() -> None:
    many = pl.DataFrame({"event_json": pl.Series([f'{{"n":{n},"x":[{n}]}}' for n in range(150_000)])})
    wide = expand_json(many, fields={"n": pl.Int64, "x": pl.String})
    assert wide["n"].to_list() == list(range(150_000))
    assert wide["x"][149_999] == "[149999]"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"column": "evnt_json"}, "no column 'evnt_json'. Did you mean 'event_json'"),
        ({"column": "n"}, "Column 'n' holds Int64, not text"),
        ({"fields": ["n"]}, "prefix='json_'"),
        ({"fields": "a"}, r"\['a'\], not 'a'"),
        ({"fields": [1]}, "keys as texts"),
        ({"fields": {"a": pl.List(pl.String)}}, "take it as text"),
        ({"fields": {"a": "whole"}}, "takes a Polars or Arrow"),
    ],
)
@pytest.mark.parametrize("kind", [pl.DataFrame.lazy, pl.DataFrame.to_pandas, lambda given: given])
def test_what_cannot_be_asked(words: dict[str, Any], said: str, kind: Any) -> None:
    given = kind(frame('{"n":1}').with_columns(n=1).cast({"n": pl.Int64}))
    with pytest.raises(InvalidRequestError, match=said):
        expand_json(given, **{"fields": ["b"], **words})


def test_other_frames_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match="not list"):
        expand_json([])  # type: ignore[call-overload]
