"""How and where exports are asked for; shared by many calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .errors import InvalidRequestError
from .util import config
from .util.durations import Duration, seconds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike
    from pathlib import Path

    import polars as pl

    from .logs_api.retry import RetryPolicy
    from .logs_api.transport import Connection
    from .util.clock import Clock


@dataclass(frozen=True, init=False)
class Client:
    """The server, the store and the patience that calls share.

    A client holds settings only, no connection: it can be made once per notebook, shared between threads and pickled.
    A pickle never carries the token; the process that unpickles it reads ``APPMETRICA_TOKEN``.

    Parameters
    ----------
    token : str, optional
        OAuth token with the scope ``appmetrica:read``. Default: the environment variable ``APPMETRICA_TOKEN``, read
        when a call needs it.
    base_url : str, optional
        Scheme, host and port of the server. Default: ``APPMETRICA_BASE_URL``, else
        ``https://api.appmetrica.yandex.com``. The token goes to this origin alone; plain http is for loopback only.
    cache_dir : path-like, optional
        Directory of the store. Default: ``APPMETRICA_CACHE_DIR``, else the user's cache directory.
    max_bytes : int, optional
        Bytes that the store may hold: after a download, the least recently used exports go until it fits. The one
        just stored stays, and so does one whose path was given to a LazyFrame or by `download_appmetrica` within the
        last day. Default: no limit.
    prepare_timeout : float or timedelta, default 3600.0
        Seconds to wait for the server to prepare a file.
    poll : tuple of two floats, default (2.0, 30.0)
        Shortest and longest pause, in seconds, between two questions whether the file is ready. In between, the pause
        is a tenth of the time waited so far.
    network_timeout : float or timedelta, default 60.0
        Seconds without a byte from the server after which a connection counts as broken.
    retries : int, default 5
        How often in a row a broken connection or a 5xx answer is tried again.
    progress : bool, optional
        ``False`` shows nothing. By default, a bar is shown in a terminal (on standard error) and in a notebook (below
        the cell), and nothing elsewhere. ``True`` shows plain lines elsewhere, on standard error, a few of them for
        an export. The logger ``appmetrica_frames`` gets the same lines at the level ``INFO`` in each case.

    Raises
    ------
    InvalidRequestError
        If a setting has no meaning.

    Examples
    --------
    >>> from appmetrica_frames import Client, read_appmetrica
    >>> patient = Client(prepare_timeout=7200, retries=10)
    >>> read_appmetrica("push_tokens", application_id=1111, fields=["token"], client=patient).columns
    ['token']
    """

    _token: config.Secret | None = field(repr=False, compare=False)
    base_url: str | None
    cache_dir: str | PathLike[str] | None
    max_bytes: int | None
    prepare_timeout: float
    poll: tuple[float, float]
    network_timeout: float
    retries: int
    progress: bool | None

    def __init__(
        self,
        token: str | None = None,
        *,
        base_url: str | None = None,
        cache_dir: str | PathLike[str] | None = None,
        max_bytes: int | None = None,
        prepare_timeout: Duration = 3600.0,
        poll: tuple[Duration, Duration] = (2.0, 30.0),
        network_timeout: Duration = 60.0,
        retries: int = 5,
        progress: bool | None = None,
    ) -> None:
        settings = {
            "_token": None if token is None else config.Secret(token),
            "base_url": None if base_url is None else config.base_url(base_url, {}),
            "cache_dir": cache_dir,
            "max_bytes": None if max_bytes is None else config.byte_count(max_bytes),
            "prepare_timeout": seconds(prepare_timeout, name="prepare_timeout"),
            "poll": _poll(poll),
            "network_timeout": seconds(network_timeout, name="network_timeout", zero=False),
            "retries": _retries(retries),
            "progress": progress,
        }
        for name, value in settings.items():
            object.__setattr__(self, name, value)

    def applications(self) -> pl.DataFrame:
        """List the applications that the token can see.

        Returns
        -------
        polars.DataFrame
            One row per application: ``application_id`` (UInt64), ``name``, ``time_zone_name`` (text) and
            ``time_zone_offset`` (Int64, seconds east of UTC). The time zone is that of ``date_since``, ``date_until``
            and of every ``*_datetime`` column.

        Raises
        ------
        AppMetricaError
            MissingTokenError, or what the server or the network answered.

        Notes
        -----
        Source: https://appmetrica.yandex.com/docs/en/mobile-api/management/applications/getapplicationslist

        Examples
        --------
        >>> from appmetrica_frames import Client
        >>> Client().applications().select("application_id", "time_zone_name").rows()
        [(1111, 'Europe/Moscow'), (2222, 'Europe/Berlin')]
        """
        import polars as pl

        from .logs_api.management import list_applications

        schema = {"id": pl.UInt64, "name": pl.String, "time_zone_name": pl.String, "time_zone_offset": pl.Int64}
        with open_connection(self) as connection:
            applications = list_applications(connection, retry_policy(self))
        rows = [{name: application.get(name) for name in schema} for application in applications]
        return pl.DataFrame(rows, schema=schema).rename({"id": "application_id"})

    def token(self, environ: Mapping[str, str] | None = None) -> config.Secret:
        """Return the token that a call would send now, wrapped so that it does not print.

        Parameters
        ----------
        environ : mapping, optional
            Where to look for variables. Default: ``os.environ``.

        Returns
        -------
        Secret
            Its ``reveal()`` is the text.

        Raises
        ------
        MissingTokenError
            If there is none.

        Examples
        --------
        >>> from appmetrica_frames import Client
        >>> Client("my-token").token()
        ***
        """
        return config.token(self._token, environ)

    def origin(self, environ: Mapping[str, str] | None = None) -> str:
        """Return the scheme, host and port that a call would ask now.

        Parameters
        ----------
        environ : mapping, optional
            Where to look for variables. Default: ``os.environ``.

        Returns
        -------
        str

        Examples
        --------
        >>> from appmetrica_frames import Client
        >>> Client().origin({})
        'https://api.appmetrica.yandex.com'
        """
        return config.base_url(self.base_url, environ)

    def directory(self, environ: Mapping[str, str] | None = None) -> Path:
        """Return the directory of the store that a call would use now.

        Parameters
        ----------
        environ : mapping, optional
            Where to look for variables. Default: ``os.environ``.

        Returns
        -------
        pathlib.Path

        Examples
        --------
        >>> from appmetrica_frames import Client
        >>> Client(cache_dir="exports").directory().name
        'exports'
        """
        return config.cache_directory(self.cache_dir, environ)


def open_connection(client: Client, clock: Clock | None = None) -> Connection:
    """Return a connection to the client's server, with its token; use it as a context manager."""
    from .logs_api.transport import Connection
    from .util.clock import SystemClock

    return Connection(
        client.origin(), client.token(), network_timeout=client.network_timeout, clock=clock or SystemClock()
    )


def retry_policy(client: Client) -> RetryPolicy:
    """Return how long the client waits and how often it tries."""
    from .logs_api.retry import RetryPolicy

    return RetryPolicy(client.prepare_timeout, client.poll, client.retries)


def _poll(poll: tuple[Duration, Duration]) -> tuple[float, float]:
    try:
        shortest, longest = poll
    except (TypeError, ValueError):
        raise InvalidRequestError(
            f"poll takes the shortest and the longest pause, like (2, 30), not {poll!r}."
        ) from None
    pauses = seconds(shortest, name="poll"), seconds(longest, name="poll")
    if pauses[0] > pauses[1]:
        raise InvalidRequestError(f"poll takes the shortest pause first, like (2, 30), not {poll!r}.")
    return pauses


def _retries(retries: int) -> int:
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise InvalidRequestError(f"retries takes a whole number from 0, not {retries!r}.")
    return retries
