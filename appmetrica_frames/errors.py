"""Everything that this package raises or warns about.

AppMetricaError
├── InvalidRequestError (ValueError)        the request is invalid: unknown resource, field, option, dates
├── MissingTokenError (LookupError)         no OAuth token: no argument, no variable, none in the keyring
├── NotCachedError (LookupError)            offline=True, and the cache has no such export
├── AuthenticationError (PermissionError)   401, 403
├── RequestRejectedError                    any other answer that a repeated request will not change
├── QuotaExceededError                      429 or 420 for longer than the call may wait
├── ServerError (ConnectionError)           5xx, or a job that was lost, more often than the call may try
├── PreparationTimeoutError (TimeoutError)  the file was not ready within prepare_timeout
├── DownloadError (ConnectionError)         short or damaged bodies, network faults
├── IncompleteExportError                   some windows of a range failed; the others are in the cache
├── DatasetError (OSError)                  a dataset cannot be read, written to or locked
└── DecodeError (ValueError)                the body arrived whole and is not what was requested
    └── SchemaError                         its columns or values do not fit the schema

Warning
├── DateWarning                             a date is valid, and may not mean what it seems to mean
├── SchemaWarning                           a column did not fit its type and is kept as text
└── CacheWarning                            the cache could not be used, or something in it was damaged
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class AppMetricaError(Exception):
    """Root of all errors of this package.

    Attributes
    ----------
    status : int or None
        The HTTP status that the server answered with, where there was an answer.

    Examples
    --------
    >>> from appmetrica_frames import AppMetricaError, read_appmetrica
    >>> try:
    ...     read_appmetrica("push_tokens", application_id=4444)
    ... except AppMetricaError as error:
    ...     print(type(error).__name__, error.status)
    RequestRejectedError 404
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class InvalidRequestError(AppMetricaError, ValueError):
    """The request is invalid; raised before anything is sent."""


class MissingTokenError(AppMetricaError, LookupError):
    """There is no OAuth token: neither an argument, nor an environment variable, nor one in the keyring."""


class NotCachedError(AppMetricaError, LookupError):
    """The cache has no such export, and the network must not be used."""


class AuthenticationError(AppMetricaError, PermissionError):
    """The server refused the token (401) or the token may not see this application (403)."""


class RequestRejectedError(AppMetricaError):
    """The server refused the request, or is not an AppMetrica Logs API; a repeated request will not help.

    Attributes
    ----------
    fields : tuple of str
        The fields that the server rejects by name, where its message names any.
    is_range_too_long : bool
        Whether the server rejects the range of dates for its length, where its message tells.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        fields: tuple[str, ...] = (),
        is_range_too_long: bool = False,
    ) -> None:
        super().__init__(message, status=status)
        self.fields = fields
        self.is_range_too_long = is_range_too_long


class QuotaExceededError(AppMetricaError):
    """The server's quota (429, 420) stayed exhausted for longer than the call may wait."""


class ServerError(AppMetricaError, ConnectionError):
    """The server failed (5xx), or lost the job, more often than the call may try."""


class PreparationTimeoutError(AppMetricaError, TimeoutError):
    """The server did not prepare the file within ``prepare_timeout``."""


class DownloadError(AppMetricaError, ConnectionError):
    """The network failed, or a body arrived short or damaged."""


class ExportWindow(NamedTuple):
    """One window of a range.

    Attributes
    ----------
    application_id : int
        The application.
    since, until : str
        Its first and its last second, ``yyyy-mm-dd hh:mm:ss`` in the application's time zone; empty without dates.
    """

    application_id: int
    since: str
    until: str


class IncompleteExportError(AppMetricaError):
    """Some windows of a range failed. The others are in the cache: the same call fetches only the rest.

    Attributes
    ----------
    completed : tuple of ExportWindow
        The windows that are in the cache.
    failed : dict of ExportWindow to AppMetricaError
        The windows that failed, each with its error.
    not_tried : tuple of ExportWindow
        The windows that were not tried any more, after several failures in a row.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        completed: tuple[ExportWindow, ...] = (),
        failed: Mapping[ExportWindow, AppMetricaError] | None = None,
        not_tried: tuple[ExportWindow, ...] = (),
    ) -> None:
        super().__init__(message, status=status)
        self.completed = completed
        self.failed = dict(failed or {})
        self.not_tried = not_tried


class DatasetError(AppMetricaError, OSError):
    """A dataset cannot be read or written to, or another process keeps it locked."""


class DecodeError(AppMetricaError, ValueError):
    """A body arrived whole, but it is not the requested export."""


class SchemaError(DecodeError):
    """The columns or the values of an export do not fit the schema.

    Attributes
    ----------
    column : str or None
        The column that does not fit.
    row : int or None
        The row, counted from 1 without the header, where it is known.
    value : str or None
        The text that does not fit.
    """

    def __init__(
        self, message: str, *, column: str | None = None, row: int | None = None, value: str | None = None
    ) -> None:
        super().__init__(message)
        self.column = column
        self.row = row
        self.value = value


class DateWarning(UserWarning):
    """A date is valid, and may not mean what it seems to mean: midnight as ``date_until`` leaves that day out."""


class SchemaWarning(UserWarning):
    """A column did not fit its catalogue type and is kept as text."""


class CacheWarning(UserWarning):
    """The cache could not be used, or something in it was damaged and dropped."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'a' or 'b'?`` for the nearest known words, or an empty text."""
    near = get_close_matches(word.lower(), list(known), n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
