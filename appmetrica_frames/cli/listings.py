"""Lists: what can be exported, and the applications that a token sees."""

from typing import Annotated

import typer

from .options import WORDS, ResourceName
from .talk import AsJson, print_json, print_table

BaseUrl = Annotated[
    str | None, typer.Option("--base-url", help=WORDS["base_url"].help, metavar="URL", show_default=False)
]


def resources(*, as_json: AsJson = False) -> None:
    """List what can be exported."""
    from appmetrica_frames.schema.listing import list_resources as listed

    rows = listed().rows(named=True)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        row["title"] = f"{'(deprecated) ' if row['deprecated'] else ''}{row['title']}"
        row["dates"] = "yes" if row["dates"] else "no"
    print_table(rows, ("resource", "fields", "dates", "title"))


def fields(resource: ResourceName, *, as_json: AsJson = False) -> None:
    """List the fields of a resource. Legacy ones stand in older documentation only."""
    from appmetrica_frames.schema.listing import list_fields as listed

    rows = listed(resource).rows(named=True)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        row["description"] = f"{'(legacy) ' if row['legacy'] else ''}{row['description']}"
    print_table(rows, ("field", "dtype", "description"))


def apps(*, base_url: BaseUrl = None, as_json: AsJson = False) -> None:
    """List the applications that the token sees. Their time zones are those of dates and `*_datetime` columns."""
    from appmetrica_frames.client import Client

    rows = Client(base_url=base_url).applications().rows(named=True)
    if as_json:
        print_json(rows)
        return
    print_table(rows, ("application_id", "name", "time_zone_name"))
