"""The exports to download, prepared once: rows of the emulator, each export a gzip file of one member.

A million rows are simulated; a larger export repeats them. The repetitions are farther apart than the window of gzip
and than a row group, so that a repeated row compresses no better than a new one.
"""

from __future__ import annotations

import json
import struct
import sys
from dataclasses import asdict, dataclass
from functools import cached_property
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl

    from appmetrica_frames.emulator.export import Format

DAYS = 10
FIRST_DAY, LAST_DAY = "2026-01-01", f"2026-01-{DAYS:02}"
BUILT_AT = 1_768_867_200.0  # 2026-01-20, when all events have arrived
SPARE = 1.3  # rows_per_day is an average: simulate some more, and cut
SIMULATED = {"events": 1_000_000, "installations": 100_000}
LARGEST = {"events": inf, "installations": 1_000_000}
EVENTS_PER_INSTALL = 141
APPLICATION_ID = 1111
ID = "appmetrica_device_id"
IDS = 2**64

GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
LAST_BLOCK = b"\x03\0"  # empty, and marked as the last
RAW = -15  # wbits: deflate without gzip's header and trailer
ZEROS = bytes(1 << 24)

Key: TypeAlias = "tuple[str, str, int]"


@dataclass(frozen=True)
class PreparedExport:
    """One prepared export.

    Attributes
    ----------
    checksum
        The sum of all ids, modulo 2**64.
    """

    resource: str
    wire_format: str
    rows: int
    columns: int
    plain_bytes: int
    gzip_bytes: int
    checksum: int

    @property
    def key(self) -> Key:
        return self.resource, self.wire_format, self.rows

    @property
    def name(self) -> str:
        """The name of its file."""
        return file_name(*self.key)


def file_name(resource: str, wire_format: str, rows: int) -> str:
    return f"{rows}/{resource}.{wire_format}.gz"


@dataclass(frozen=True)
class Deflated:
    """A piece of a gzip member that refers to nothing before it and ends at a whole byte."""

    packed: bytes
    length: int
    crc: int


Pieces: TypeAlias = tuple[Deflated, Deflated, Deflated, Deflated]


class MemberTotals:
    """Length and CRC of a gzip member that is put together from pieces; its trailer has both."""

    def __init__(self) -> None:
        self.length = self.crc = 0

    def add(self, piece: Deflated) -> bytes:
        self.crc = piece.crc ^ _shift(self.crc, piece.length) ^ _shift(0, piece.length)  # the CRC of both in a row
        self.length += piece.length
        return piece.packed

    def trailer(self) -> bytes:
        return LAST_BLOCK + struct.pack("<II", self.crc, self.length % 2**32)


def _shift(crc: int, zeros: int) -> int:
    """Return a CRC after that many zero bytes."""
    from isal import isal_zlib

    while zeros > 0:
        crc = isal_zlib.crc32(memoryview(ZEROS)[:zeros], crc)
        zeros -= len(ZEROS)
    return crc


def deflate(pieces: Iterator[bytes]) -> Deflated:
    from isal import isal_zlib

    pack, packed, length, crc = isal_zlib.compressobj(1, wbits=RAW), bytearray(), 0, 0
    for piece in pieces:
        packed += pack.compress(piece)
        length, crc = length + len(piece), isal_zlib.crc32(piece, crc)
    packed += pack.flush(isal_zlib.Z_FULL_FLUSH)
    return Deflated(bytes(packed), length, crc)


