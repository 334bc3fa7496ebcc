"""The export resources, their fields and the fields' types, as documented by AppMetrica."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal, TypeAlias

from appmetrica_frames.errors import InvalidRequestError, did_you_mean

FieldType: TypeAlias = Literal["string", "uint64", "int64", "float64", "bool", "date", "datetime", "unix_time"]

ResourceName: TypeAlias = Literal[
    "clicks",
    "installations",
    "postbacks",
    "events",
    "profiles_v2",
    "profiles",
    "revenue_events",
    "deeplinks",
    "push_tokens",
    "crashes",
    "errors",
    "sessions_starts",
    "ad_revenue_events",
    "ecommerce_events",
]
"""The documented export resources."""


@dataclass(frozen=True, slots=True)
class Field:
    """One column of an export: its name, its type, and in words its unit and meaning."""

    name: str
    type: FieldType
    unit: str
    description: str


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of export.

    Attributes
    ----------
    dates
        Whether ``date_since`` and ``date_until`` are required; a resource without them exports its whole current set.
    date_dimension
        Whether the documents list ``date_dimension`` for the resource; it is accepted for the others, too.
    date_fields
        By ``date_dimension``, the fields that hold the moment which the dates of a request are about. None where the
        documents leave that open.
    custom_attributes
        Whether names of custom profile attributes may stand among the fields.
    legacy_fields
        Names that older documentation has and the current one has not.
    undocumented_fields
        Fields that no documentation of the resource lists, and that real exports have; requested where they are named.
    fields
        The documented fields: those that a call without ``fields`` requests.
    """

    name: str
    title: str
    deprecated: bool
    dates: bool
    date_dimension: bool
    date_fields: dict[str, tuple[str, ...]]
    custom_attributes: bool
    legacy_fields: tuple[str, ...]
    undocumented_fields: dict[str, Field]
    fields: dict[str, Field]

    @property
    def known_fields(self) -> dict[str, Field]:
        """The fields that may be named without their type."""
        return self.fields | self.undocumented_fields

    def wire_type(self, name: str) -> FieldType:
        """Return what a field's cells hold; those of fields that the catalogue lacks hold text."""
        return self.known_fields[name].type if name in self.known_fields else "string"


@cache
def resources() -> dict[str, Resource]:
    """Return every documented resource by name, in the documentation's order."""
    raw = json.loads(files("appmetrica_frames.schema").joinpath("catalog.json").read_text("utf-8"))
    fields = {name: Field(name, **facts) for name, facts in raw["fields"].items()}
    return {name: _resource(name, facts, fields) for name, facts in raw["resources"].items()}


def resource(name: str) -> Resource:
    """Return the resource of that name, or raise `InvalidRequestError` with the nearest names."""
    known = resources()
    if name not in known:
        raise InvalidRequestError(
            f"Unknown resource {name!r}.{did_you_mean(str(name), known)} The resources are: {', '.join(known)}."
        )
    return known[name]


def _resource(name: str, facts: dict[str, Any], fields: dict[str, Field]) -> Resource:
    read = {
        "legacy_fields": tuple(facts["legacy_fields"]),
        "date_fields": {dimension: tuple(names) for dimension, names in facts["date_fields"].items()},
        "undocumented_fields": {field: fields[field] for field in facts["undocumented_fields"]},
        "fields": {field: fields[field] for field in facts["fields"]},
    }
    return Resource(name, **facts | read)
