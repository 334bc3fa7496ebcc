"""Whatever the bytes are, decoding takes time in proportion to them, and memory within named limits."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

LIMITS = {
    "decode.body": {"MAX_INPUT_BYTES": 1 << 16, "MAX_SILENT_BYTES": 1 << 20},
    "decode.csv": {"BLOCK_BYTES": 1 << 21, "MAX_REPEATED": 100},
    "decode.json.decoder": {"BLOCK_BYTES": 1 << 22, "MAX_FAST_BYTES": 1 << 23},
    "decode.json.python": {"MAX_UNKNOWN_NAMES": 10},
    "decode.json.records": {"MAX_HEAD_BYTES": 1 << 16, "MAX_LEAD_CHARACTERS": 1000},
    "decode.json.scan": {"RUN": 1000, "SMALL_DEPTH": 2, "SMALL_RUN": 16},
    "decode.parse_errors": {"MAX_NAMES": 10, "SHOWN": 80},
    "decode.rows": {"MAX_HEADER_BYTES": 1 << 20, "MAX_ROW_BYTES": 1 << 26},
    "engine.ingest": {"PIECES_AHEAD": 8},
    "engine.parquet": {"GROUP_BYTES": 32 << 20, "GROUP_ROWS": 65_536, "PAGE_BYTES": 4 << 20},
    "engine.pipeline": {"MAX_WORKERS": 4},
}


@pytest.mark.parametrize("module", LIMITS)
def test_every_limit_has_a_name(module: str) -> None:
    names = vars(importlib.import_module(f"appmetrica_frames.{module}"))
    assert {name: names[name] for name in LIMITS[module]} == LIMITS[module]


# Each is decoded in a process of its own, so that its memory is known.
DECODE = """
import gzip, json, resource, sys, time
import pyarrow as pa
from appmetrica_frames.decode.body import gunzip
from appmetrica_frames.decode.csv import CsvDecoder
from appmetrica_frames.decode.json.decoder import JsonDecoder
from appmetrica_frames.errors import AppMetricaError
from appmetrica_frames.schema.types import Column

TEXT = pa.string()
COLUMNS = [Column("name", "string", TEXT), Column("id", "uint64", pa.uint64()), Column("json", "string", TEXT)]
SIZE = 16 << 20


def record(value):
    return b'{"data":[{"name":"x","id":"1","json":' + value + b"}]}"


