"""Every committed notebook runs from top to bottom without a token, and shows what it showed when it was committed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

pytest.importorskip("nbclient")
pytest.importorskip("nbformat")
pytest.importorskip("matplotlib")
pytest.importorskip("altair")
pytest.importorskip("vl_convert")
pytest.importorskip("dask.dataframe")

import nbformat
from running import KERNEL_WARNS, NOTEBOOKS, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Ran

    from appmetrica_frames.emulator import Emulator

MOST_BYTES, MOST_BYTES_OF_A_PICTURE = 600_000, 150_000
# What a notebook is there to write, beside itself; git is told not to look at it.
WRITTEN = {"04_bi_prototype": ["dashboard.html"]}
LOCAL_PATH = re.compile(r"(?<![\w:/.])/(?:home|Users|root|tmp|var|work|private|opt|usr)/|\b[A-Za-z]:\\\\?\w")
NUMBER = re.compile(r"\d[\d_.,]*")

pytestmark = [pytest.mark.filterwarnings(warning) for warning in KERNEL_WARNS]
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def outputs(notebook: nbformat.NotebookNode, *, watched: bool = False) -> Iterator[nbformat.NotebookNode]:
    """Yield the outputs of all cells, or only of those that show progress: no two runs show the same."""
    for cell in notebook.cells:
        if ("progress" in cell.metadata.get("tags", ())) == watched:
            yield from cell.get("outputs", ())


def texts(notebook: nbformat.NotebookNode, *, watched: bool = False) -> str:
    shown = outputs(notebook, watched=watched)
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in shown)


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize(
    "path",
    [path if path == NOTEBOOKS[0] else pytest.param(path, marks=pytest.mark.exhaustive) for path in NOTEBOOKS],
    ids=lambda path: path.stem,
)
def test_it_runs_without_a_token_and_shows_the_committed_numbers(path: Path, ran: Callable[[Path], Ran]) -> None:
    notebook, directory = ran(path)
    assert [output.text for output in outputs(notebook) if output.get("name") == "stderr"] == []
    left = [file.name for file in directory.iterdir()]
    assert left == WRITTEN.get(path.stem, []), "it left files, or used a store that is not its own"
    committed = nbformat.read(path, as_version=4)
    assert NUMBER.findall(texts(notebook)) == NUMBER.findall(texts(committed)), (
        f"Other numbers than the committed ones; if that is meant: jupyter execute --inplace notebooks/{path.name}"
    )


def test_the_quick_start_shows_progress(ran: Callable[[Path], Ran]) -> None:
    line = re.compile(
        # The speeds are left out where it all went too fast to tell.
        r"events of 1111, 2024-06-01 to 2024-06-30: ready in [0-9]+ s, [0-9.]+ MB downloaded,"
        r".* [0-9,]+ rows(, .* rows/s)?\n"
    )
    committed = nbformat.read(NOTEBOOKS[0], as_version=4)
    assert line.fullmatch(texts(committed, watched=True))
    assert "pictures/progress.png" in "".join(cell.source for cell in committed.cells)
    live = [*outputs(ran(NOTEBOOKS[0]).notebook, watched=True)]
    assert line.search("".join(output.get("text", "") for output in live)) or "widget" in str(live)


@each
def test_it_is_committed_as_it_was_executed_from_top_to_bottom(path: Path) -> None:
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert sum(bool(cell.outputs) for cell in code) >= len(code) / 2
    assert {output.output_type for cell in code for output in cell.outputs} <= {
        "display_data",
        "execute_result",
        "stream",
    }


@each
def test_it_holds_no_widgets_no_local_paths_and_is_of_modest_size(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    everything = [*outputs(notebook), *outputs(notebook, watched=True)]
    assert not any("widget" in kind for output in everything for kind in output.get("data", {}))
    shown = (
        texts(notebook)
        + texts(notebook, watched=True)
        + "".join(output.get("data", {}).get("text/html", "") for output in outputs(notebook))
    )
    assert LOCAL_PATH.findall(shown + "".join(cell.source for cell in notebook.cells)) == []
    assert path.stat().st_size < MOST_BYTES


@pytest.mark.exhaustive
def test_with_a_token_the_same_code_reads_from_the_server_of_the_environment(server: Emulator, tmp_path: Path) -> None:
    ran = run(
        NOTEBOOKS[0],
        tmp_path,
        APPMETRICA_TOKEN=server.token,
        APPMETRICA_APPLICATION_ID=str(server.other_application_id),
        APPMETRICA_BASE_URL=server.base_url,
    )
    assert "Reading from AppMetrica" in texts(ran)
    # The file of the refresh is requested once more before it is downloaded: it could be that of the read.
    assert (server.preparations, server.downloads) == (2, 3), "a read and a refresh"
    assert server.token not in nbformat.writes(ran)
    assert (tmp_path / "store").is_dir(), "the store of the environment"


def test_all_begin_with_the_same_cell() -> None:
    first = [next(cell for cell in nbformat.read(p, as_version=4).cells if cell.cell_type == "code") for p in NOTEBOOKS]
    assert len({cell.source for cell in first}) == 1


def test_every_picture_is_shown_somewhere_and_of_modest_size() -> None:
    folder = NOTEBOOKS[0].parent
    shown = "".join(path.read_text(encoding="utf-8") for path in [*folder.glob("*.md"), folder.parent / "README.md"])
    pictures = sorted((folder / "pictures").iterdir())
    assert [picture.name for picture in pictures if f"pictures/{picture.name}" not in shown] == []
    assert all(picture.stat().st_size < MOST_BYTES_OF_A_PICTURE for picture in pictures)
