"""What cached exports become: the only modules that import a library for results, and only when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from appmetrica_frames.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from appmetrica_frames.engine.resolve import ResolvedExport

Backend: TypeAlias = Literal["polars", "pandas", "pyarrow"]
"""What `read_appmetrica` returns."""

_MODULES: dict[str, str] = {"polars": "polars", "pandas": "pandas", "pyarrow": "arrow"}


def load_backend(backend: str) -> Callable[[Sequence[ResolvedExport]], Any]:
    """Return the function that reads exports with a library, or raise `InvalidRequestError`."""
    if backend not in _MODULES:
        choices = ", ".join(map(repr, get_args(Backend)))
        raise InvalidRequestError(f"backend is one of {choices}, not {backend!r}.")
    read: Callable[[Sequence[ResolvedExport]], Any] = import_module(f"{__name__}.{_MODULES[backend]}").read
    return read