class Rows:
    """Simulated rows of a resource, with every field that it has."""

    def __init__(self, resource: str, rows: int) -> None:
        from appmetrica_frames.schema import catalog

        self.resource = resource
        self.rows = rows
        self.fields = sorted(catalog.resource(resource).fields)

    @cached_property
    def frames(self) -> list[pl.DataFrame]:
        from appmetrica_frames.emulator.applications import APPLICATIONS
        from appmetrica_frames.emulator.export import Export
        from appmetrica_frames.emulator.request import parse
        from appmetrica_frames.emulator.simulation.population import Population

        application = next(known for known in APPLICATIONS if known.id == APPLICATION_ID)
        query = {
            "application_id": str(application.id),
            "date_since": FIRST_DAY,
            "date_until": LAST_DAY,
            "fields": ",".join(self.fields),
            "limit": str(self.rows),
        }
        per_day = int(self.rows * SPARE / DAYS) * (EVENTS_PER_INSTALL if self.resource == "installations" else 1)
        request = parse(f"{self.resource}.csv", tuple(query.items()), application)
        frames = list(Export(request, Population(application, rows_per_day=per_day, seed=1), BUILT_AT).frames())
        if sum(map(len, frames)) != self.rows:
            raise RuntimeError(f"The emulator made {sum(map(len, frames))} rows of {self.resource}, not {self.rows}.")
        return frames

    @cached_property
    def checksum(self) -> int:
        return sum(int(frame[ID].to_numpy().sum()) for frame in self.frames) % IDS

    def in_format(self, wire_format: str) -> Pieces:
        """Return the beginning of an export, these rows, the separator before further rows, and its end."""
        from appmetrica_frames.emulator.export import Csv, Json

        form: Format = Csv(self.fields, bom=False) if wire_format == "csv" else Json(self.fields, native=False)
        between = b"" if wire_format == "csv" else b","
        begin = deflate(iter([form.begin()]))
        rows = deflate(form.frame(piece) for frame in self.frames for piece in frame.iter_slices(1 << 14))
        return begin, rows, deflate(iter([between])), deflate(iter([form.end()]))


def prepare(directory: Path, wanted: list[Key]) -> list[PreparedExport]:
    """Write the wanted exports that the directory does not have yet; return all wanted ones."""
    record = directory / "exports.json"
    known = [PreparedExport(**one) for one in json.loads(record.read_text())] if record.exists() else []
    exports = {export.key: export for export in known}
    missing = [key for key in wanted if key not in exports]
    for source in sorted({_simulated_rows(key) for key in missing}):
        of_these = [key for key in missing if _simulated_rows(key) == source]
        exports |= {export.key: export for export in _write(directory, Rows(*source), of_these)}
        record.write_text(json.dumps([asdict(export) for export in exports.values()]))
    return [exports[key] for key in wanted]


def _simulated_rows(key: Key) -> tuple[str, int]:
    """Return the resource of an export and how many of its rows are simulated; the others are repetitions."""
    resource, _, rows = key
    return resource, min(rows, SIMULATED[resource])


def _write(directory: Path, rows: Rows, keys: list[Key]) -> Iterator[PreparedExport]:
    for wire_format in sorted({wire_format for _, wire_format, _ in keys}):
        pieces = rows.in_format(wire_format)
        for key in keys:
            if key[1] == wire_format:
                yield _write_repeated(directory / file_name(*key), rows, pieces, key)


def _write_repeated(path: Path, rows: Rows, pieces: Pieces, key: Key) -> PreparedExport:
    times, odd = divmod(key[2], rows.rows)
    if odd:
        raise ValueError(f"{key[2]} rows are no multiple of the {rows.rows} simulated ones.")
    begin, middle, between, end = pieces
    path.parent.mkdir(exist_ok=True)
    totals = MemberTotals()
    with path.open("wb") as file:
        file.write(GZIP_HEADER)
        for piece in (begin, *([middle, between] * times)[:-1], end):
            file.write(totals.add(piece))
        file.write(totals.trailer())
    return PreparedExport(
        *key,
        columns=len(rows.fields),
        plain_bytes=totals.length,
        gzip_bytes=path.stat().st_size,
        checksum=rows.checksum * times % IDS,
    )


if __name__ == "__main__":
    keys = [(resource, wire_format, rows) for resource, wire_format, rows in json.loads(sys.argv[2])]
    sys.stdout.write(json.dumps([asdict(one) for one in prepare(Path(sys.argv[1]), keys)]))
