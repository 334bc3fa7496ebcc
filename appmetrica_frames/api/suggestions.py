"""What is wrong with the arguments of a call, and what was probably meant."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from appmetrica_frames.client import Client
from appmetrica_frames.errors import did_you_mean
from appmetrica_frames.util.caller import SAID_IN_FULL, cut_traceback

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

P = ParamSpec("P")
R = TypeVar("R")

MAX_EXCERPT = 40  # characters of a value in a message

# What other libraries, and AppMetrica's other APIs, call a parameter.
OTHER_NAMES = {
    "resource": ("report", "table", "kind"),
    "application_id": ("app", "apps", "app_id", "app_ids", "application", "applications", "id", "ids"),
    "date_since": ("date_from", "from_date", "start_date", "date_start", "date1", "since", "start", "from_"),
    "date_until": ("date_to", "to_date", "end_date", "date_end", "date2", "until", "end", "to"),
    "fields": ("columns", "cols", "usecols", "select", "metrics", "dimensions"),
    "filters": ("where", "query", "predicate"),
    "limit": ("n_rows", "nrows", "rows", "max_rows", "top"),
    "wire_format": ("format", "file_format"),
    "split": ("chunks", "freq", "granularity", "every", "window", "windows", "partition_by"),
    "max_age": ("ttl", "cache_ttl", "expire_after", "max_staleness"),
    "refresh": ("force", "force_refresh", "reload", "no_cache"),
    "cache": ("use_cache", "caching", "store"),
    "offline": ("cache_only", "local_files_only"),
    "backend": ("engine", "library", "dtype_backend", "output"),
    "schema_overrides": ("dtype", "dtypes", "schema", "types"),
    "batch_size": ("chunksize", "chunk_size", "batch_rows"),
    "to": ("path", "directory", "destination", "target", "output"),
    "client": ("session", "connection"),
    "token": ("oauth_token", "access_token"),
    "network_timeout": ("timeout",),
}
EXAMPLES = {
    "resource": "'events'",
    "application_id": "1111",
    "date_since": "'2024-07-01'",
    "to": "'dataset'",
}


def suggest_parameters(function: Callable[P, R]) -> Callable[P, R]:
    """Have wrong arguments raise a `TypeError` that says what to write, and errors end at the caller's line."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            _check_arguments(function.__name__, signature.parameters, args, kwargs)
        except TypeError as error:
            error.__traceback__ = None  # as in `raise_at_caller`
            raise
        try:
            return function(*args, **kwargs)
        except SAID_IN_FULL as error:
            cut_traceback(error)
            raise

    return call


def _check_arguments(
    function: str, parameters: Mapping[str, inspect.Parameter], args: tuple[object, ...], kwargs: Mapping[str, object]
) -> None:
    positional = [name for name, known in parameters.items() if known.kind is known.POSITIONAL_OR_KEYWORD]
    others = [name for name in parameters if name not in positional]
    if len(args) > len(positional):
        hints = [f"{name}={_excerpt(value)}" for name, value in zip(others, args[len(positional) :], strict=False)]
        raise TypeError(f"{function}() takes only {_list(positional)} by position: write {', '.join(hints)}.")
    if unknown := [name for name in kwargs if name not in parameters]:
        raise TypeError(_describe_unknown(function, unknown, parameters))
    given = {*positional[: len(args)], *kwargs}
    required = [name for name, known in parameters.items() if known.default is known.empty and name not in given]
    if required:
        hints = [f"{name}={EXAMPLES.get(name, '...')}" for name in required]
        raise TypeError(f"{function}() needs {_list(required)}, for example {', '.join(hints)}.")


def _describe_unknown(function: str, unknown: list[str], known: Collection[str]) -> str:
    subject = "unexpected keyword arguments" if unknown[1:] else "an unexpected keyword argument"
    hints = "".join(dict.fromkeys(_suggest(name, known) for name in unknown))
    hints = hints.replace("? Did you mean", " and") or f" help({function}) lists its parameters."
    return f"{function}() got {subject} {_list(unknown)}.{hints}"


def _suggest(name: str, known: Collection[str]) -> str:
    meant = [parameter for parameter, others in OTHER_NAMES.items() if name.lower() in (parameter, *others)]
    for parameter in filter(known.__contains__, meant):
        return f" Did you mean {parameter!r}?"
    for setting in filter(inspect.signature(Client).parameters.__contains__, (name, *meant)):
        return f" {setting!r} is a setting of the client: client=Client({setting}=...)."
    return did_you_mean(name, known)


def _list(names: list[str]) -> str:
    *others, last = map(repr, names)
    return f"{', '.join(others)} and {last}" if others else last


def _excerpt(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_EXCERPT else "..."
