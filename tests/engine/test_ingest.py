"""Bodies become one Parquet file; what does not fit becomes text, and what the server says of the token is redacted."""

from __future__ import annotations

import gzip
import json
import threading
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

import appmetrica_frames as af
from appmetrica_frames.engine.ingest import ParquetIngest
from appmetrica_frames.logs_api.steps import WHOLE, Part
from appmetrica_frames.progress import NullReporter
from appmetrica_frames.request.export import ExportRequest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIELDS = ("appmetrica_device_id", "city", "click_timestamp", "install_timestamp", "is_reinstallation")
GOOD = ("1", "Omsk", "1722285421", "1722285422", "true")
TOKEN = "canary-token-" + "0123456789abcdef" * 8


@dataclass
class Body:
    """A body as the transport hands it over, in chunks of some size."""

    content: bytes
    framed: bool = True
    encoding: str = ""
    chunk: int = 1000
    aborted: bool = False

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self.content), self.chunk):
            yield self.content[start : start + self.chunk]

    def abort(self) -> None:
        self.aborted = True


@dataclass
class Files:
    """Where the Parquet files go."""

    folder: Path
    parts: dict[int, Path] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.folder / "export.parquet"

    def part(self, number: int) -> Path:
        return self.folder / f"part{number}.parquet"


@pytest.fixture(params=["csv", "json"])
def wire_format(request: Any) -> str:
    return str(request.param)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def write(wire_format: str, rows: list[tuple[str, ...]]) -> bytes:
    if wire_format == "json":
        return json.dumps({"data": [dict(zip(FIELDS, row, strict=True)) for row in rows]}).encode()
    return "\n".join(",".join(f'"{cell}"' for cell in row) for row in [FIELDS, *rows]).encode()


def build_ingest(wire_format: Any, files: Files, **options: Any) -> ParquetIngest:
    request = ExportRequest(resource="installations", params=(), fields=FIELDS, wire_format=wire_format)
    options = {"strict": False, "reporter": NullReporter(), **options}
    return ParquetIngest(request, files, **options)  # type: ignore[arg-type]  # the names of the files are all it needs


def receive(ingest: ParquetIngest, content: bytes, part: Part = WHOLE) -> bool:
    before = threading.active_count()
    try:
        return ingest.receive(Body(content), part)  # type: ignore[arg-type]  # it has what the transport's has
    finally:
        assert threading.active_count() == before


def with_misfits(*rows: tuple[int, int, str]) -> list[tuple[str, ...]]:
    """Return 200 rows in which some cells, by row and column, do not fit."""
    cells = [list(GOOD) for _ in range(200)]
    for row, column, value in rows:
        cells[row][column] = value
    return [tuple(row) for row in cells]


MISFITS = with_misfits((3, 0, "-1"), (50, 2, "soon"), (50, 0, "x"), (120, 4, "maybe"), (199, 3, "1e400"))


def test_all_misfits_are_found_in_one_download(wire_format: str, files: Files) -> None:
    ingest, content = build_ingest(wire_format, files), write(wire_format, MISFITS)
    assert not receive(ingest, content)
    assert {name: text.partition(" does")[0] for name, text in ingest.text_columns.items()} == {
        "appmetrica_device_id": "Column 'appmetrica_device_id', row 4 of the export: '-1'",
        "click_timestamp": "Column 'click_timestamp', row 51 of the export: 'soon'",
        "is_reinstallation": "Column 'is_reinstallation', row 121 of the export: 'maybe'",
        "install_timestamp": "Column 'install_timestamp', row 200 of the export: '1e400'",
    }
    assert receive(ingest, content)
    assert ingest.rows == 200
    assert [tuple(row.values()) for row in pq.read_table(files.path).to_pylist()] == MISFITS


def test_misfits_of_all_parts_are_found_in_one_download(wire_format: str, files: Files) -> None:
    ingest = build_ingest(wire_format, files)
    parts = [with_misfits((3, 2, "soon")), with_misfits(), with_misfits((7, 2, "late"), (8, 4, "maybe"))]
    answers = [receive(ingest, write(wire_format, rows), Part(number, 3)) for number, rows in enumerate(parts)]
    assert answers == [True, True, False]
    assert [*ingest.text_columns] == ["click_timestamp", "is_reinstallation"]
    assert all(receive(ingest, write(wire_format, rows), Part(number, 3)) for number, rows in enumerate(parts))
    assert ingest.rows == pq.read_metadata(files.path).num_rows == 600


