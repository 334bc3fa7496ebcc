"""What a case gets as its input, and the summary of the rows that it returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from .exports import APPLICATION_ID, FIRST_DAY, ID, IDS, LAST_DAY

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd
    import polars as pl


class Summary(TypedDict):
    """What tells a right answer from a wrong one; a case may add facts for the reader of the results."""

    rows: int
    columns: int
    checksum: int


@dataclass(frozen=True)
class Job:
    """One export for one case to get.

    Attributes
    ----------
    file
        The gzip file that the server sends.
    folder
        A directory of its own: an empty cache, or one that holds the export already.
    """

    resource: str
    wire_format: str
    base_url: str
    token: str
    file: Path
    folder: Path

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the request, as `read_appmetrica` takes them."""
        return {
            "application_id": APPLICATION_ID,
            "date_since": FIRST_DAY,
            "date_until": LAST_DAY,
            "wire_format": self.wire_format,
        }

    @property
    def url(self) -> str:
        return f"{self.base_url}/logs/v1/export/{self.resource}.{self.wire_format}"

    @property
    def parquet(self) -> Path:
        """The Parquet file of a cache that holds one."""
        (path,) = self.folder.rglob("*.parquet")
        return path


def summarize(ids: np.ndarray, columns: int) -> Summary:
    """Return the summary of rows with these ids, which are numpy's unsigned numbers."""
    return {"rows": len(ids), "columns": columns, "checksum": int(ids.sum())}


def summarize_polars(frame: pl.DataFrame) -> Summary:
    import polars as pl

    return summarize(frame[ID].cast(pl.UInt64).to_numpy(), frame.width)


def summarize_pandas(frame: pd.DataFrame) -> Summary:
    return summarize(frame[ID].to_numpy(dtype="uint64"), frame.shape[1])


def summarize_parquet(path: Path) -> Summary:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        columns = file.metadata.num_columns
        pieces = [summarize(batch.column(0).to_numpy(), columns) for batch in file.iter_batches(columns=[ID])]
    return combine(pieces, columns)


def combine(pieces: list[Summary], columns: int) -> Summary:
    """Return the summary of all rows from those of batches of them."""
    rows, checksum = (sum(piece[name] for piece in pieces) for name in ("rows", "checksum"))
    return {"rows": rows, "columns": columns, "checksum": checksum % IDS}
