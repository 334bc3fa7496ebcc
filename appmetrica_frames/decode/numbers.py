"""Find what only pyarrow reads as a number: ``0x1F``, ``nan``, ``inf`` and, as infinity, ``1e400``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pyarrow import compute
from pyarrow import types as is_type

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

_HEX_PREFIX = np.frombuffer(b"0x", "<u2")[0]
_LOWER_CASE = np.uint8(0x20)  # the bit that makes X an x, and leaves 0 as it is
SLICE_BYTES = 1 << 18
_BEFORE_CELL = np.frombuffer(b',\n\r" \t', np.uint8)


def find_infinite(cells: pa.Array[Any]) -> int | None:
    """Return the index of the first cell that is infinite or not a number, if there is one."""
    if not is_type.is_floating(cells.type):
        return None
    is_finite: Any = compute.is_finite(cells)
    return is_finite.to_pylist().index(False) if is_finite.false_count else None


def find_hexadecimal(cells: pa.Array[Any]) -> int | None:
    """Return the index of the first text that begins like a hexadecimal number, if there is one."""
    is_hex: Any = compute.match_substring_regex(cells, pattern=r"^\s*0[xX]")
    return is_hex.to_pylist().index(True) if is_hex.true_count else None


def may_hold_hexadecimal(text: bytes | memoryview) -> bool:
    """Return whether a cell of a CSV text may begin like a hexadecimal number."""
    # On every block of an export, this must cost next to nothing: pairs of bytes are compared at once, and the slices
    # are so short that they stay in a core's cache while other threads work on other blocks.
    characters = np.frombuffer(text, np.uint8)
    starts = range(0, characters.size, SLICE_BYTES)
    return bytes(text[:2]).lower() == b"0x" or any(
        _holds_prefix(characters[at : at + SLICE_BYTES + 2]) for at in starts
    )


def _holds_prefix(characters: NDArray[np.uint8]) -> bool:
    """Return whether a prefix follows a character of a slice that may stand before a cell."""
    folded = characters | _LOWER_CASE
    return any(_begins_cell(characters, _pairs(folded, offset) == _HEX_PREFIX, offset) for offset in (0, 1))


def _pairs(characters: NDArray[np.uint8], offset: int) -> NDArray[np.uint16]:
    return np.frombuffer(characters.data, "<u2", (characters.size - offset) // 2, offset)


def _begins_cell(characters: NDArray[np.uint8], is_prefix: NDArray[np.bool_], offset: int) -> bool:
    if not is_prefix.any():
        return False
    before = 2 * np.flatnonzero(is_prefix) + offset - 1
    return bool(np.isin(characters[before[before >= 0]], _BEFORE_CELL).any())