def test_with_strict_the_first_misfit_is_an_error(wire_format: str, files: Files) -> None:
    ingest = build_ingest(wire_format, files, strict=True)
    with pytest.raises(af.SchemaError) as caught:
        receive(ingest, write(wire_format, MISFITS))
    assert (caught.value.column, caught.value.row, caught.value.value) == ("appmetrica_device_id", 4, "-1")
    assert ingest.text_columns == {}


def test_misfits_of_a_damaged_body_do_not_count(wire_format: str, files: Files) -> None:
    ingest, content = build_ingest(wire_format, files), write(wire_format, MISFITS)
    zipped = bytearray(gzip.compress(content))
    zipped[-5] ^= 1
    with pytest.raises(af.DownloadError, match="damaged"):
        receive(ingest, bytes(zipped))
    assert receive(ingest, write(wire_format, with_misfits()))
    assert ingest.text_columns == {}


def test_an_error_after_a_misfit_is_raised(wire_format: str, files: Files) -> None:
    ingest = build_ingest(wire_format, files)
    with pytest.raises((af.DecodeError, af.DownloadError)):
        receive(ingest, write(wire_format, MISFITS)[:-3] + b'"x"')


def test_three_misfitting_columns_cost_one_further_download(raw_server: Any) -> None:
    content = gzip.compress(write("csv", MISFITS))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(content)
    server = raw_server(lambda *_: head + content)
    with pytest.warns(af.SchemaWarning):
        frame = af.read_appmetrica(
            "installations",
            application_id=1,
            date_since="2024-07-29",
            date_until="2024-07-29",
            fields=FIELDS,
            client=server.client(),
        )
    assert frame.rows() == MISFITS
    assert len(server.requests) == 2


def redact(text: str) -> str:
    return text.replace(TOKEN, "***")


# The message holds the beginning of a value only: there, half of the token would not be found any more.
ECHOES = [TOKEN, f"no number but {'x' * 20} {TOKEN}"]


@pytest.mark.parametrize("echo", ECHOES)
def test_what_is_kept_of_a_misfit_is_redacted(wire_format: str, files: Files, echo: str) -> None:
    ingest = build_ingest(wire_format, files, redact=redact)
    assert not receive(ingest, write(wire_format, with_misfits((5, 2, echo))))
    (text,) = ingest.text_columns.values()
    assert "***" in text
    assert "canary" not in text


@pytest.mark.parametrize("echo", ECHOES)
def test_a_misfit_that_is_raised_is_redacted(wire_format: str, files: Files, echo: str) -> None:
    ingest = build_ingest(wire_format, files, redact=redact, strict=True)
    with pytest.raises(af.SchemaError) as caught:
        receive(ingest, write(wire_format, with_misfits((5, 2, echo))))
    assert caught.value.value == redact(echo)
    shown = "".join(traceback.format_exception(caught.value))
    assert "***" in shown
    assert "canary-token-0" not in shown


@pytest.mark.parametrize(
    "content",
    [
        f"<html>{TOKEN[:60]}".encode(),
        f'"{FIELDS[0]}"\n{TOKEN[:60]}'.encode(),
        ",".join(FIELDS).encode() + f"\n1,2,3,{TOKEN[:60]}".encode(),
        ",".join(FIELDS).encode() + f"\n1,{TOKEN[:60]}".encode() + b"\xff,3,4,5",
    ],
)
def test_other_errors_are_redacted(content: bytes, files: Files) -> None:
    ingest = build_ingest("csv", files, redact=lambda text: text.replace(TOKEN[:60], "***"))
    with pytest.raises(af.DecodeError) as caught:
        receive(ingest, content)
    assert "canary" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
def test_a_body_whose_end_is_not_marked_is_refused(wire_format: str, files: Files, *, zipped: bool) -> None:
    content = write(wire_format, with_misfits())
    body: Any = Body(gzip.compress(content) if zipped else content, framed=False)
    with pytest.raises(af.DownloadError, match=r"does not mark the end of the file.*Check base_url"):
        build_ingest(wire_format, files).receive(body, WHOLE)


def test_a_cut_between_two_gzip_members_cannot_be_published(raw_server: Any) -> None:
    content = gzip.compress(write("csv", with_misfits()))  # another member would follow
    server = raw_server(lambda *_: b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + content)
    with pytest.raises(af.DownloadError, match="does not mark the end"):
        af.read_appmetrica(
            "installations",
            application_id=1,
            date_since="2024-07-29",
            date_until="2024-07-29",
            fields=FIELDS,
            client=server.client(),
        )
    assert af.Cache().exports() == []
