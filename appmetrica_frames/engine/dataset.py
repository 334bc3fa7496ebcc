"""What a dataset of windows holds, and whether a call can go on with it: the same request, columns and types."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from appmetrica_frames.errors import InvalidRequestError
from appmetrica_frames.request.windows import first_day
from appmetrica_frames.schema import catalog

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from datetime import date

    from appmetrica_frames.cache.policy import FileTimes
    from appmetrica_frames.request.export import ExportRequest
    from appmetrica_frames.request.windows import Split

    from .options import ReadOptions
    from .resolve import ResolvedExport

APPLICATION = "application_id"
DATE_COLUMNS: dict[Split, str] = {"day": "date", "week": "week", "month": "month"}  # the names in the folders
SHARDS = "skip_unavailable_shards"
# The parameters that may differ between the files of one dataset.
VARIABLE = frozenset({APPLICATION, "date_since", "date_until", SHARDS})


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """One place of a dataset: an application, and the first day of a day, a week or a month."""

    application_id: int
    first: date


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFile:
    """What the one file of a partition says of itself.

    Attributes
    ----------
    params
        The parameters of the request.
    columns
        The names of the columns, in their order, and their Arrow types in words.
    """

    params: Mapping[str, str]
    origin: str
    columns: Mapping[str, str]
    times: FileTimes
    rows: int
    size: int

    @property
    def span(self) -> tuple[str, str]:
        """The first and the last second that the file covers."""
        return self.params["date_since"], self.params["date_until"]


class Dataset(Protocol):
    """Where the windows are published; see `integrations.dataset`."""

    @property
    def place(self) -> str:
        """The address, for messages."""

    def describe_path(self, partition: Partition) -> str:
        """Return the address of the file of a partition."""

    def lock(self) -> AbstractContextManager[None]:
        """Keep other processes from changing the dataset."""

    def load(self, partitions: Collection[Partition]) -> Mapping[Partition, DatasetFile | None]:
        """Return what is there for partitions, and the newest file, first; None stands for a damaged file of ours."""

    def publish(self, partition: Partition, export: ResolvedExport, about: DatasetFile) -> DatasetFile:
        """Replace the file of a partition by an export, as a whole or not at all."""


def check_partitions(
    resource: str, split: Split, fields: Iterable[str] | None, overrides: Mapping[str, object] | None
) -> None:
    """Raise `InvalidRequestError` for what cannot be partitioned by date, or collides with the partition columns."""
    if not catalog.resource(resource).dates:
        raise InvalidRequestError(
            f"{resource} takes no dates, so a dataset of it has no partitions: use download_appmetrica (the command "
            "download)."
        )
    if split not in DATE_COLUMNS:
        raise InvalidRequestError("split is 'day', 'week' or 'month': the dataset has a file for each.")
    if APPLICATION in (overrides or {}):
        raise InvalidRequestError(f"schema_overrides names {APPLICATION!r}, which is a partition column: drop it.")
    names = [name for name in (*(fields or ()), *(overrides or ())) if isinstance(name, str)]
    taken = {DATE_COLUMNS[split], APPLICATION}
    # Some readers compare names of columns without their case.
    for name in names:
        if name != APPLICATION and name.lower() in taken:
            raise InvalidRequestError(
                f"{name!r} is the name of a partition column with split={split!r}: leave the field out, or choose "
                "another split."
            )
    if names and set(names) == {APPLICATION}:
        raise InvalidRequestError(f"{APPLICATION} is a partition column: name at least one other field.")


def without_partition_columns(options: ReadOptions) -> ReadOptions:
    """Return a call without the field that is in the names of the folders."""
    return replace(options, requests=tuple(request.without([APPLICATION]) for request in options.requests))


def widen(options: ReadOptions, files: Mapping[Partition, DatasetFile | None], split: Split) -> ReadOptions:
    """Widen a call's first and last windows to what the dataset has of them, so that no rows of it are lost."""
    return replace(options, requests=tuple(_widen_request(request, files, split) for request in options.requests))


