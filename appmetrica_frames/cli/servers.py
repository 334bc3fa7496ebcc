"""The emulated server, alone or in a demonstration."""

from typing import Annotated

import typer

from .talk import MISUSED, say


def demo(*, keep: Annotated[bool, typer.Option("--keep", help="Leave the store there afterwards.")] = False) -> None:
    """See an export travel. An emulated server, a wait, a download, a frame; needs no token and no network."""
    from .demo import show

    show(keep=keep)


def emulator(
    *,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    rows_per_day: Annotated[int, typer.Option(help="Event rows of an average day.")] = 2_000,
    preparation: Annotated[float, typer.Option(help="Seconds that preparing a file takes.")] = 5.0,
    seed: Annotated[int, typer.Option(help="Seed of the simulated population.")] = 1,
) -> None:
    """Serve an emulated Logs API on this machine. Ctrl-C or SIGTERM ends it."""
    from appmetrica_frames.emulator import serve

    try:
        serve(port=port, rows_per_day=rows_per_day, preparation=preparation, seed=seed)
    except (ValueError, OSError) as error:
        say(str(error))
        raise typer.Exit(MISUSED) from error
