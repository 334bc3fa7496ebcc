"""pandas: a DataFrame with Arrow-backed columns, so that no id becomes a float."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from . import arrow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appmetrica_frames.engine.resolve import ResolvedExport


def read(exports: Sequence[ResolvedExport]) -> pd.DataFrame:
    """Read exports into one frame."""
    table = arrow.read(exports)
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype, self_destruct=True, split_blocks=True)
    return frame
