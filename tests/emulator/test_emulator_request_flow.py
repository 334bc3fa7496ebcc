"""The documented request flow, sentence by sentence, over a real socket."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Asker

DAY = 24 * 3600
NO_CACHE = {"Cache-Control": "no-cache"}


def within(seconds: float) -> dict[str, str]:
    return {"Cache-Control": f"max-age={seconds:g}"}


def test_a_request_is_accepted_and_queued(slow: Asker) -> None:
    """The AppMetrica Logs API accepts the request and puts it in the queue."""
    assert slow.get().status_code == 202
    assert [job["entity"] for job in slow.jobs()] == [2]


def test_a_request_in_process_answers_202_and_leaves_a_file(ask: Asker) -> None:
    """If the request is processed successfully, AppMetrica prepares a file for download; the API returns 202."""
    assert ask.get().status_code == 202
    assert ask.file().startswith("event_name,event_datetime\n")
    assert ask.server.preparations == 1


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ({"fields": "colour"}, 400),
        ({"date_since": None}, 400),
        ({"application_id": 3333}, 403),
        ({"application_id": 9}, 404),
    ],
)
def test_an_error_has_its_status_and_a_description(ask: Asker, words: dict[str, Any], status: int) -> None:
    """If the request resulted in an error, the API returns the appropriate response status and a description."""
    answer = ask.get(**words)
    assert answer.status_code == status
    assert answer.json()["code"] == status
    assert answer.json()["message"] == answer.json()["errors"][0]["message"]


def test_requests_are_processed_one_after_another(slow: Asker) -> None:
    """Requests in the queue are processed sequentially."""
    slow.get(limit=1)
    slow.get(limit=2)
    slow.server.clock.advance(150)
    assert slow.poll(limit=1).status_code == 200
    assert slow.get(limit=2).status_code == 202
    slow.server.clock.advance(49)
    assert slow.get(limit=2).status_code == 202
    slow.server.clock.advance(1)
    assert slow.poll(limit=2).status_code == 200


def test_queues_of_two_applications_do_not_wait_for_each_other(slow: Asker) -> None:
    slow.get()
    slow.get(application_id=slow.server.other_application_id)
    slow.server.clock.advance(100)
    assert slow.poll().status_code == 200
    assert slow.poll(application_id=slow.server.other_application_id).status_code == 200


def test_identical_requests_answer_202_meanwhile_and_share_one_job(slow: Asker) -> None:
    """While the file is being prepared, all identical requests (with the same parameters) will return 202."""
    assert {slow.get().status_code for _ in range(5)} == {202}
    turned = dict(reversed(slow.query().items()))
    assert slow.http.get("/logs/v1/export/events.csv", params=turned).status_code == 202
    slow.server.clock.advance(100)
    assert slow.poll().status_code == 200
    assert slow.server.preparations == 1


def test_the_sample_request_gets_the_sample_response(ask: Asker) -> None:
    """GET /logs/v1/export/installations.json ... HTTP/1.1 202 Accepted, Content-Type: text/plain, Wait for result."""
    answer = ask.get("installations.json", fields="city")
    assert (answer.status_code, answer.reason_phrase) == (202, "Accepted")
    assert answer.headers["content-type"] == "text/plain"
    assert answer.text == "Wait for result"


@pytest.mark.parametrize("header", [None, "Bearer emulator-token", "OAuth other", "emulator-token"])
def test_the_token_travels_in_an_oauth_header(ask: Asker, header: str | None) -> None:
    """Authorization: OAuth <your_token>."""
    ask.http.headers.pop("Authorization")
    answer = ask.get(headers={"Authorization": header} if header else None)
    assert answer.status_code == 401
    assert answer.json()["errors"][0]["error_type"] == "unauthorized"


def test_a_token_in_the_address_is_no_token(ask: Asker) -> None:
    ask.http.headers.pop("Authorization")
    assert ask.get(oauth_token=ask.server.token).status_code == 401


def test_compressed_data_come_to_those_who_ask_for_them(ask: Asker) -> None:
    """To get compressed data, send the HTTP Accept-Encoding: gzip header."""
    plain = ask.poll(headers={"Accept-Encoding": "identity"})
    with ask.http.stream(
        "GET", "/logs/v1/export/events.csv", params=ask.query(), headers={"Accept-Encoding": "gzip"}
    ) as packed:
        raw = b"".join(packed.iter_raw())
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert (len(plain.content), len(raw)) == (
        int(plain.headers["content-length"]),
        int(packed.headers["content-length"]),
    )
    assert gzip.decompress(raw) == plain.content


def test_a_refused_coding_is_not_used(ask: Asker) -> None:
    answer = ask.poll(headers={"Accept-Encoding": "gzip;q=0, br"})
    assert "content-encoding" not in answer.headers


def test_the_next_identical_request_downloads_the_file(slow: Asker) -> None:
    """The request to download data is identical; when the file is complete, the next one returns 200 OK."""
    assert slow.get().status_code == 202
    slow.server.clock.advance(100)
    answer = slow.poll()
    assert (answer.status_code, answer.reason_phrase) == (200, "OK")
    assert answer.headers["content-type"] == "text/csv"


def test_the_file_stays_for_24_hours(ask: Asker) -> None:
    """The file is available for download for 24 hours at the URL of the initial request."""
    first = ask.file()
    ask.server.clock.advance(DAY)
    assert ask.get().text == first
    assert ask.server.preparations == 1


def test_after_24_hours_the_request_is_queued_anew(ask: Asker) -> None:
    """For a repeat request after 24 hours has passed, the request is put in the queue for a new file."""
    ask.file()
    ask.server.clock.advance(DAY + 1)
    assert ask.get().status_code == 202
    assert ask.poll().status_code == 200
    assert ask.server.preparations == 2


def test_no_cache_generates_a_new_file(ask: Asker) -> None:
    """To generate a new file, send the Cache-Control: no-cache header in the request."""
    ask.file()
    answer = ask.get(headers=NO_CACHE)
    assert (answer.status_code, answer.text) == (202, "Wait for result")
    assert ask.poll().status_code == 200
    assert ask.server.preparations == 2


@pytest.mark.parametrize("age", [0, 59, 60])
def test_max_age_downloads_a_file_of_the_last_seconds(ask: Asker, age: int) -> None:
    """To download a file generated within the last N seconds, send Cache-Control: max-age=N (exactly N is within)."""
    ask.file()
    ask.server.clock.advance(age)
    assert ask.get(headers=within(60)).status_code == 200
    assert ask.server.preparations == 1


def test_max_age_generates_a_new_file_in_place_of_an_older_one(ask: Asker) -> None:
    """If the file was created more than N seconds ago, AppMetrica generates a new file."""
    ask.file()
    ask.server.clock.advance(61)
    assert ask.get(headers=within(60)).text == "Wait for result"
    ask.poll()
    assert ask.get(headers=within(60)).status_code == 200
    assert ask.server.preparations == 2


def test_a_files_age_counts_from_when_it_was_ready(slow: Asker) -> None:
    slow.get()
    slow.server.clock.advance(100)
    slow.poll()
    slow.server.clock.advance(10)
    assert slow.get(headers=within(10)).status_code == 200
    slow.server.clock.advance(1)
    assert slow.get(headers=within(10)).status_code == 202


def test_without_the_header_the_last_file_comes(ask: Asker) -> None:
    """To download the last generated file (if one exists), don't send the Cache-Control header in the request."""
    ask.file()
    ask.server.clock.advance(3600)
    ask.get(headers=NO_CACHE)
    last = ask.file()
    assert ask.get().text == last
    assert ask.server.preparations == 2


