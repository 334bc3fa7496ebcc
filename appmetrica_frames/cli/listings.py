"""Commands that list what can be exported, and the applications that a token can see."""

from .options import BaseUrl, ResourceName
from .output import AsJson, print_json, print_table


def resources(*, as_json: AsJson = False) -> None:
    """List the resources that can be exported."""
    from appmetrica_frames.schema.listing import list_resources

    rows = list_resources().rows(named=True)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        row["title"] = f"{'(deprecated) ' if row['deprecated'] else ''}{row['title']}"
        row["dates"] = "yes" if row["dates"] else "no"
    print_table(rows, ("resource", "fields", "dates", "title"))


def fields(resource: ResourceName, *, as_json: AsJson = False) -> None:
    """List the fields of a resource. Undocumented ones come where they are named; legacy ones may be refused."""
    from appmetrica_frames.schema.listing import list_fields

    rows = list_fields(resource).rows(named=True)
    if as_json:
        print_json(rows)
        return
    for row in rows:
        row["description"] = _mark(default=row["default"], legacy=row["legacy"]) + row["description"]
    print_table(rows, ("field", "dtype", "description"))


def _mark(*, default: bool, legacy: bool) -> str:
    if legacy:
        return "(legacy) "
    return "" if default else "(undocumented) "


def apps(*, base_url: BaseUrl = None, as_json: AsJson = False) -> None:
    """List the applications that the token can see, with the time zones of their dates."""
    from appmetrica_frames.client import Client

    rows = Client(base_url=base_url).applications().rows(named=True)
    if as_json:
        print_json(rows)
        return
    print_table(rows, ("application_id", "name", "time_zone_name"))
