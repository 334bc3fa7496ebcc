"""The command line: a thin skin of the library's verbs. Data goes to standard output, talk to standard error."""

import signal
import sys
import warnings
from types import FrameType
from typing import Annotated, NoReturn

import typer

from appmetrica_frames import __version__

from . import exports, listings, servers, stored
from .talk import NAME, TERMINATED, examples, show_warning, speaking

__all__ = ["app", "run"]

app = typer.Typer(
    name=NAME,
    help="AppMetrica Logs API exports as frames and files. The token comes from APPMETRICA_TOKEN alone.",
    no_args_is_help=True,
    rich_markup_mode=None,  # its table cuts long option names
    pretty_exceptions_enable=False,  # they would show local variables, and with them the token
)


def run() -> None:
    """Run the command that the process was started with."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # event names know no code page
    warnings.showwarning = show_warning
    signal.signal(signal.SIGTERM, _terminated)
    app(prog_name=NAME)


def _terminated(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature of a handler
    """End as an error does, so that no temporary file is left."""
    sys.exit(TERMINATED)


def _version(wanted: bool) -> None:  # noqa: FBT001 - typer's way to call
    if wanted:
        typer.echo(f"{NAME} {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    *, _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False
) -> None:
    pass


DAYS = "--application-id 1111 --date-since 2024-07-01 --date-until 2024-07-07"

for commands, name, command, shown in (
    (app, "demo", servers.demo, ["demo", "demo --keep"]),
    (app, "emulator", servers.emulator, ["emulator --port 8000 --preparation 5"]),
    (app, "apps", listings.apps, ["apps", "apps --json"]),
    (app, "resources", listings.resources, ["resources", "resources --json"]),
    (app, "fields", listings.fields, ["fields events", "fields events --json"]),
    (app, "read", exports.read, [f"read installations {DAYS}", f"read events {DAYS} -o events.parquet"]),
    (app, "download", exports.download, [f"download events {DAYS} --max-age 3600"]),
    (stored.app, "ls", stored.ls, ["cache ls", "cache ls --resource events --json"]),
    (stored.app, "info", stored.info, ["cache info"]),
    (stored.app, "verify", stored.verify, ["cache verify"]),
    (stored.app, "prune", stored.prune, ["cache prune --older-than 604800 --max-bytes 10000000000 --dry-run"]),
    (stored.app, "remove", stored.remove, ["cache remove --resource events --dry-run", "cache remove --all"]),
):
    commands.command(name, epilog=examples(*shown))(speaking()(command))
app.add_typer(stored.app, name="cache")
