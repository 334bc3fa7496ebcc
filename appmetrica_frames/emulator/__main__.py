"""``python -m appmetrica_frames.emulator``: serve until Ctrl-C or SIGTERM."""

from __future__ import annotations

from argparse import ArgumentDefaultsHelpFormatter, ArgumentParser

from .server import serve


def parser() -> ArgumentParser:
    words = ArgumentParser(
        prog="python -m appmetrica_frames.emulator",
        description="Serve an emulated AppMetrica Logs API on loopback until Ctrl-C or SIGTERM.",
        formatter_class=ArgumentDefaultsHelpFormatter,
    )
    words.add_argument("--port", type=int, default=8000, help="port to listen on; 0 takes a free one")
    words.add_argument("--rows-per-day", type=int, default=2_000, help="event rows of an average day")
    words.add_argument("--preparation", type=float, default=5.0, help="seconds that preparing a file takes")
    words.add_argument("--seed", type=int, default=1, help="seed of the simulated population")
    return words


if __name__ == "__main__":
    serve(**vars(parser().parse_args()))
