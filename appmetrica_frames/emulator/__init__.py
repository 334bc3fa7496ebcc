"""A Logs API emulator: a real HTTP server on loopback with a simulated population behind it."""

from . import faults
from .clock import MovableClock
from .command import serve
from .exchanges import Exchange
from .server import Emulator

__all__ = ["Emulator", "Exchange", "MovableClock", "faults", "serve"]
