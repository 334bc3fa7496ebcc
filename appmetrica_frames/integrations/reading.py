"""Ways to read the Parquet file of an export; a library is imported when its way is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

from appmetrica_frames.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from appmetrica_frames.engine.resolve import Export

Backend: TypeAlias = Literal["polars", "pandas", "pyarrow"]


def to_polars(export: Export) -> pl.DataFrame:
    """Read an export into a Polars frame."""
    import polars as pl

    return pl.read_parquet(export.path, columns=list(export.fields)).select(export.fields)


def to_lazy(export: Export) -> pl.LazyFrame:
    """Scan an export lazily with Polars."""
    import polars as pl

    return pl.scan_parquet(export.path).select(export.fields)


def to_arrow(export: Export) -> pa.Table:
    """Read an export into an Arrow table."""
    import pyarrow.parquet as pq

    # Ours is one immutable file: nothing to discover, and no partition columns in its path.
    table = pq.ParquetFile(export.path).read(columns=list(export.fields))
    return table.select(list(export.fields)).replace_schema_metadata(None)


def to_pandas(export: Export) -> pd.DataFrame:
    """Read an export into a pandas frame with Arrow-backed columns, so that no id becomes a float."""
    import pandas as pd

    frame: pd.DataFrame = to_arrow(export).to_pandas(types_mapper=pd.ArrowDtype, self_destruct=True, split_blocks=True)
    return frame


READERS: dict[Backend, Callable[[Export], pl.DataFrame | pd.DataFrame | pa.Table]] = {
    "polars": to_polars,
    "pandas": to_pandas,
    "pyarrow": to_arrow,
}


def checked_backend(backend: str) -> Callable[[Export], pl.DataFrame | pd.DataFrame | pa.Table]:
    """Return the reader of a backend, or raise `InvalidRequestError`."""
    for known, reader in READERS.items():
        if backend == known:
            return reader
    raise InvalidRequestError(f"backend is one of {', '.join(map(repr, READERS))}, not {backend!r}.")


def pieces(export: Export, *, batch_size: int) -> Iterator[pa.Schema | pa.RecordBatch]:
    """Yield the schema of an export, then its rows in batches.

    The file is open from the first piece on, so that it may be removed meanwhile; it is closed after the last, or when
    the iterator is.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = list(export.fields)
    with pq.ParquetFile(export.path) as file:
        yield pa.schema([file.schema_arrow.field(name) for name in fields])
        for batch in file.iter_batches(batch_size=batch_size, columns=fields):
            yield batch.select(fields).replace_schema_metadata(None)
