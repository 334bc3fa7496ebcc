"""DuckDB: a database with a view over each resource of a dataset, for BI tools and the command line of DuckDB.

The views hold no rows. A database that is up to date is only read, so that others may have it open at the same time.
"""

from __future__ import annotations

import re
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from appmetrica_frames.engine.dataset import DATE_COLUMNS
from appmetrica_frames.errors import DatasetError, InvalidRequestError
from appmetrica_frames.schema import catalog
from appmetrica_frames.util.files import TEMPORARY

from .storage import Directory

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    import duckdb

    from appmetrica_frames.request.windows import Split

    from .storage import Storage

# Views and comments need no newer format, and a BI tool may bring an older DuckDB than the one that made the file.
OLDEST_FORMAT = {"storage_compatibility_version": "v1.0.0"}
GLOB_SIGNS = re.compile(r"([*?\[])")
PARTITION_COMMENTS = {
    "application_id": "The application's number in AppMetrica, from the name of the folder",
    "date": "The day of the rows, from the name of the folder",
    "week": "The Monday of the rows' week, from the name of the folder",
    "month": "The first day of the rows' month, from the name of the folder",
}


class ViewDatabase:
    """A DuckDB file with views over the dataset in a directory."""

    def __init__(self, file: str | os.PathLike[str], storage: Storage) -> None:
        self._path = Path(file).expanduser().absolute()
        _check_duckdb()
        if not isinstance(storage, Directory):
            raise InvalidRequestError(
                "duckdb keeps views over a dataset in a directory: DuckDB needs an extension and secrets of its own "
                "to read object storage. Leave duckdb out."
            )
        if self._path.is_dir() or not self._path.parent.is_dir():
            raise InvalidRequestError(f"duckdb takes the path of a file in a directory that exists, not {self._path}.")
        self._place = storage.place

    def update(self, resource: str, split: Split) -> None:
        """Have the view of a resource show what the dataset has."""
        with self._explain_failure():
            if not self._path.exists():
                self._create(resource, split)
            elif not self._is_current(resource, split):
                with _connect(self._path) as database:
                    self._define(database, resource, split)

    def _create(self, resource: str, split: Split) -> None:
        """Make a database that appears with its view."""
        beside = self._path.with_name(f".{self._path.name}.{uuid.uuid4().hex}{TEMPORARY}")
        try:
            with _connect(beside, config=OLDEST_FORMAT) as database:
                self._define(database, resource, split)
            if not _publish(beside, self._path):
                with _connect(self._path) as database:
                    self._define(database, resource, split)
        finally:
            with suppress(OSError):
                beside.unlink()

    def _is_current(self, resource: str, split: Split) -> bool:
        with _connect(":memory:") as wanted, _connect(self._path, read_only=True) as found:
            self._define(wanted, resource, split)
            return _describe(wanted, resource) == _describe(found, resource)

    def _define(self, database: duckdb.DuckDBPyConnection, resource: str, split: Split) -> None:
        database.begin()
        database.execute(_view_statement(self._place, resource, split))
        columns = [name for name, _, _ in _list_columns(database, resource)]
        for statement in _comment_statements(resource, columns):
            database.execute(statement)
        database.commit()

    @contextmanager
    def _explain_failure(self) -> Iterator[None]:
        import duckdb

        try:
            yield
        except (duckdb.Error, OSError) as error:
            is_open = isinstance(error, duckdb.IOException)
            advice = "close the file where it is open to be written to" if is_open else "name another file"
            raise DatasetError(
                f"The views in {self._path} cannot be updated ({error}). The dataset is up to date: {advice}, and make "
                "the same call again."
            ) from error


def _publish(beside: Path, path: Path) -> bool:
    """Give a file its name, unless another process has made one meanwhile: return whether it has the name."""
    try:
        path.hardlink_to(beside)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        beside.replace(path)
    return True


def _check_duckdb() -> None:
    try:
        import duckdb  # noqa: F401
    except ImportError as error:
        raise InvalidRequestError(
            "duckdb=… (--duckdb) needs DuckDB: pip install 'appmetrica-frames[duckdb]'."
        ) from error


def _connect(
    path: Path | str, *, read_only: bool = False, config: dict[str, Any] | None = None
) -> duckdb.DuckDBPyConnection:
    import duckdb

    return duckdb.connect(path, read_only=read_only, config=config or {})


def _view_statement(place: str, resource: str, split: Split) -> str:
    column = DATE_COLUMNS[split]
    folder = GLOB_SIGNS.sub(r"[\1]", place)
    files = _text(f"{folder}/{resource}/application_id=*/{column}=*/data.parquet")
    return (
        f"CREATE OR REPLACE VIEW {_name(resource)} AS SELECT * FROM read_parquet({files}, "  # noqa: S608 - quoted
        f"hive_partitioning = true, hive_types = {{'application_id': UBIGINT, {_text(column)}: DATE}}, "
        "union_by_name = true)"
    )


def _comment_statements(resource: str, columns: list[str]) -> Iterator[str]:
    kind = catalog.resource(resource)
    yield f"COMMENT ON VIEW {_name(resource)} IS {_text(kind.title)}"
    for column in columns:
        if comment := PARTITION_COMMENTS.get(column) or _describe_field(kind, column):
            yield f"COMMENT ON COLUMN {_name(resource)}.{_name(column)} IS {_text(comment)}"


def _describe_field(kind: catalog.Resource, name: str) -> str:
    known = kind.known_fields.get(name)
    if known is None:
        return ""
    return f"{known.description} ({known.unit})" if known.unit else known.description


def _describe(database: duckdb.DuckDBPyConnection, view: str) -> list[Any]:
    found = database.execute("SELECT sql, comment FROM duckdb_views() WHERE view_name = ?", [view]).fetchall()
    return [*found, *_list_columns(database, view)]


def _list_columns(database: duckdb.DuckDBPyConnection, view: str) -> list[Any]:
    question = "SELECT column_name, data_type, comment FROM duckdb_columns() WHERE table_name = ? ORDER BY column_index"
    return database.execute(question, [view]).fetchall()


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
