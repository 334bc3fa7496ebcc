"""The record of a stored export: what ``entry.json`` says, and whether it can be believed."""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass
from typing import Any

ENTRY_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One stored export.

    Attributes
    ----------
    generation
        Name of the Parquet file, without its ending.
    built_not_before
        UNIX seconds: the earliest instant at which the server can have built the file.
    stored_at
        UNIX seconds at which the file was published here.
    family, origin, request
        What was asked, where; the family is shared by requests that differ in nothing but their fields.
    fields
        The columns of the file.
    limited
        Whether the rows were capped.
    as_text
        Columns that did not fit their type and are kept as text, each with what was said of it.
    rows, size, checksum
        Number of rows, number of bytes and CRC-32 of the Parquet file.
    """

    generation: str
    built_not_before: float
    stored_at: float
    family: str
    origin: str
    request: dict[str, Any]
    fields: tuple[str, ...]
    limited: bool
    as_text: dict[str, str]
    rows: int
    size: int
    checksum: int

    def serialised(self) -> bytes:
        """Return the record as JSON that carries its own checksum."""
        facts = asdict(self)
        return json.dumps({"version": ENTRY_VERSION, "entry": facts, "check": _check(facts)}, indent=1).encode()


def parsed(text: bytes) -> Entry:
    """Return the record; raise `ValueError` if it is damaged, or of another version."""
    try:
        document = json.loads(text)
        facts = document["entry"]
        if document["version"] != ENTRY_VERSION or document["check"] != _check(facts):
            raise ValueError("its checksum does not match")
        return Entry(**{**facts, "fields": tuple(facts["fields"])})
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"it is no record of an export ({error})") from error


def _check(facts: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(facts, sort_keys=True).encode())
