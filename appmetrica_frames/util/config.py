"""Settings: the argument, else the environment variable, else the default; looked up when a call is made."""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from appmetrica_frames.errors import InvalidRequestError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

BASE_URL = "https://api.appmetrica.yandex.com"
BASE_URL_VARIABLE = "APPMETRICA_BASE_URL"
CACHE_DIR_VARIABLE = "APPMETRICA_CACHE_DIR"
APPLICATION_ID_VARIABLE = "APPMETRICA_APPLICATION_ID"


class Secret:
    """A string hidden from repr and pickle."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text, for the one place that needs it."""
        return self._text

    def strip(self) -> Secret:
        """Return the text without white space around it."""
        return Secret(self._text.strip())

    def is_empty(self) -> bool:
        """Tell whether there is no text."""
        return not self._text

    def is_header_word(self) -> bool:
        """Tell whether the text can be sent in a header as one word."""
        return self._text.isascii() and self._text.isprintable() and " " not in self._text

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        # Unpickling gives None, and so falls back to the environment of the process that unpickles.
        return type(None), ()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self


def resolve_base_url(given: str | None, environ: Mapping[str, str] | None = None) -> str:
    """Return the origin that all requests go to, from the argument, ``APPMETRICA_BASE_URL`` or the default."""
    if given == "":  # an unset variable of a script must not lead the token to another server
        raise InvalidRequestError(f"base_url is empty. Give an address like {BASE_URL}, or leave it out.")
    url = given or _environment(environ).get(BASE_URL_VARIABLE) or BASE_URL
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidRequestError(f"base_url {url!r} is not an address: {error}.") from error
    if parts.scheme not in {"http", "https"} or not host or "@" in parts.netloc:
        raise InvalidRequestError(f"base_url takes an address like {BASE_URL}, not {url!r}.")
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        raise InvalidRequestError(f"base_url takes scheme, host and port only, like {BASE_URL}, not {url!r}.")
    if parts.scheme == "http" and not is_loopback(host):
        raise InvalidRequestError(f"base_url {url!r} would send the token in clear text: use https.")
    name = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{name}" + ("" if port in {None, default} else f":{port}")


def resolve_cache_directory(given: str | PathLike[str] | None, environ: Mapping[str, str] | None = None) -> Path:
    """Return the cache's directory, from the argument, ``APPMETRICA_CACHE_DIR`` or the user's cache directory."""
    chosen = given or _environment(environ).get(CACHE_DIR_VARIABLE)
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs

    return Path(platformdirs.user_cache_dir("appmetrica_frames", appauthor=False))


def default_application_ids(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the applications of ``APPMETRICA_APPLICATION_ID``, for calls that name none; their texts are unchecked."""
    text = _environment(environ).get(APPLICATION_ID_VARIABLE, "").strip()
    if not text:
        raise InvalidRequestError(
            "No application_id. Pass application_id=1234567 (on the command line --application-id 1234567), or set the "
            f"environment variable {APPLICATION_ID_VARIABLE}. Client().applications() lists what your token can read."
        )
    return [number.strip() for number in text.split(",")]


def check_byte_count(max_bytes: int) -> int:
    """Return a number of bytes, or raise `InvalidRequestError`."""
    if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 0:
        raise InvalidRequestError(f"max_bytes takes a whole number from 0, not {max_bytes!r}.")
    return max_bytes


def is_loopback(host: str) -> bool:
    """Tell whether a host name or address stays on this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _environment(environ: Mapping[str, str] | None) -> Mapping[str, str]:
    # Not a default argument: help() and tracebacks would show it, and with it the token.
    return os.environ if environ is None else environ
