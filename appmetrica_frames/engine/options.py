"""The words that every way to read an export shares: defined here once, for calls, for type checkers and for help."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable, Mapping  # noqa: TC003 - the explicit signature holds the types themselves
from typing import TYPE_CHECKING, Any, Required, TypedDict, TypeVar, cast

from appmetrica_frames.cache.policy import wish
from appmetrica_frames.client import Client, open_connection, retry_policy
from appmetrica_frames.errors import InvalidRequestError, NotCachedError, did_you_mean
from appmetrica_frames.request.dates import Moment  # noqa: TC001 - likewise
from appmetrica_frames.request.export import DateDimension, FilterValue, WireFormat, export_request
from appmetrica_frames.util.durations import Duration  # noqa: TC001 - likewise

from .order import Order

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

Way = TypeVar("Way", bound="Callable[..., Any]")

DESCRIBED = """\
    resource : str
        What to export: ``"events"``, ``"installations"`` and so on; `resources` lists them.
    application_id : int
        The application's number in AppMetrica, not its SDK or API key.
    date_since, date_until : str, date or datetime
        First and last moment, both included, in the application's own time zone; a day without a time of day means
        its first second as ``date_since`` and its last as ``date_until``. Moments that carry a time zone are taken to
        the application's, which is asked of the Management API once. Required, except for resources that export their
        whole current set (`resources` says which).
    fields : list of str, optional
        The columns, in the order wanted. Default: every documented field of the resource; `fields` lists them.
    filters : dict, optional
        Fields and the one value that each must equal, as in ``{"event_name": "purchase"}``; the server filters.
    date_dimension : {"default", "receive"}, default "default"
        Whether the dates mean the time on the device or the time at which the server got the row.
    limit : int, optional
        At most so many rows; which ones is up to the server.
    skip_unavailable_shards : bool, default False
        Export what is reachable (a loss of at most 1 %) while AppMetrica says that its Logs API is disabled.
    wire_format : {"csv", "json"}, default "csv"
        What the server sends; the frame is the same, CSV is the faster.
    max_age : float or timedelta, optional
        Accept a file that was built at most so many seconds ago, from the store or the server. Default: the server's
        own rule, 24 hours.
    refresh : bool, default False
        Have the server build a new file now.
    offline : bool, default False
        Never touch the network; accept a stored file of any age.
    stale_if_error : float or timedelta, optional
        Fall back, with a `CacheWarning`, on a stored file that has been stale for at most so many seconds when the
        network or the server fails or its quota is used up. Off by default.
    schema_overrides : dict, optional
        Fields and the type wanted instead of the catalogue's: a Polars or Arrow data type or the name of an Arrow
        type. It also vouches for fields that the catalogue does not know, such as custom profile attributes.
    strict : bool, default False
        Raise `SchemaError` for a value that does not fit its column's type, instead of keeping the column as text
        with a `SchemaWarning`.
    client : Client, optional
        Token, server, store and patience. Default: ``Client()``, which reads the environment.
"""


class Words(TypedDict, total=False):
    """The shared keyword arguments, as a type checker sees them."""

    application_id: Required[int | str]
    date_since: Moment | None
    date_until: Moment | None
    fields: Iterable[str] | None
    filters: Mapping[str, FilterValue] | None
    date_dimension: DateDimension
    limit: int | None
    skip_unavailable_shards: bool
    wire_format: WireFormat
    max_age: Duration | None
    refresh: bool
    offline: bool
    stale_if_error: Duration | None
    schema_overrides: Mapping[str, Any] | None
    strict: bool
    client: Client | None


def order(
    resource: str,
    *,
    application_id: int | str,
    date_since: Moment | None = None,
    date_until: Moment | None = None,
    fields: Iterable[str] | None = None,
    filters: Mapping[str, FilterValue] | None = None,
    date_dimension: DateDimension = "default",
    limit: int | None = None,
    skip_unavailable_shards: bool = False,
    wire_format: WireFormat = "csv",
    max_age: Duration | None = None,
    refresh: bool = False,
    offline: bool = False,
    stale_if_error: Duration | None = None,
    schema_overrides: Mapping[str, Any] | None = None,
    strict: bool = False,
    client: Client | None = None,
) -> Order:
    """Check the words and return what they ask for."""
    if client is not None and not isinstance(client, Client):
        raise InvalidRequestError(f"client takes a Client, not {type(client).__name__}.")
    request = export_request(
        resource,
        application_id=application_id,
        date_since=date_since,
        date_until=date_until,
        fields=fields,
        filters=filters,
        date_dimension=date_dimension,
        limit=limit,
        skip_unavailable_shards=skip_unavailable_shards,
        wire_format=wire_format,
        schema_overrides=schema_overrides,
        zone=lambda number: _zone(client or Client(), number, offline=offline),
    )
    asked = wish(max_age=max_age, refresh=refresh, offline=offline, stale_if_error=stale_if_error)
    return Order(request, asked, client or Client(), strict)


def _zone(client: Client, application_id: int, *, offline: bool) -> tzinfo:
    from appmetrica_frames.logs_api.management import find_time_zone, get_time_zone

    zone = find_time_zone(client.origin(), application_id)
    if zone is not None:
        return zone
    if offline:
        raise NotCachedError(
            "offline=True, and dates with a time zone need the application's own, which has to be requested: give the "
            "dates in the application's time zone, and without one."
        )
    with open_connection(client) as connection:
        return get_time_zone(connection, retry_policy(client), application_id)


def takes_words(function: Way) -> Way:
    """Give a function that collects the shared words in ``**words`` their explicit signature and description.

    A misspelt word is a `TypeError` of the function called, before anything happens; completion and ``help()`` show
    every word with its default.
    """
    signature = _explicit(inspect.signature(function))
    # The function has them, too: tools that look beneath a wrapper see what everybody sees.
    function.__signature__ = signature  # type: ignore[attr-defined]
    function.__doc__ = (function.__doc__ or "").replace("    {words}\n", DESCRIBED)

    @functools.wraps(function)
    def strict(*args: Any, **kwargs: Any) -> Any:
        _refuse_misspelt(function.__name__, kwargs, signature.parameters)
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{function.__name__}() {error}") from None
        return function(*args, **kwargs)

    return cast("Way", strict)


def _refuse_misspelt(name: str, given: Iterable[str], known: Iterable[str]) -> None:
    for word in given:
        if word not in known:
            raise TypeError(f"{name}() got an unexpected keyword argument {word!r}.{did_you_mean(word, known)}")


def _explicit(own: inspect.Signature) -> inspect.Signature:
    shared = list(inspect.signature(order, eval_str=True).parameters.values())
    subject, *words = shared
    extra = [p for p in own.parameters.values() if p.kind is inspect.Parameter.KEYWORD_ONLY]
    *front, client = words
    return own.replace(parameters=[subject, *front, *extra, client])
