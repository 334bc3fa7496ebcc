"""Texts that come from outside, read within limits."""

from __future__ import annotations

import json
from typing import Any

from appmetrica_frames.errors import DecodeError

MAX_TEXT = 64 << 10
MAX_JSON = 4 << 20


def parse_document(text: str, path: str) -> Any:
    """Return the JSON document that a path answered with."""
    if len(text) >= MAX_JSON:
        raise DecodeError(f"{path} answers with more than {MAX_JSON >> 20} MiB: check base_url.")
    try:
        return json.loads(text)
    except ValueError as error:
        raise DecodeError(f"{path} did not answer with JSON: check base_url.") from error
