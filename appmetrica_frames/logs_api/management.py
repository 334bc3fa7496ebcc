"""The Management API on the same host: which applications a token sees, their time zones, whether exports work."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta, timezone
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from appmetrica_frames.errors import AppMetricaError, DecodeError, DownloadError, NotCachedError
from appmetrica_frames.progress import NullReporter
from appmetrica_frames.util.clock import SystemClock

from .protocol import RetryPolicy
from .queue import PATH, QueuePosition, standing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import tzinfo

    from appmetrica_frames.client import Client

    from .steps import Part
    from .transport import Connection, ResponseBody

LONGEST_ANSWER = 16 << 20

_ZONES: dict[tuple[str, int], tzinfo] = {}


@dataclass(frozen=True, slots=True)
class Question:
    """A GET that is answered with JSON."""

    path: str
    params: tuple[tuple[str, str], ...] = ()

    @property
    def title(self) -> str:
        """The path says it."""
        return self.path

    def query(self, part: Part) -> tuple[tuple[str, str], ...]:
        """Return the parameters; there are no parts of an answer."""
        del part
        return self.params


def asked(question: Question, client: Client) -> Any:
    """Ask one question over a connection of its own, with the client's patience."""
    from .transport import Connection

    link = Connection(client.origin(), client.token(), network_timeout=client.network_timeout, clock=SystemClock())
    with link:
        return answer(question, link, patience(client))


def patience(client: Client) -> RetryPolicy:
    """Return how patient a client is."""
    return RetryPolicy(client.prepare_timeout, client.poll, client.retries)


def answer(question: Question, link: Connection, patient: RetryPolicy) -> Any:
    """Return the JSON that a question is answered with."""
    from .transport import fetch

    documents: list[Any] = []

    def receive(body: ResponseBody, part: Part) -> bool:
        del part
        documents.append(_document(body, question))
        return True

    fetch(question, None, receive, link=link, patience=patient, clock=SystemClock(), reporter=NullReporter())
    return documents[-1]


def applications(client: Client) -> list[dict[str, Any]]:
    """Return what the token can see."""
    question = Question("/management/v1/applications")
    seen: list[dict[str, Any]] = _part_of(asked(question, client), "applications", question)
    return seen


def time_zone(client: Client, application_id: int, *, offline: bool = False) -> tzinfo:
    """Return an application's own time zone; asked once in a process."""
    known = client.origin(), application_id
    if known not in _ZONES and offline:
        raise NotCachedError(
            "offline=True, and dates with a time zone need the application's own, which has to be asked: give the "
            "dates in the application's time zone, and without one."
        )
    if known not in _ZONES:
        question = Question(f"/management/v1/application/{application_id}")
        _ZONES[known] = _zone(_part_of(asked(question, client), "application", question), question)
    return _ZONES[known]


def available(link: Connection) -> bool:
    """Tell whether AppMetrica says that its Logs API works; if it cannot be asked, assume so."""
    question = Question("/management/v1/logsapi/status")
    try:
        told = answer(question, link, RetryPolicy(prepare_timeout=0, retries=0))
    except AppMetricaError:  # a hint that cannot be had must not cost an export
        return True
    return not (isinstance(told, dict) and told.get("logs_api_availability_status") == "disabled")


def get_queue_position(link: Connection, application_id: int, query: Iterable[tuple[str, str]]) -> QueuePosition | None:
    """Return how far a job is, without touching the address of its export; None where that cannot be known."""
    question = Question(PATH, (("application_id", str(application_id)),))
    try:
        return standing(answer(question, link, RetryPolicy(prepare_timeout=0, retries=0)), query)
    except AppMetricaError:
        return None


def _zone(told: Any, question: Question) -> tzinfo:
    try:
        return ZoneInfo(told["time_zone_name"])
    except (KeyError, TypeError, ValueError, ZoneInfoNotFoundError):
        pass  # a machine without a time zone database, or a zone that it does not know
    try:
        return timezone(timedelta(seconds=int(told["time_zone_offset"])))
    except (KeyError, TypeError, ValueError) as error:
        raise DecodeError(f"{question.path} names no time zone: {str(told)[:200]}") from error


def _part_of(document: Any, name: str, question: Question) -> Any:
    if not isinstance(document, dict) or name not in document:
        raise DecodeError(f"{question.path} did not answer with {name!r}: check base_url.")
    return document[name]


def _document(body: ResponseBody, question: Question) -> Any:
    from appmetrica_frames.decode.body import decode_body

    text = b""
    for piece in decode_body(body):
        text += piece
        if len(text) > LONGEST_ANSWER:
            raise DownloadError(f"{question.path} answers with more than {LONGEST_ANSWER >> 20} MiB: check base_url.")
    try:
        return json.loads(text)
    except ValueError as error:
        raise DecodeError(f"{question.path} did not answer with JSON: check base_url.") from error
