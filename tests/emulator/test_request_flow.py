"""The documented request flow, sentence by sentence, over a real socket."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import ApiClient, StartEmulator


DAY = 24 * 3600


NO_CACHE = {"Cache-Control": "no-cache"}


def max_age(seconds: float) -> dict[str, str]:
    return {"Cache-Control": f"max-age={seconds:g}"}


def test_a_request_is_accepted_and_queued(slow_api: ApiClient) -> None:
    """The AppMetrica Logs API accepts the request and puts it in the queue."""
    assert slow_api.get().status_code == 202
    assert [job["entity"] for job in slow_api.list_jobs()] == [2]


def test_a_request_in_process_answers_202_and_leaves_a_file(api: ApiClient) -> None:
    """If the request is processed successfully, AppMetrica prepares a file for download; the API returns 202."""
    assert api.get().status_code == 202
    assert api.download().startswith("event_name,event_datetime\n")
    assert api.server.preparations == 1


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ({"fields": "colour"}, 400),
        ({"date_since": None}, 400),
        ({"application_id": 3333}, 403),
        ({"application_id": 9}, 404),
    ],
)
def test_an_error_has_its_status_and_a_description(api: ApiClient, parameters: dict[str, Any], status: int) -> None:
    """If the request resulted in an error, the API returns the appropriate response status and a description."""
    response = api.get(**parameters)
    assert response.status_code == status
    assert response.json()["code"] == status
    assert response.json()["message"] == response.json()["errors"][0]["message"]


def test_requests_are_processed_one_after_another(slow_api: ApiClient) -> None:
    """Requests in the queue are processed sequentially."""
    slow_api.get(limit=1)
    slow_api.get(limit=2)
    slow_api.server.clock.advance(150)
    assert slow_api.poll(limit=1).status_code == 200
    assert slow_api.get(limit=2).status_code == 202
    slow_api.server.clock.advance(49)
    assert slow_api.get(limit=2).status_code == 202
    slow_api.server.clock.advance(1)
    assert slow_api.poll(limit=2).status_code == 200


def test_queues_of_two_applications_do_not_wait_for_each_other(slow_api: ApiClient) -> None:
    slow_api.get()
    slow_api.get(application_id=slow_api.server.other_application_id)
    slow_api.server.clock.advance(100)
    assert slow_api.poll().status_code == 200
    assert slow_api.poll(application_id=slow_api.server.other_application_id).status_code == 200


def test_identical_requests_answer_202_meanwhile_and_share_one_job(slow_api: ApiClient) -> None:
    """While the file is being prepared, all identical requests (with the same parameters) will return 202."""
    assert {slow_api.get().status_code for _ in range(5)} == {202}
    turned = dict(reversed(slow_api.build_query().items()))
    assert slow_api.http.get("/logs/v1/export/events.csv", params=turned).status_code == 202
    slow_api.server.clock.advance(100)
    assert slow_api.poll().status_code == 200
    assert slow_api.server.preparations == 1


def test_the_sample_request_gets_the_sample_response(api: ApiClient) -> None:
    """GET /logs/v1/export/installations.json ... HTTP/1.1 202 Accepted, Content-Type: text/plain, Wait for result."""
    response = api.get("installations.json", fields="city")
    assert (response.status_code, response.reason_phrase) == (202, "Accepted")
    assert response.headers["content-type"] == "text/plain"
    assert response.text == "Wait for result"


@pytest.mark.parametrize("header", [None, "Bearer emulator-token", "OAuth other", "emulator-token"])
def test_the_token_is_sent_in_an_oauth_header(api: ApiClient, header: str | None) -> None:
    """Authorization: OAuth <your_token>."""
    api.http.headers.pop("Authorization")
    response = api.get(headers={"Authorization": header} if header else None)
    assert response.status_code == 401
    assert response.json()["errors"][0]["error_type"] == "unauthorized"


def test_a_token_in_the_url_is_ignored(api: ApiClient) -> None:
    api.http.headers.pop("Authorization")
    assert api.get(oauth_token=api.server.token).status_code == 401


def test_gzip_is_used_if_accepted(api: ApiClient) -> None:
    """To get compressed data, send the HTTP Accept-Encoding: gzip header."""
    plain = api.poll(headers={"Accept-Encoding": "identity"})
    with api.http.stream(
        "GET", "/logs/v1/export/events.csv", params=api.build_query(), headers={"Accept-Encoding": "gzip"}
    ) as packed:
        raw = b"".join(packed.iter_raw())
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert (len(plain.content), len(raw)) == (
        int(plain.headers["content-length"]),
        int(packed.headers["content-length"]),
    )
    assert gzip.decompress(raw) == plain.content


def test_gzip_is_not_used_if_refused(api: ApiClient) -> None:
    response = api.poll(headers={"Accept-Encoding": "gzip;q=0, br"})
    assert "content-encoding" not in response.headers


def test_the_next_identical_request_downloads_the_file(slow_api: ApiClient) -> None:
    """The request to download data is identical; when the file is complete, the next one returns 200 OK."""
    assert slow_api.get().status_code == 202
    slow_api.server.clock.advance(100)
    response = slow_api.poll()
    assert (response.status_code, response.reason_phrase) == (200, "OK")
    assert response.headers["content-type"] == "text/csv"


def test_the_file_stays_for_24_hours(api: ApiClient) -> None:
    """The file is available for download for 24 hours at the URL of the initial request."""
    first = api.download()
    api.server.clock.advance(DAY)
    assert api.get().text == first
    assert api.server.preparations == 1


def test_after_24_hours_the_request_is_queued_again(api: ApiClient) -> None:
    """For a repeat request after 24 hours has passed, the request is put in the queue for a new file."""
    api.download()
    api.server.clock.advance(DAY + 1)
    assert api.get().status_code == 202
    assert api.poll().status_code == 200
    assert api.server.preparations == 2


def test_no_cache_generates_a_new_file(api: ApiClient) -> None:
    """To generate a new file, send the Cache-Control: no-cache header in the request."""
    api.download()
    response = api.get(headers=NO_CACHE)
    assert (response.status_code, response.text) == (202, "Wait for result")
    assert api.poll().status_code == 200
    assert api.server.preparations == 2


@pytest.mark.parametrize("age", [0, 59, 60])
def test_max_age_downloads_a_file_of_the_last_seconds(api: ApiClient, age: int) -> None:
    """To download a file generated within the last N seconds, send Cache-Control: max-age=N (exactly N is within)."""
    api.download()
    api.server.clock.advance(age)
    assert api.get(headers=max_age(60)).status_code == 200
    assert api.server.preparations == 1


def test_max_age_replaces_an_older_file(api: ApiClient) -> None:
    """If the file was created more than N seconds ago, AppMetrica generates a new file."""
    api.download()
    api.server.clock.advance(61)
    assert api.get(headers=max_age(60)).text == "Wait for result"
    api.poll()
    assert api.get(headers=max_age(60)).status_code == 200
    assert api.server.preparations == 2


def test_the_age_of_a_file_counts_from_its_creation(slow_api: ApiClient) -> None:
    slow_api.get()
    slow_api.server.clock.advance(100)
    slow_api.poll()
    slow_api.server.clock.advance(10)
    assert slow_api.get(headers=max_age(10)).status_code == 200
    slow_api.server.clock.advance(1)
    assert slow_api.get(headers=max_age(10)).status_code == 202


def test_without_the_header_the_last_file_is_returned(api: ApiClient) -> None:
    """To download the last generated file (if one exists), don't send the Cache-Control header in the request."""
    api.download()
    api.server.clock.advance(3600)
    api.get(headers=NO_CACHE)
    last = api.download()
    assert api.get().text == last
    assert api.server.preparations == 2


