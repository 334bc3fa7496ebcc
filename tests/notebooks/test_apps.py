"""The marimo notebook and the Streamlit app run without a token and answer who chooses a country.

Each runs in a process of its own: what these libraries warn about, and the threads that they leave, are theirs.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from appmetrica_frames.emulator import Emulator

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
STREAMLIT = """
import json, sys
from streamlit.testing.v1 import AppTest

def shown(app):
    assert not app.exception, app.exception
    return {metric.label: metric.value for metric in app.metric}

app = AppTest.from_file(sys.argv[1], default_timeout=60).run()
everywhere = shown(app)
app.selectbox(key="country").select("DE").run()
print(json.dumps([everywhere, shown(app), [caption.value for caption in app.caption]]))
"""
MARIMO = """
import json, sys
from importlib.util import module_from_spec, spec_from_file_location
from types import SimpleNamespace

spec = spec_from_file_location("notebook", sys.argv[1])
notebook = module_from_spec(spec)
spec.loader.exec_module(notebook)

def shown(values):
    devices = values["selected"]["appmetrica_device_id"].n_unique()
    return {"Devices": f"{devices:,}", "Events": f"{values['selected'].height:,}", "days": values["daily"].height}

outputs, everywhere = notebook.app.run()
_, there = notebook.app.run(
    defs={"country": SimpleNamespace(value="DE"), "events": everywhere["events"], "days": everywhere["days"]}
)
print(json.dumps([shown(everywhere), shown(there), [output.text for output in outputs if hasattr(output, "text")]]))
"""


def run(library: str, code: str, file: str, directory: Path, **variables: str) -> Any:
    if importlib.util.find_spec(library) is None:
        reason = f"{library} is not installed; the extra dev has it"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    done = subprocess.run(
        [sys.executable, "-c", code, str(NOTEBOOKS / file)],
        cwd=directory,
        env={**os.environ, "HOME": str(directory), **variables},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def count(text: str) -> int:
    return int(text.replace(",", ""))


def test_streamlit_answers_who_chooses_a_country(tmp_path: Path) -> None:
    everywhere, there, captions = run("streamlit", STREAMLIT, "streamlit_app.py", tmp_path)
    assert set(everywhere) == {"Devices", "Events", "Devices a day"}
    assert 0 < count(there["Devices"]) < count(everywhere["Devices"])
    assert 0 < count(there["Events"]) < count(everywhere["Events"])
    assert "emulated server" in captions[0]
    assert not (tmp_path / "cache").exists(), "the emulated rows are not kept among those of the reader"


def test_marimo_answers_who_chooses_a_country(tmp_path: Path) -> None:
    everywhere, there, texts = run("marimo", MARIMO, "marimo_notebook.py", tmp_path)
    assert everywhere["days"] == 30
    assert 0 < count(there["Devices"]) < count(everywhere["Devices"])
    assert 0 < count(there["Events"]) < count(everywhere["Events"])
    assert "emulated server" in "".join(texts)
    assert not (tmp_path / "cache").exists(), "the emulated rows are not kept among those of the reader"


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("library", "code", "file"),
    [("streamlit", STREAMLIT, "streamlit_app.py"), ("marimo", MARIMO, "marimo_notebook.py")],
)
def test_with_a_token_the_same_code_reads_from_the_server_of_the_environment(
    library: str, code: str, file: str, server: Emulator, tmp_path: Path
) -> None:
    variables = {
        "APPMETRICA_TOKEN": server.token,
        "APPMETRICA_BASE_URL": server.base_url,
        "APPMETRICA_APPLICATION_ID": str(server.application_id),
    }
    _, _, said = run(library, code, file, tmp_path, **variables)
    assert "emulated" not in "".join(said)
    assert server.downloads == 5, "each week once, whatever was chosen"