def fill(piece, size=SIZE):
    return piece * (size // len(piece))


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def decode(kind, body, chunk):
    chunks = (body[start : start + chunk] for start in range(0, len(body), chunk))
    if kind == "gzip":
        return gunzip(chunks)
    return (CsvDecoder if kind == "csv" else JsonDecoder)(COLUMNS).decode(chunks)


kind, body, chunk = sys.argv[1], eval(sys.argv[2]), int(sys.argv[3])
# The decoders run once, so that what they need of libraries does not count.
list(decode("csv", b"name,id,json\\n1,1,1", 1)), list(decode("json", record(b"[1]"), 1))
memory, began = peak(), time.process_time()
try:
    size = sum(map(len, decode(kind, body, chunk)))
    outcome = "ok"
except AppMetricaError as error:
    outcome = f"{type(error).__name__} {str(error)[:300]}"
json.dump([time.process_time() - began, peak() - memory, outcome], sys.stdout)
"""

# What to decode: its format, an expression of the body, the size of the chunks, and what comes of it.
CASES = {
    "objects": ("json", r"""record(b"[" + fill(b'{"a":{"b":1}},') + b"1]")""", 1 << 17, "ok"),
    "objects like records": ("json", r"""record(b"[" + fill(b'{"name":{"b":1}},') + b"1]")""", 1 << 17, "ok"),
    "empty arrays": ("json", r"""record(b"[" + fill(b"[],") + b"1]")""", 1 << 17, "ok"),
    "nested arrays": ("json", r"""record(b"[" + fill(b"[[[[[1]]]]],") + b"1]")""", 1 << 17, "ok"),
    "numbers": ("json", r"""record(b"[" + fill(b"1,") + b"1]")""", 1 << 17, "ok"),
    "strings": ("json", r"""record(b"[" + fill(b'"ab",') + b"1]")""", 1 << 17, "ok"),
    "escapes": ("json", r"""record(b'"' + fill(b"\\n") + b'"')""", 1 << 17, "ok"),
    "depth": ("json", r"""record(fill(b"[", SIZE // 2) + fill(b"]", SIZE // 2))""", 1 << 17, "ok"),
    "depth of objects": ("json", r"""record(fill(b'{"a":') + b"1" + b"}" * (SIZE // 5))""", 1 << 17, "ok"),
    "no end": ("json", r"""record(fill(b'{"a":'))""", 1 << 17, "DecodeError Row 1"),
    "no end of records": ("json", r"""b'{"data":[' + fill(b'{"name":')""", 1 << 17, "DownloadError"),
    "a long number": ("json", r"""record(fill(b"1"))""", 1 << 17, "ok"),
    "a long number in a column of numbers": (
        "json",
        r"""b'{"data":[{"name":"x","json":"y","id":' + fill(b"1") + b"}]}" """,
        1 << 17,
        "SchemaError Column 'id', row 1",
    ),
    "a long text": ("json", r"""record(b'"' + fill(b"x") + b'"')""", 1 << 17, "ok"),
    "a long name": ("json", r"""b'{"data":[{"' + fill(b"x") + b'":1}]}'""", 1 << 17, "SchemaError Row 1"),
    "a long name of escapes": ("json", r"""b'{"data":[{"' + fill(b"\\n") + b'":1}]}'""", 1 << 17, "SchemaError Row 1"),
    "many names": (
        "json",
        r"""b'{"data":[{' + b",".join(b'"%d":1' % n for n in range(SIZE // 11)) + b"}]}" """,
        1 << 17,
        "SchemaError Row 1",
    ),
    "one name many times": ("json", r"""b'{"data":[{' + fill(b'"a":1,') + b'"a":1}]}'""", 1 << 17, "SchemaError Row 1"),
    "space": ("json", r"""record(fill(b" ") + b"1")""", 1 << 17, "ok"),
    "space before the records": ("json", r"""fill(b" ", 1 << 16)[:-9] + record(b"1")""", 1, "ok"),
    "line ends in a quoted header": ("csv", r"""b'"' + fill(b"\n", 1 << 18)""", 1 << 10, "SchemaError The header"),
    "a long header in small chunks": ("csv", r"""fill(b"x", 1 << 20)""", 1, "SchemaError The header"),
    "many columns": ("csv", r"""b",".join(b"%d" % n for n in range(140_000))""", 1 << 17, "SchemaError The header"),
    "a column many times": ("csv", r"""fill(b"id,", 1 << 19) + b"name,json\n"* 2""", 1 << 17, "SchemaError The header"),
    "line ends in quotes": ("csv", r"""b'name,id,json\nx,1,"' + fill(b"\n") + b'"\n'""", 1 << 17, "ok"),
    "line ends in many quotes": (
        "csv",
        r"""b"name,id,json\n" + fill(b',,"' + b"\r\n" * 512 + b'"\n')""",
        1 << 17,
        "ok",
    ),
    "quotes": ("csv", r"""b'name,id,json\nx,1,"' + fill(b'""') + b'"\n'""", 1 << 17, "ok"),
    "small chunks": ("csv", r"""b"name,id,json\n" + fill(b"x,1,y\n", 1 << 20)""", 1, "ok"),
    "a long cell": (
        "csv",
        r"""b"name,id,json\nx," + fill(b"1") + b",y\n" """,
        1 << 17,
        "SchemaError Column 'id', row 1",
    ),
    "commas": ("csv", r"""b"name,id,json\n" + fill(b",")""", 1 << 17, "DecodeError Row 1"),
    "empty lines": ("csv", r"""b"name,id,json\n" + fill(b"\n")""", 1 << 17, "DecodeError Row 1"),
    "small members": ("gzip", r"""fill(gzip.compress(b"x", mtime=0))""", 1 << 17, "ok"),
    "empty members": ("gzip", r"""fill(gzip.compress(b"", mtime=0))""", 1 << 17, "DownloadError More than 1048576"),
    "a name of a member": (
        "gzip",
        r"""b"\x1f\x8b\x08\x08" + bytes(5) + b"\x03" + fill(b"n")""",
        1 << 17,
        "DownloadError More",
    ),
    "a comment": ("gzip", r"""b"\x1f\x8b\x08\x10" + bytes(5) + b"\x03" + fill(b"n")""", 1 << 17, "DownloadError More"),
    "empty blocks": (
        "gzip",
        r"""b"\x1f\x8b\x08\0" + bytes(5) + b"\x03" + fill(b"\0\0\0\xff\xff")""",
        1 << 17,
        "DownloadError More",
    ),
}
MAX_SECONDS = 10.0  # of the processor; most take less than one
MAX_MEMORY = 320 << 20  # bytes, twenty times those of the body


# One of each kind in every run; the others take more than a minute together.
IN_EVERY_RUN = {"a long cell", "line ends in a quoted header", "quotes", "small members", "space"}


@pytest.mark.parametrize(
    "case", [case if case in IN_EVERY_RUN else pytest.param(case, marks=pytest.mark.exhaustive) for case in CASES]
)
def test_hostile_bodies_take_linear_time_and_bounded_memory(case: str) -> None:
    kind, body, chunk, expected = CASES[case]
    done = subprocess.run(
        [sys.executable, "-c", DECODE, kind, body, str(chunk)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    seconds, memory, outcome = json.loads(done.stdout)
    assert outcome.startswith(expected)
    assert seconds < MAX_SECONDS
    assert memory < MAX_MEMORY
    sys.stdout.write(f"{case}: {seconds:.1f} s, {memory >> 20} MiB\n")
