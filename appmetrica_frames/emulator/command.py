"""The command ``python -m appmetrica_frames.emulator``."""

from __future__ import annotations

import signal
import sys
import time
from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import TYPE_CHECKING

from .server import Emulator

if TYPE_CHECKING:
    from collections.abc import Iterator


EXIT_USAGE = 2


def serve(*, port: int = 8000, rows_per_day: int = 2_000, preparation: float = 5.0, seed: int = 1) -> None:
    """Serve until Ctrl-C or SIGTERM, and print first how to send a request.

    Parameters
    ----------
    port : int
        Port to listen on; 0 takes a free one.
    rows_per_day : int
        Event rows of an average day.
    preparation : float
        Seconds that it takes to prepare a file.
    seed : int
        Seed of the simulated population.

    Raises
    ------
    ValueError
        If a parameter is out of its range.
    OSError
        If the port is in use.
    """
    emulator = Emulator(rows_per_day=rows_per_day, preparation=preparation, seed=seed, port=port)
    try:
        with _sigterm_as_interrupt(), emulator as server:
            sys.stdout.write(format_greeting(server))
            sys.stdout.flush()
            while True:
                time.sleep(3600)
    except KeyboardInterrupt:
        sys.stdout.write("\nStopped.\n")


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does, because background jobs of a shell ignore Ctrl-C."""
    if current_thread() is not main_thread():
        yield
        return
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def format_greeting(server: Emulator) -> str:
    query = "fields=event_datetime,event_name,city&date_since=2026-01-01&date_until=2026-01-01&limit=10"
    return (
        f"Logs API emulator at  {server.base_url}\n"
        f"OAuth token           {server.token}\n"
        f"application_id        {server.application_id} (or {server.other_application_id})\n"
        "Send this twice, the first response is 202:\n"
        f"  curl -s -H 'Authorization: OAuth {server.token}' "
        f"'{server.base_url}/logs/v1/export/events.csv?application_id={server.application_id}&{query}'\n"
    )


def build_parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="python -m appmetrica_frames.emulator",
        description="Serve an emulated AppMetrica Logs API on loopback until Ctrl-C or SIGTERM.",
        formatter_class=ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=8000, help="port to listen on; 0 takes a free one")
    parser.add_argument("--rows-per-day", type=int, default=2_000, help="event rows of an average day")
    parser.add_argument("--preparation", type=float, default=5.0, help="seconds that it takes to prepare a file")
    parser.add_argument("--seed", type=int, default=1, help="seed of the simulated population")
    return parser


def main() -> None:
    """Parse the command line and serve; an invalid option or a busy port ends with one line and the exit code 2."""
    parser = build_parser()
    try:
        serve(**vars(parser.parse_args()))
    except (ValueError, OSError) as error:
        parser.exit(EXIT_USAGE, f"{parser.prog}: {error}\n")
