"""The settings that calls share: server, token, cache, patience."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

from appmetrica_frames import credentials
from appmetrica_frames.util import config
from appmetrica_frames.util.caller import raise_at_caller
from appmetrica_frames.util.clock import SystemClock
from appmetrica_frames.util.durations import Duration, to_seconds

from .errors import InvalidRequestError

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    import polars as pl

    from appmetrica_frames.logs_api.retry import RetryPolicy
    from appmetrica_frames.logs_api.transport import Connection
    from appmetrica_frames.util.clock import Clock


@dataclass(frozen=True, init=False, repr=False)
class Client:
    """The server, the cache and the patience that calls share.

    A client holds settings only, no connection: it can be made once per notebook, shared between threads and pickled.
    A pickle never carries the token; the process that unpickles it reads ``APPMETRICA_TOKEN`` or its keyring.

    Parameters
    ----------
    token : str, optional
        OAuth token with the scope ``appmetrica:read``. Default: the environment variable ``APPMETRICA_TOKEN``, else the
        operating system's keyring, where ``appmetrica-frames login`` keeps one for each server; both are asked when a
        call needs a token.
    base_url : str, optional
        Scheme, host and port of the server. Default: ``APPMETRICA_BASE_URL``, else
        ``https://api.appmetrica.yandex.com``. The token is sent to this origin only; plain http is for loopback only.
    cache_dir : path-like, optional
        Directory of the cache. Default: ``APPMETRICA_CACHE_DIR``, else the user's cache directory.
    max_bytes : int, optional
        Bytes that the cache may hold: after a download, the least recently used exports are removed until it fits.
        The export just fetched stays, and so does one whose path was given to a LazyFrame or by `download_appmetrica`
        within the last day. Default: no limit.
    prepare_timeout : float or timedelta, default 3600.0
        Seconds to wait for the server to prepare a file. Time behind the limit of its queue is counted apart, and so is
        a wait for another process that fetches the same export; each ends after as long.
    poll : tuple of two floats, default (2.0, 30.0)
        Shortest and longest pause, in seconds, before asking again whether the file is ready. In between, the pause
        is a tenth of the time waited so far. Windows that the server has in its queue together are asked for less
        often.
    network_timeout : float or timedelta, default 60.0
        Seconds within which the headers of a response must be complete, and without progress (256 bytes a second) after
        which a connection counts as broken.
    retries : int, default 5
        How often in a row a broken connection or a 5xx answer is tried again.
    progress : bool, optional
        ``False`` shows nothing. By default, a bar is shown in a terminal (on standard error) and in a notebook (below
        the cell), and nothing elsewhere. ``True`` shows plain lines elsewhere, on standard error, a few for each
        export. The logger ``appmetrica_frames`` gets the same lines at the level ``INFO`` in each case.

    Raises
    ------
    InvalidRequestError
        If a setting is not valid.

    Examples
    --------
    >>> from appmetrica_frames import Client, read_appmetrica
    >>> patient = Client(prepare_timeout=7200, retries=10)
    >>> read_appmetrica("push_tokens", application_id=1111, fields=["token"], client=patient).columns
    ['token']
    """

    token: config.Secret | None = field(compare=False)
    base_url: str | None
    cache_dir: str | PathLike[str] | None
    max_bytes: int | None
    prepare_timeout: float
    poll: tuple[float, float]
    network_timeout: float
    retries: int
    progress: bool | None

    @raise_at_caller
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
            "token": None if token is None else config.Secret(token),
            "base_url": None if base_url is None else config.resolve_base_url(base_url, {}),
            "cache_dir": cache_dir,
            "max_bytes": None if max_bytes is None else config.check_byte_count(max_bytes),
            "prepare_timeout": to_seconds(prepare_timeout, name="prepare_timeout"),
            "poll": _check_poll(poll),
            "network_timeout": to_seconds(network_timeout, name="network_timeout", zero=False),
            "retries": _check_retries(retries),
            "progress": progress,
        }
        for name, value in settings.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        shown = {
            "base_url": _describe_origin(self),
            "cache_dir": repr(str(config.resolve_cache_directory(self.cache_dir))),
            "token": _describe_token(self),
        }
        shown |= {known.name: repr(getattr(self, known.name)) for known in fields(self) if known.name not in shown}
        return f"Client({', '.join(f'{name}={value}' for name, value in shown.items())})"

    @raise_at_caller
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

        from appmetrica_frames.logs_api.management import list_applications

        settings = resolve_settings(self)
        with settings.connect() as connection:
            applications = list_applications(connection, settings.retry_policy())
        schema = {"id": pl.UInt64, "name": pl.String, "time_zone_name": pl.String, "time_zone_offset": pl.Int64}
        rows = [{name: application.get(name) for name in schema} for application in applications]
        return pl.DataFrame(rows, schema=schema).rename({"id": "application_id"})


@dataclass(frozen=True, slots=True)
class Settings:
    """A client's settings as one call uses them, with the environment variables filled in."""

    client: Client
    origin: str
    cache_directory: Path

    def token(self) -> config.Secret:
        """Return the token, or raise `MissingTokenError`."""
        return self.find_token().secret

    def find_token(self) -> credentials.FoundToken:
        """Return the token and where it comes from, or raise `MissingTokenError`; the keyring may be asked."""
        return credentials.resolve_token(self.client.token, self.origin)

    def retry_policy(self) -> RetryPolicy:
        """Return how long to wait and how often to try."""
        from appmetrica_frames.logs_api.retry import RetryPolicy

        return RetryPolicy(self.client.prepare_timeout, self.client.poll, self.client.retries)

    def connect(self, clock: Clock | None = None) -> Connection:
        """Return a connection to the server, to be closed by the caller."""
        from appmetrica_frames.logs_api.transport import Connection

        timeout = self.client.network_timeout
        return Connection(self.origin, self.token(), network_timeout=timeout, clock=clock or SystemClock())


def resolve_settings(client: Client | None = None) -> Settings:
    """Return the settings of a client, or of ``Client()``, for a call that is made now."""
    if client is not None and not isinstance(client, Client):
        raise InvalidRequestError(f"client takes a Client, not {type(client).__name__}.")
    client = client or Client()
    return Settings(client, config.resolve_base_url(client.base_url), config.resolve_cache_directory(client.cache_dir))


def _describe_origin(client: Client) -> str:
    try:
        return repr(config.resolve_base_url(client.base_url))
    except InvalidRequestError:  # the environment variable is wrong; a repr must not raise
        return f"<invalid {config.BASE_URL_VARIABLE}>"


def _describe_token(client: Client) -> str:
    secret, source = credentials.find_token(client.token)
    if not secret.is_empty():
        return f"<from the {source if source == credentials.ARGUMENT else f'variable {source}'}>"
    # It is not asked here: it may open a dialogue, and a repr must not wait.
    return "<from the keyring, if it has one>" if credentials.is_keyring_installed() else "None"


def _check_poll(poll: tuple[Duration, Duration]) -> tuple[float, float]:
    try:
        shortest, longest = poll
    except (TypeError, ValueError):
        raise InvalidRequestError(
            f"poll takes the shortest and the longest pause, like (2, 30), not {poll!r}."
        ) from None
    pauses = to_seconds(shortest, name="poll"), to_seconds(longest, name="poll")
    if pauses[0] > pauses[1]:
        raise InvalidRequestError(f"poll takes the shortest pause first, like (2, 30), not {poll!r}.")
    return pauses


def _check_retries(retries: int) -> int:
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise InvalidRequestError(f"retries takes a whole number from 0, not {retries!r}.")
    return retries
