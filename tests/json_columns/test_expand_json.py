"""`expand_json` reads what `json.loads` reads."""

from __future__ import annotations

import contextlib
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
NUMBERS = st.sampled_from(["1.50", "-0", "-0.0", "1e400", "1E+2", "5e-324", "9007199254740993", "18446744073709551616"])
GAPS = st.sampled_from(["", "", " ", "\r\n\t"])
PIECES = [*'{}[]",:\\ \n0e.-ntfu\x00\u00a0\ufeff', "NaN", "-Infinity", "\\ud83d", '"a":1,', "null", "//", "[[", "]]"]


class Number(str):
    """A number as it was written."""

    __slots__ = ()


def parse(text: str) -> Any:
    """Return what `json.loads` reads, without what no text can hold and what is no JSON elsewhere."""

    def refuse_constant(word: str) -> None:
        raise ValueError(word)

    def to_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        json.dumps(
            pairs, ensure_ascii=False
        ).encode()  # half a surrogate pair raises, that of a value that is lost, too
        return dict(pairs)

    return json.loads(
        text, parse_int=Number, parse_float=Number, parse_constant=refuse_constant, object_pairs_hook=to_dict
    )


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """Draw a way to write a value: with blanks, escapes, other numbers, a key that stands twice."""
    comma = f"{draw(GAPS)},{draw(GAPS)}"
    if isinstance(value, dict):
        members = list(value.items())
        members += draw(st.lists(st.sampled_from(members), max_size=1)) if members else []
        texts = [f"{draw(written(key))}{draw(GAPS)}:{draw(GAPS)}{draw(written(inner))}" for key, inner in members]
        return f"{{{draw(GAPS)}{comma.join(texts)}{draw(GAPS)}}}"
    if isinstance(value, list):
        return f"[{draw(GAPS)}{comma.join(draw(written(inner)) for inner in value)}{draw(GAPS)}]"
    text = json.dumps(value, ensure_ascii=draw(st.booleans()))
    if isinstance(value, str):
        return draw(st.sampled_from([text, text, text, text.replace("a", "\\u0061").replace("/", "\\/")]))
    return draw(NUMBERS) if type(value) is float else text


@st.composite
def deep(draw: st.DrawFn) -> str:
    opens = draw(st.lists(st.sampled_from(["[", '{"a":', '{"b":1,"c":[{}],"a":']), max_size=40))
    closes = ["]" if bracket == "[" else "}" for bracket in reversed(opens)]
    return f'{{"c":{"".join(opens)}{draw(WRITTEN)}{"".join(closes)},"a":{draw(NUMBERS)}}}'


@st.composite
def broken(draw: st.DrawFn) -> str:
    """Draw a text with something in the place of something; now and then it is whole."""
    text = draw(WRITTEN | deep())
    place = draw(st.integers(0, len(text)))
    return text[:place] + draw(st.sampled_from(["", *PIECES])) + text[place + draw(st.integers(0, 3)) :]


WRITTEN = OBJECTS.flatmap(written)


def frame(*texts: str | None) -> pl.DataFrame:
    return pl.DataFrame({"event_json": pl.Series(texts, dtype=pl.String)})


def expand(*texts: str | None, fields: Any) -> list[tuple[Any, ...]]:
    return expand_json(frame(*texts), fields=fields).drop("event_json").rows()


@settings(max_examples=40, deadline=None)
@given(st.lists(OBJECTS, min_size=1, max_size=15), st.booleans(), st.sampled_from([(",", ":"), (", ", " : ")]))
def test_values_are_those_of_json_loads(objects: list[dict[str, Any]], plain: bool, separators: Any) -> None:  # noqa: FBT001
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


def rows_of(kind: str, texts: list[str], fields: Any) -> list[tuple[Any, ...]]:
    """Return the rows that a kind of frame answers, without the texts."""
    given = frame(*texts)
    if kind == "pandas":
        wide = expand_json(given.to_pandas(), fields=fields, prefix="json ")
        return list(
            wide.drop(columns="event_json")
            .astype(object)
            .where(lambda cells: cells.notna(), None)
            .itertuples(index=False, name=None)
        )
    lazy = expand_json(given.lazy(), fields=fields, prefix="json ")
    polars = {
        "eager": lambda: expand_json(given, fields=fields, prefix="json "),
        "lazy": lazy.collect,
        "streaming": lambda: lazy.collect(engine="streaming"),
    }
    return polars[kind]().drop("event_json").rows()


@pytest.mark.parametrize("kind", ["eager", "lazy", "streaming", "pandas"])
@settings(max_examples=15, deadline=None)
@given(texts=st.lists(WRITTEN | deep() | broken() | TEXTS, min_size=1, max_size=40))
def test_any_text_is_read_as_json_loads_reads_it(kind: str, texts: list[str]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SchemaWarning)
        rows = rows_of(kind, texts, KEYS)
    wrong = 0
    for text, row in zip(texts, rows, strict=True):
        try:
            thing = parse(text)
        except ValueError:
            thing = None
        wrong += not isinstance(thing, dict)
        for key, answer in zip(KEYS, row, strict=True):
            value = thing.get(key) if isinstance(thing, dict) else None
            if value is None or isinstance(value, str):
                assert answer == value
            else:
                assert answer in text
                assert parse(answer) == value
    if kind in {"eager", "pandas"}:
        assert [str(warning.message).split(" do not hold")[0] for warning in caught] == [
            f"Column 'event_json': {wrong} of {len(texts)} rows"
        ] * bool(wrong)