def test_a_repeated_restriction_sends_the_job_to_the_end_of_the_queue(slow: Asker) -> None:
    slow.get(limit=1, headers=NO_CACHE)
    slow.get(limit=2)
    slow.server.clock.advance(90)
    again = slow.get(limit=1, headers=NO_CACHE)
    assert again.status_code == 202
    assert again.text == "Your query is moved to the end of the queue due to provided Cache-Control restriction."
    assert [job["query"].endswith("limit=2") for job in slow.jobs()] == [True, False]
    slow.server.clock.advance(100)
    assert slow.poll(limit=2).status_code == 200
    assert slow.get(limit=1).status_code == 202
    slow.server.clock.advance(100)
    assert slow.poll(limit=1).status_code == 200


def test_progress_is_told_while_known(slow: Asker) -> None:
    slow.get()
    slow.server.clock.advance(42)
    texts = {slow.get().text for _ in range(500)}
    assert "Progress is 42%" in texts
    assert slow.jobs()[0]["total_progress"] == pytest.approx(0.42)


def test_the_fourth_unfinished_job_is_too_many(slow: Asker) -> None:
    for limit in (1, 2, 3):
        assert slow.get(limit=limit).status_code == 202
    answer = slow.get(limit=4)
    assert answer.status_code == 429
    assert answer.headers["content-type"] == "text/plain"
    assert answer.text == (
        "There are already 3 enqueued queries for given application_id. Wait until they are completed."
    )
    assert slow.get(application_id=slow.server.other_application_id).status_code == 202
    slow.server.clock.advance(100)
    slow.poll(limit=1)
    assert slow.get(limit=4).status_code == 202


def test_what_is_not_received_yet_is_not_in_the_file(ask: Asker) -> None:
    today = {"date_since": "2026-11-18", "date_until": "2026-11-18", "fields": "event_receive_timestamp"}
    early = ask.file(**today).splitlines()[1:]
    assert max(map(int, early)) <= ask.server.clock.now()
    ask.server.clock.advance(6 * 3600)
    ask.get(headers=NO_CACHE, **today)
    assert len(ask.file(**today).splitlines()) > len(early) + 1
