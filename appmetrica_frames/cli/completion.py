"""What the Tab key offers: names out of the catalogue and the store. It must be quick, and never fails."""

import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from textwrap import shorten

import typer

from appmetrica_frames.cache.manage import Cache
from appmetrica_frames.errors import AppMetricaError
from appmetrica_frames.schema import catalog

LONGEST = 60

Offers = Iterable[tuple[str, str]]
"""Words, each with what it means."""


def resource_names(incomplete: str) -> Offers:
    """Offer the resources."""
    known = catalog.resources().values()
    return [(kind.name, kind.title) for kind in known if kind.name.startswith(incomplete)]


def listed_fields(ctx: typer.Context, incomplete: str) -> Offers:
    """Offer the fields of the resource that stands before, each once, after a comma, too."""
    before, comma, name = incomplete.rpartition(",")
    offered = [(field, said) for field, said in _fields(ctx, name) if field not in before.split(",")]
    return [(f"{before}{comma}{field}", said) for field, said in offered]


def named_field(ctx: typer.Context, incomplete: str) -> Offers:
    """Offer a field that a value is given for."""
    return [(f"{field}=", said) for field, said in _fields(ctx, incomplete)]


def keys(ctx: typer.Context, incomplete: str) -> Offers:
    """Offer the keys of the stored exports."""
    with warnings.catch_warnings(), suppress(AppMetricaError, OSError):
        warnings.simplefilter("ignore")
        stored = Cache(ctx.params.get("cache_dir")).ls()
        return [(export.key, export.resource) for export in stored if export.key.startswith(incomplete)]
    return []


def one_of(words: Iterable[str]) -> Callable[[str], Offers]:
    """Offer a choice of words."""

    def chosen(incomplete: str) -> Offers:
        return [(word, "") for word in words if word.startswith(incomplete)]

    return chosen


def _fields(ctx: typer.Context, incomplete: str) -> Offers:
    known = catalog.resources()
    # Where the last option still lacks its value, the resource is left among the words that are not parsed.
    said = [word for word in (ctx.params.get("resource"), *ctx.args) if word in known]
    fields = known[said[0]].fields.values() if said else ()
    return [(field.name, _short(field.description)) for field in fields if field.name.startswith(incomplete)]


def _short(text: str) -> str:
    return shorten(text, LONGEST, placeholder="…")  # in some shells, a second line would be another word on offer