def _widen_request(
    request: ExportRequest, files: Mapping[Partition, DatasetFile | None], split: Split
) -> ExportRequest:
    params = dict(request.params)
    since, until = params["date_since"], params["date_until"]
    first = files.get(Partition(request.application_id, first_day(since, split)))
    last = files.get(Partition(request.application_id, first_day(until, split)))
    params["date_since"] = min(since, first.span[0]) if first else since
    params["date_until"] = max(until, last.span[1]) if last else until
    return replace(request, params=tuple(params.items()))


def check_request(options: ReadOptions, files: Sequence[DatasetFile], place: str) -> None:
    """Refuse to mix rows of different requests."""
    wanted = _list_constants(dict(options.request.params), options.settings.origin)
    for file in files:
        held = _list_constants(file.params, file.origin)
        names = [name for name in (*held, *wanted) if held.get(name) != wanted.get(name)]
        if names:
            raise InvalidRequestError(
                f"The dataset in {place} was made {_describe_constants(held, names)}, and this call is "
                f"{_describe_constants(wanted, names)}: sync to another place, or give the same parameters as then."
            )


def _list_constants(params: Mapping[str, str], origin: str) -> dict[str, str]:
    """Return what all files of a dataset have in common."""
    return {"base_url": origin} | {name: value for name, value in params.items() if name not in VARIABLE}


def _describe_constants(constants: Mapping[str, str], names: Iterable[str]) -> str:
    described = (
        f"with {name}={constants[name]!r}" if name in constants else f"without {name}" for name in dict.fromkeys(names)
    )
    return " and ".join(described)


def list_columns(request: ExportRequest) -> dict[str, str]:
    """Return the columns of an export with their Arrow types in words."""
    return {name: str(request.arrow_type(name)) for name in request.fields}


@dataclass(frozen=True, slots=True)
class _ColumnChanges:
    """How the columns of a call differ from those of a dataset."""

    retyped: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)


def order_columns(options: ReadOptions, files: Sequence[DatasetFile], place: str, *, add: bool) -> ReadOptions:
    """Return a call whose columns are those of the dataset, in its order, and then its new ones."""
    held: dict[str, str] = {}
    for file in files:
        held |= {name: type_ for name, type_ in file.columns.items() if name not in held}
    if not held:
        return options
    wanted = list_columns(options.request)
    _check_columns(_compare(held, wanted), held, wanted, place, add=add)
    order = tuple(dict.fromkeys((*held, *wanted)))
    return replace(options, requests=tuple(replace(request, fields=order) for request in options.requests))


def _compare(held: Mapping[str, str], wanted: Mapping[str, str]) -> _ColumnChanges:
    return _ColumnChanges(
        retyped=[name for name in held if name in wanted and wanted[name] != held[name]],
        missing=[name for name in held if name not in wanted],
        new=[name for name in wanted if name not in held],
    )


def _check_columns(
    changes: _ColumnChanges, held: Mapping[str, str], wanted: Mapping[str, str], place: str, *, add: bool
) -> None:
    if changes.retyped:
        types = ", ".join(f"{name!r} as {held[name]}, not {wanted[name]}" for name in changes.retyped)
        raise InvalidRequestError(
            f"The dataset in {place} has {types}: give the fields the types of the dataset, with schema_overrides or "
            "without; or sync to another place."
        )
    if changes.missing:
        raise InvalidRequestError(
            f"The dataset in {place} also has {_quote(changes.missing)}: name all its columns in fields (--fields), or "
            "sync to another place."
        )
    if changes.new and not add:
        raise InvalidRequestError(
            f"The dataset in {place} does not have {_quote(changes.new)}. With add_columns=True, new "
            "files have them, and the columns are null in the files that stay; or sync to another place."
        )


def _quote(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
