"""Shell completion from the catalogue and the cache. It must be fast, and must never fail."""

import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from textwrap import shorten

import typer

from appmetrica_frames.cache.manage import Cache
from appmetrica_frames.errors import AppMetricaError
from appmetrica_frames.schema import catalog

MAX_DESCRIPTION = 60

Completions = Iterable[tuple[str, str]]
"""Completions, each with its description."""


def resource_names(incomplete: str) -> Completions:
    """Complete the name of a resource."""
    resources = catalog.resources().values()
    return [(resource.name, resource.title) for resource in resources if resource.name.startswith(incomplete)]


def field_list(ctx: typer.Context, incomplete: str) -> Completions:
    """Complete the last name in a list of fields with one that the list does not have yet."""
    before, comma, name = incomplete.rpartition(",")
    unused = [(field, text) for field, text in _fields(ctx, name) if field not in before.split(",")]
    return [(f"{before}{comma}{field}", text) for field, text in unused]


def field_and_value(ctx: typer.Context, incomplete: str) -> Completions:
    """Complete the field in ``field=value``."""
    return [(f"{field}=", text) for field, text in _fields(ctx, incomplete)]


def cache_keys(ctx: typer.Context, incomplete: str) -> Completions:
    """Complete the key of a cached export."""
    with warnings.catch_warnings(), suppress(AppMetricaError, OSError):
        warnings.simplefilter("ignore")
        exports = Cache(ctx.params.get("cache_dir")).exports()
        return [(export.key, export.resource) for export in exports if export.key.startswith(incomplete)]
    return []


def choices(values: Iterable[str]) -> Callable[[str], Completions]:
    """Return a completion for one of several values."""

    def complete(incomplete: str) -> Completions:
        return [(value, "") for value in values if value.startswith(incomplete)]

    return complete


def _fields(ctx: typer.Context, incomplete: str) -> Completions:
    resources = catalog.resources()
    # While the last option lacks its value, the resource is still among the arguments that are not parsed.
    named = [name for name in (ctx.params.get("resource"), *ctx.args) if name in resources]
    fields = resources[named[0]].known_fields.values() if named else ()
    return [(field.name, _shorten(field.description)) for field in fields if field.name.startswith(incomplete)]


def _shorten(text: str) -> str:
    return shorten(text, MAX_DESCRIPTION, placeholder="…")  # some shells take a second line for another completion
