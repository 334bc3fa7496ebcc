"""The command line, a thin layer over the library. Data goes to standard output, messages to standard error."""

import signal
import sys
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from appmetrica_frames import __version__

from . import cache, credentials, emulator, exports, listings, plan, sync
from .output import PROGRAM, TERMINATED, format_examples, handle_errors, print_misuse, show_warning

__all__ = ["app", "run"]


class _Program(TyperGroup):
    """Reports a command that cannot be parsed as every other error, on one line without control characters."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: FBT001, FBT002 - the signature of typer
        windows_expand_args: bool = True,  # noqa: FBT001, FBT002 - likewise
        **options: Any,
    ) -> Any:
        try:
            result = super().main(
                args,
                prog_name,
                complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                **options,
            )
        except TyperException as error:
            if not standalone_mode:
                raise
            print_misuse(error)
            sys.exit(error.exit_code)
        return sys.exit(result or 0) if standalone_mode else result


app = typer.Typer(
    name=PROGRAM,
    cls=_Program,
    help="AppMetrica Logs API exports as frames and files. The token comes from APPMETRICA_TOKEN, or from the keyring "
    "after a login.",
    no_args_is_help=True,
    rich_markup_mode=None,  # its tables truncate long option names
    pretty_exceptions_enable=False,  # their tracebacks show local variables, such as the token
)


def run() -> None:
    """Run the command that the process was started with."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # an event name may not fit the encoding
    warnings.showwarning = show_warning
    signal.signal(signal.SIGTERM, _on_sigterm)
    app(prog_name=PROGRAM)


def _on_sigterm(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature of a handler
    """Exit as an error does, so that temporary files are removed."""
    sys.exit(TERMINATED)


def _print_version(requested: bool) -> None:  # noqa: FBT001 - typer calls it so
    if requested:
        typer.echo(f"{PROGRAM} {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


DAYS = "--application-id 1111 --date-since 2024-07-01 --date-until 2024-07-07"

for group, name, command, examples in (
    (app, "demo", emulator.demo, ["demo", "demo --keep"]),
    (app, "emulator", emulator.emulator, ["emulator --port 8000 --preparation 5"]),
    (app, "login", credentials.login, ["login", "login --base-url https://api.appmetrica.yandex.ru --token-stdin"]),
    (app, "logout", credentials.logout, ["logout"]),
    (app, "whoami", credentials.whoami, ["whoami", "whoami --json"]),
    (app, "apps", listings.apps, ["apps", "apps --json"]),
    (app, "resources", listings.resources, ["resources", "resources --json"]),
    (app, "fields", listings.fields, ["fields events", "fields events --json"]),
    (app, "read", exports.read, [f"read installations {DAYS}", f"read events {DAYS} -o events.parquet"]),
    (app, "download", exports.download, [f"download events {DAYS} --max-age 3600"]),
    (app, "plan", plan.plan, [f"plan events {DAYS} --split day", f"plan events {DAYS} --split week --json"]),
    (app, "sync", sync.sync, [f"sync events {DAYS} --to app", f"sync clicks {DAYS} --to s3://bucket/app --dry-run"]),
    (cache.app, "ls", cache.ls, ["cache ls", "cache ls --resource events --json"]),
    (cache.app, "info", cache.info, ["cache info"]),
    (cache.app, "verify", cache.verify, ["cache verify"]),
    (cache.app, "prune", cache.prune, ["cache prune --older-than 604800 --max-bytes 10000000000 --dry-run"]),
    (cache.app, "remove", cache.remove, ["cache remove --resource events --dry-run", "cache remove --key KEY"]),
    (cache.app, "clear", cache.clear, ["cache clear --dry-run"]),
):
    group.command(name, epilog=format_examples(*examples))(handle_errors()(command))
app.add_typer(cache.app, name="cache")