@settings(max_examples=15, deadline=None)
@given(st.lists(WRITTEN | deep() | broken(), min_size=1, max_size=40))
@pytest.mark.filterwarnings("ignore::appmetrica_frames.SchemaWarning")
def test_keys_are_those_of_json_loads(texts: list[str]) -> None:
    keys: dict[str, None] = {}
    for text in texts:
        with contextlib.suppress(ValueError):
            thing = parse(text)
            keys |= dict.fromkeys(thing) if isinstance(thing, dict) else {}
    assert expand_json(frame(*texts), prefix="json ").columns[1:] == [f"json {key}" for key in keys]


@settings(max_examples=100, deadline=None)
@given(st.text('{}[]":,\\ntrueflsu01.-e d8', max_size=14).map(lambda text: f'{{"a":{text}') | TEXTS)
def test_what_json_loads_refuses_is_null(text: str) -> None:
    try:
        thing = json.loads(text, parse_constant=lambda _: 1 / 0)
    except (ValueError, ZeroDivisionError):
        thing = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ((value,),) = expand(text, fields=["a"])
    if not isinstance(thing, dict):
        assert value is None
        assert len(caught) == 1
    elif isinstance(thing.get("a"), (bool, int)):
        assert json.loads(value) == thing["a"]


def test_rows_without_an_object_are_counted_and_become_null() -> None:
    rows = ['{"a":1}', None, '{"a":', "[1]", "null", '"{a"', "", "3", '{"a":2}x', '{"a":"\\ud83d"}', ' {"a" : 4} ']
    with pytest.warns(SchemaWarning) as caught:
        values = expand(*rows, fields=["a"])
    assert [value for (value,) in values] == ["1", *[None] * 9, "4"]
    message = (
        "Column 'event_json': 8 of 11 rows do not hold a JSON object; the first is row 3: '{\"a\":'. They become null "
        "in the new columns."
    )
    assert [str(warning.message) for warning in caught] == [message]
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
        assert expand(f'{{"a":{number}}}', fields=["a"]) == [(number,)]
    ids = expand('{"a":18446744073709551615}', '{"a":"9223372036854775809"}', fields={"a": pl.UInt64})
    assert ids == [(2**64 - 1,), (2**63 + 1,)]
    assert expand('{"a":-9007199254740993}', fields={"a": pa.int64()}) == [(-(2**53) - 1,)]
    deep = '{"a":18446744073709551615,"b":[[[[[[7]]]]]]}'
    assert expand(deep, fields=["a", "b"]) == [("18446744073709551615", "[[[[[[7]]]]]]")]


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
    assert expand(text, fields={"f": pl.Int64, "d": pl.Boolean, "t": pl.Float64}) == [(None, None, None)]
    assert expand('{"a":300}', fields={"a": pl.Int8}) == [(None,)]


def test_only_the_top_level_counts_and_the_last_of_two_values() -> None:
    assert expand('{"b":{"a":1},"c":[{"a":2}]}', fields=["a"]) == [(None,)]
    assert expand('{"b":{"a":1},"a":3,"c":[{"a":2}]}', fields=["a"]) == [("3",)]
    assert expand('{"a":1,"a":{"a":1.50}}', '{"a":[1],"a":null}', '{"\\u0061":1}', fields=["a"]) == [
        ('{"a":1.50}',),
        (None,),
        ("1",),
    ]
    assert expand('{"b":"\\"a\\":5","a":"x\\"a\\":6"}', fields=["a"]) == [('x"a":6',)]


def test_every_kind_of_frame_gives_the_same_values() -> None:
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


def test_many_keys_and_rare_ones() -> None:
    texts = (
        [f'{{"a":1,"k{n}":{n}}}' for n in range(1200)]
        + ['{"a":1}'] * 5000
        + ['{"rare":[{"a":[{}]}]}', '{"\\u0072are2":1}']
    )
    wide = expand_json(frame(*texts))
    assert wide.columns[1:] == ["a", *(f"k{n}" for n in range(1200)), "rare", "rare2"]
    assert wide["k1199"].drop_nulls().to_list() == ["1199"]
    assert wide["rare"][-2] == '[{"a":[{}]}]'


def test_deep_and_long_texts() -> None:
    deep = '{"a":' + "[" * 3000 + "]" * 3000 + ',"b":1}'
    assert expand(deep, fields=["a", "b"]) == [("[" * 3000 + "]" * 3000, "1")]
    long = "x" * 3_000_000
    text = f'{{"{long}":1,"a":2}}'
    assert expand(text, "{}", fields=["a", long, "x" * 301]) == [("2", "1", None), (None, None, None)]
    assert expand_json(frame(text)).columns[1:] == [long, "a"]
    assert expand(f'{{"a":"{long}","b":[[[["{long}"]]]]}}', fields=["a", "b"]) == [(long, f'[[[["{long}"]]]]')]


def test_names_that_polars_would_interpret() -> None:
    keys = ["*", "^a$", "0", "left", "text", "row", ""]
    text = json.dumps({key: n for n, key in enumerate(keys)})
    assert expand(text, fields=keys) == [tuple(map(str, range(len(keys))))]
    lazy = expand_json(frame(text).lazy(), fields=keys).drop("event_json")
    assert lazy.collect().rows() == [tuple(map(str, range(len(keys))))]


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
    ("parameters", "message"),
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
def test_invalid_parameters_are_refused(parameters: dict[str, Any], message: str, kind: Any) -> None:
    given = kind(frame('{"n":1}').with_columns(n=1).cast({"n": pl.Int64}))
    with pytest.raises(InvalidRequestError, match=message):
        expand_json(given, **{"fields": ["b"], **parameters})


def test_other_frames_are_refused() -> None:
    with pytest.raises(InvalidRequestError, match="not list"):
        expand_json([])  # type: ignore[call-overload]
