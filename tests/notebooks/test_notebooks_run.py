"""Every committed notebook runs from top to bottom without a token, and shows what it showed when it was committed."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from appmetrica_frames.emulator import Emulator

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("matplotlib")

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
MOST_BYTES = 400_000
SECONDS_PER_CELL = 60
LOCAL_PATH = re.compile(r"(?<![\w:/.])/(?:home|Users|root|tmp|var|work|private|opt|usr)/|\b[A-Za-z]:\\\\?\w")
NUMBER = re.compile(r"\d[\d_.,]*")
# Nothing of the notebook's own may warn. What is let through has to do with the kernel that runs it, not with it.
STRICT = """\
import warnings
warnings.simplefilter("error")
warnings.filterwarnings("default", module=r"(ipykernel|IPython|jupyter_client|zmq|traitlets|tornado)(\\.|$)")
"""

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning:jupyter_client",  # asks asyncio for its event loop policy
    "ignore::DeprecationWarning:zmq",  # likewise
    "ignore:Proactor event loop:RuntimeWarning",  # zmq on Windows, which starts a thread instead
)
each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def outputs(notebook: nbformat.NotebookNode) -> Iterator[nbformat.NotebookNode]:
    for cell in notebook.cells:
        yield from cell.get("outputs", ())


def texts(notebook: nbformat.NotebookNode) -> str:
    return "\n".join(output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs(notebook))


def run(path: Path, directory: Path, **settings: str) -> nbformat.NotebookNode:
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(STRICT))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("APPMETRICA_")}
    client = nbclient.NotebookClient(
        notebook,
        timeout=SECONDS_PER_CELL,
        kernel_name="python3",
        coalesce_streams=True,
        resources={"metadata": {"path": str(directory)}},
    )
    client.create_kernel_manager()
    # The kernel is this very Python, whatever kernels are installed for the user.
    client.km.kernel_spec.argv[0] = sys.executable
    client.execute(env=environment | {"APPMETRICA_CACHE_DIR": str(directory / "store")} | settings)
    return notebook


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@each
def test_it_runs_without_a_token_and_shows_the_committed_numbers(path: Path, tmp_path: Path) -> None:
    ran = run(path, tmp_path)
    assert [output.text for output in outputs(ran) if output.get("name") == "stderr"] == []
    assert list(tmp_path.iterdir()) == [], "it left files, or used a store that is not its own"
    committed = nbformat.read(path, as_version=4)
    assert NUMBER.findall(texts(ran)) == NUMBER.findall(texts(committed)), (
        f"Other numbers than the committed ones; if that is meant: jupyter execute --inplace notebooks/{path.name}"
    )


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
    assert not any("widget" in kind for output in outputs(notebook) for kind in output.get("data", {}))
    shown = texts(notebook) + "".join(output.get("data", {}).get("text/html", "") for output in outputs(notebook))
    assert LOCAL_PATH.findall(shown + "".join(cell.source for cell in notebook.cells)) == []
    assert path.stat().st_size < MOST_BYTES


def test_with_a_token_the_same_code_reads_from_the_server_of_the_environment(server: Emulator, tmp_path: Path) -> None:
    ran = run(
        NOTEBOOKS[0],
        tmp_path,
        APPMETRICA_TOKEN=server.token,
        APPMETRICA_APPLICATION_ID=str(server.other_application_id),
        APPMETRICA_BASE_URL=server.base_url,
    )
    assert "Reading from AppMetrica" in texts(ran)
    assert server.downloads == 2, "a read and a refresh"
    assert server.token not in nbformat.writes(ran)
    assert (tmp_path / "store").is_dir(), "the store of the environment"


def test_all_begin_with_the_same_cell() -> None:
    first = [next(cell for cell in nbformat.read(p, as_version=4).cells if cell.cell_type == "code") for p in NOTEBOOKS]
    assert len({cell.source for cell in first}) == 1
