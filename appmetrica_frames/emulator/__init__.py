"""A Logs API on this machine: a real HTTP server with a simulated population behind it."""

from . import faults
from .clock import MovableClock
from .exchanges import Exchange
from .server import Emulator, serve

__all__ = ["Emulator", "Exchange", "MovableClock", "faults", "serve"]
