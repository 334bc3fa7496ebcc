"""Checks of the emulator's options, with errors that name the option and what is allowed."""

from __future__ import annotations

from math import inf


def check_number(name: str, value: float | None, *, minimum: int = 0, maximum: float = inf) -> None:
    """Raise ValueError unless the value is None, or finite and within the limits."""
    if value is not None and (value == inf or not minimum <= value <= maximum):
        allowed = f"{minimum} or more" if maximum == inf else f"from {minimum} to {maximum}"
        raise ValueError(f"{name} must be {allowed}, not {value}")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise ValueError unless the value is one of the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be {' or '.join(map(repr, choices))}, not {value!r}")
