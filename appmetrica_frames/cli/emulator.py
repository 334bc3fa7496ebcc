"""Commands that run the emulated server: by itself, or for a demonstration."""

from typing import Annotated

import typer

from .output import MISUSED, print_message


def demo(
    *, keep: Annotated[bool, typer.Option("--keep", help="Keep the demonstration's cache afterwards.")] = False
) -> None:
    """Watch an export from start to finish: request, wait, download, frame. Needs no token and no network."""
    from .demo import run_demo

    run_demo(keep=keep)


def emulator(
    *,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free one.")] = 8000,
    rows_per_day: Annotated[int, typer.Option(help="Event rows of an average day.")] = 2_000,
    preparation: Annotated[float, typer.Option(help="Seconds that it takes to prepare a file.")] = 5.0,
    seed: Annotated[int, typer.Option(help="Seed of the simulated population.")] = 1,
) -> None:
    """Serve an emulated Logs API on this machine, until Ctrl-C or SIGTERM."""
    from appmetrica_frames.emulator import serve

    try:
        serve(port=port, rows_per_day=rows_per_day, preparation=preparation, seed=seed)
    except (ValueError, OSError) as error:
        print_message(str(error))
        raise typer.Exit(MISUSED) from error
