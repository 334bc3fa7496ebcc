"""The command that keeps a dataset up to date: one line for a scheduler's log, and no progress there."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import typer

from appmetrica_frames.api.sync import sync_appmetrica
from appmetrica_frames.util.terminal import escape_controls

from .options import parse_values, pop_client, with_options
from .output import AsJson, explain_resuming, format_count, print_json, print_table
from .plan import COLUMNS, format_row


def _sync(resource: str, *, as_json: bool, **values: Any) -> None:
    """Keep a dataset of Parquet files up to date: a file for each day, week or month."""
    client, parameters = pop_client(values, plain_lines=False), parse_values(values)
    with explain_resuming(refresh=parameters["refresh"]):
        rows = sync_appmetrica(resource, client=client, **parameters).rows(named=True)
    if as_json:
        print_json(rows)
        return
    if parameters["dry_run"]:
        _print_plan(rows)
    typer.echo(escape_controls(summarize(resource, rows, parameters["to"], dry_run=parameters["dry_run"])))


def _print_plan(rows: Sequence[Mapping[str, Any]]) -> None:
    lines = [format_row(row) | {"action": row["action"]} for row in rows]
    print_table(lines, ("application", "action", *COLUMNS), cut=True)


def summarize(resource: str, rows: Sequence[Mapping[str, Any]], to: str, *, dry_run: bool) -> str:
    """Say what was done in one line, as in ``events of 1111: 3 of 90 windows written, 87 kept, in dataset``."""
    applications = list(dict.fromkeys(row["application_id"] for row in rows))
    subject = str(applications[0]) if len(applications) == 1 else format_count(len(applications), "application")
    kept = Counter(row["action"] for row in rows)["kept"]
    verb = "to write" if dry_run else "written"
    return (
        f"{resource} of {subject}: {len(rows) - kept:,} of {format_count(len(rows), 'window')} {verb}, "
        f"{kept:,} kept, in {to}"
    )


sync = with_options(_sync, library=sync_appmetrica, as_json=AsJson)
