"""A notebook run as a reader runs it: by a kernel and in a directory of its own, without a token unless given one."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbclient
import nbformat

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
SECONDS_PER_CELL = 60
# Nothing of the notebook's own may warn. What is let through has to do with the kernel that runs it, not with it.
STRICT = """\
import warnings
warnings.simplefilter("error")
warnings.filterwarnings("default", module=r"(ipykernel|IPython|jupyter_client|zmq|traitlets|tornado)(\\.|$)")
warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"dask(\\.|$)")  # of pandas, in Dask's own calls
"""
KERNEL_WARNS = (
    "ignore::DeprecationWarning:jupyter_client",  # asks asyncio for its event loop policy
    "ignore::DeprecationWarning:zmq",  # likewise
    "ignore:Proactor event loop:RuntimeWarning",  # zmq on Windows, which starts a thread instead
)


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