def test_a_repeated_restriction_sends_the_job_to_the_end_of_the_queue(slow_api: ApiClient) -> None:
    slow_api.get(limit=1, headers=NO_CACHE)
    slow_api.get(limit=2)
    slow_api.server.clock.advance(90)
    again = slow_api.get(limit=1, headers=NO_CACHE)
    assert again.status_code == 202
    assert again.text == "Your query is moved to the end of the queue due to provided Cache-Control restriction."
    assert [job["query"].endswith("limit=2") for job in slow_api.list_jobs()] == [True, False]
    slow_api.server.clock.advance(100)
    assert slow_api.poll(limit=2).status_code == 200
    assert slow_api.get(limit=1).status_code == 202
    slow_api.server.clock.advance(100)
    assert slow_api.poll(limit=1).status_code == 200


def test_progress_is_reported(slow_api: ApiClient) -> None:
    slow_api.get()
    slow_api.server.clock.advance(42)
    texts = {slow_api.get().text for _ in range(500)}
    assert "Wait for result. Progress is 42%." in texts
    assert slow_api.list_jobs()[0]["total_progress"] == pytest.approx(0.42)


def test_the_fourth_unfinished_job_is_too_many(slow_api: ApiClient) -> None:
    for limit in (1, 2, 3):
        assert slow_api.get(limit=limit).status_code == 202
    response = slow_api.get(limit=4)
    assert response.status_code == 429
    assert response.headers["content-type"] == "text/plain"
    assert response.text == (
        "There are already 3 enqueued queries for given application_id. Wait until they are completed."
    )
    assert slow_api.get(application_id=slow_api.server.other_application_id).status_code == 202
    slow_api.server.clock.advance(100)
    slow_api.poll(limit=1)
    assert slow_api.get(limit=4).status_code == 202


def test_rows_not_received_yet_are_not_in_the_file(api: ApiClient) -> None:
    today = {"date_since": "2026-11-18", "date_until": "2026-11-18", "fields": "event_receive_timestamp"}
    early = api.download(**today).splitlines()[1:]
    assert max(map(int, early)) <= api.server.clock.now()
    api.server.clock.advance(6 * 3600)
    api.get(headers=NO_CACHE, **today)
    assert len(api.download(**today).splitlines()) > len(early) + 1


def test_the_first_response_to_a_job_may_announce_it(start_emulator: StartEmulator) -> None:
    api = start_emulator(preparation=100.0, announce_jobs=True)
    assert [api.get().text for _ in range(2)] == ["Your query is added to the queue.", "Wait for result"]
    assert api.get(limit=1).text == "Your query is added to the queue."


def test_a_repeated_max_age_does_not_move_a_young_job(slow_api: ApiClient) -> None:
    slow_api.get(limit=1, headers=max_age(60))
    slow_api.get(limit=2)
    slow_api.server.clock.advance(60)
    assert slow_api.get(limit=1, headers=max_age(60)).text.startswith("Wait for result")
    slow_api.server.clock.advance(40)
    assert slow_api.poll(limit=1).status_code == 200


def test_a_repeated_max_age_moves_an_older_job(slow_api: ApiClient) -> None:
    slow_api.get(headers=max_age(60))
    slow_api.server.clock.advance(61)
    assert slow_api.get(headers=max_age(60)).text.startswith("Your query is moved to the end of the queue")


def test_a_repeated_max_age_may_move_every_job(start_emulator: StartEmulator) -> None:
    api = start_emulator(preparation=100.0, repeated_max_age="move")
    api.get(headers=max_age(60))
    assert api.get(headers=max_age(60)).text.startswith("Your query is moved to the end of the queue")
    assert api.get().text == "Wait for result"
