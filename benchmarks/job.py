"""What a case is given, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from .exports import APPLICATION_ID, FIRST_DAY, ID, IDS, LAST_DAY

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd
    import polars as pl


class Found(TypedDict):
    """The answer of a case; what else it may say is for the reader of the results."""

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
    room
        A directory of its own: an empty store, or one that holds the export already.
    """

    resource: str
    wire_format: str
    base_url: str
    token: str
    file: Path
    room: Path

    @property
    def words(self) -> dict[str, Any]:
        """The words of the request, in our spelling."""
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
    def stored(self) -> Path:
        """The Parquet file of a store that holds one."""
        (path,) = self.room.rglob("*.parquet")
        return path


def found(ids: np.ndarray, columns: int) -> Found:
    """Say what was found, from the ids of all rows as numpy's unsigned numbers."""
    return {"rows": len(ids), "columns": columns, "checksum": int(ids.sum())}


def found_by_polars(frame: pl.DataFrame) -> Found:
    import polars as pl

    return found(frame[ID].cast(pl.UInt64).to_numpy(), frame.width)


def found_by_pandas(frame: pd.DataFrame) -> Found:
    return found(frame[ID].to_numpy(dtype="uint64"), frame.shape[1])


def found_in_parquet(path: Path) -> Found:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        columns = file.metadata.num_columns
        pieces = [found(batch.column(0).to_numpy(), columns) for batch in file.iter_batches(columns=[ID])]
    return added(pieces, columns)


def added(pieces: list[Found], columns: int) -> Found:
    rows, checksum = (sum(piece[name] for piece in pieces) for name in ("rows", "checksum"))
    return {"rows": rows, "columns": columns, "checksum": checksum % IDS}
