"""A dataset on object storage: a real S3 server on loopback, whose PUTs fail, are slow or break off."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import polars as pl
import pyarrow.dataset as ds
import pytest
from pyarrow import fs

import appmetrica_frames as af
from appmetrica_frames.integrations.storage import open_storage

from .conftest import DAY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Syncer

BUCKET = "analytics"
TO = f"s3://{BUCKET}/mobile"
PART = 10 << 20  # bytes; Arrow puts a file in parts of that size
LARGE = random.Random(1).randbytes(3 * PART)  # noqa: S311 - what cannot be compressed
WIDE_ROWS = 20_000
WIDE = "\n".join(
    ["city,tracking_id", *(f"{random.Random(row).randbytes(600).hex()},{row}" for row in range(WIDE_ROWS))]  # noqa: S311
).encode()
COLUMNS = ["install_datetime", "city", "appmetrica_device_id"]


@dataclass
class Bucket:
    """The bucket as somebody else sees it."""

    endpoint: str

    @property
    def filesystem(self) -> fs.S3FileSystem:
        return fs.S3FileSystem(endpoint_override=self.endpoint, region="us-east-1", allow_bucket_creation=True)

    def fault(self, *kinds: str) -> None:
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.endpoint}/faults", data=json.dumps(kinds).encode(), method="POST"
        )
        urllib.request.urlopen(request).close()  # noqa: S310

    def files(self) -> list[str]:
        found = self.filesystem.get_file_info(fs.FileSelector(BUCKET, recursive=True))
        return sorted(info.path for info in found if info.type == fs.FileType.File)

    def uploads(self) -> list[str]:
        """Return the keys of uploads in parts that were neither completed nor aborted."""
        client = boto3.client("s3", endpoint_url=self.endpoint)
        return [upload["Key"] for upload in client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]

    def content(self, name: str) -> bytes:
        with self.filesystem.open_input_file(f"{BUCKET}/{name}") as file:
            return bytes(file.read())

    def read(self) -> pl.DataFrame:
        folder = f"{BUCKET}/mobile/installations"
        frame = pl.from_arrow(ds.dataset(folder, filesystem=self.filesystem, partitioning="hive").to_table())
        assert isinstance(frame, pl.DataFrame)
        return frame


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    script = [sys.executable, str(Path(__file__).with_name("s3_server.py"))]
    with subprocess.Popen(script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        endpoint = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
        found = Bucket(endpoint)
        found.filesystem.create_dir(BUCKET)
        yield found
        process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()


def test_the_dataset_is_the_export(syncer: Syncer, bucket: Bucket) -> None:
    frame = syncer.sync(to=TO)
    exported = syncer.export()
    assert bucket.read().select(COLUMNS).sort(pl.all()).equals(exported.sort(pl.all()))
    assert frame["path"][0] == f"{TO}/installations/application_id=1111/date=2024-07-27/data.parquet"
    assert bucket.files() == [path.removeprefix("s3://") for path in frame["path"]]


def test_a_machine_with_an_empty_cache_goes_on(syncer: Syncer, bucket: Bucket) -> None:
    syncer.sync(to=TO, date_until="2024-07-28")
    syncer.forget_cache()
    assert syncer.requested(to=TO) == ["2024-07-29"]
    assert syncer.sync(to=TO)["action"].to_list() == ["kept"] * 3


def test_the_next_day_on_an_empty_cache_asks_only_for_what_is_not_settled(syncer: Syncer, bucket: Bucket) -> None:
    syncer.sync(to=TO, date_since="2024-07-20")
    syncer.forget_cache()
    syncer.server.clock.advance(DAY + 60.0)
    unsettled = [f"2024-07-{day}" for day in range(23, 31)]
    assert syncer.requested(to=TO, date_since="2024-07-20", date_until="2024-07-30") == unsettled


def test_a_dry_run_writes_nothing(syncer: Syncer, bucket: Bucket) -> None:
    assert syncer.sync(to=TO, dry_run=True)["action"].to_list() == ["would write"] * 3
    assert bucket.files() == []


def test_a_file_system_can_be_given(syncer: Syncer, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    filesystem = bucket.filesystem
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    frame = af.sync_appmetrica(
        "installations",
        application_id=syncer.server.application_id,
        to=f"{BUCKET}/mobile",
        date_since="2024-07-29",
        date_until="2024-07-29",
        fields=COLUMNS,
        filesystem=filesystem,
        client=syncer.client(),
    )
    assert bucket.read().height == frame["rows"].sum()


def test_a_file_system_that_shows_half_files_is_refused() -> None:
    with pytest.raises(af.InvalidRequestError, match="A shared file system is a directory"):
        open_storage("/somewhere", fs.LocalFileSystem())  # type: ignore[arg-type]


@pytest.mark.parametrize("fault", ["refuse", "fail", "cut"])
def test_a_window_whose_put_fails_keeps_its_old_file(syncer: Syncer, bucket: Bucket, fault: str) -> None:
    syncer.sync(to=TO)
    before = bucket.read().sort(pl.all())
    syncer.server.clock.advance(1.0)
    bucket.fault(*[fault] * 20)
    with pytest.raises(af.AppMetricaError, match="cannot be written"):
        syncer.sync(to=TO, refresh=True, date_since="2024-07-29")
    bucket.fault()
    assert bucket.read().sort(pl.all()).equals(before)
    assert len(bucket.files()) == 3
    assert bucket.uploads() == [], "a file below 10 MiB is one PUT"
    syncer.forget_cache()
    assert syncer.sync(to=TO)["action"].to_list() == ["kept"] * 3


@pytest.mark.parametrize("fault", ["refuse", "fail", "cut"])
def test_the_same_call_goes_on_after_failing_puts(syncer: Syncer, bucket: Bucket, fault: str) -> None:
    bucket.fault("pass", *[fault] * 20)
    with pytest.raises(af.AppMetricaError, match="cannot be written"):
        syncer.sync(to=TO)
    bucket.fault()
    assert len(bucket.files()) == 1
    assert sorted(syncer.sync(to=TO)["action"].to_list()) == ["kept", "written", "written"]
    assert bucket.read().height == syncer.export().height


def test_slow_puts_and_a_single_lost_connection_are_waited_out(syncer: Syncer, bucket: Bucket) -> None:
    bucket.fault("slow", "cut", "slow")
    assert syncer.sync(to=TO)["action"].to_list() == ["written"] * 3
    assert bucket.read().height == syncer.export().height


def publish(content: bytes) -> int:
    return open_storage(TO).publish("large", lambda path: path.write_bytes(content) and None)


@pytest.mark.parametrize("size", [PART - 1, PART, 2 * PART + 1])
def test_a_file_of_any_size_arrives(bucket: Bucket, size: int) -> None:
    content = LARGE[:size]
    assert publish(content) == size
    assert bucket.content("mobile/large") == content
    assert bucket.uploads() == []


def test_slow_parts_and_single_failures_of_parts_are_waited_out(bucket: Bucket) -> None:
    content = LARGE
    bucket.fault("slow", "cut", "fail", "slow")
    publish(content)
    assert bucket.content("mobile/large") == content
    assert bucket.uploads() == []


@pytest.mark.parametrize(("fault", "before"), [("refuse", 0), ("refuse", 2), ("fail", 1), ("cut", 1)])
def test_a_large_file_of_which_a_part_fails_does_not_appear(bucket: Bucket, fault: str, before: int) -> None:
    """Arrow puts it in parts, and would complete an object whose stream is dropped."""
    old, new = LARGE[: PART + 1], LARGE
    publish(old)
    bucket.fault(*["pass"] * before, *[fault] * 40)
    with pytest.raises(af.DatasetError, match="cannot be written"):
        publish(new)
    bucket.fault()
    assert bucket.content("mobile/large") == old
    assert publish(new) == len(new)
    assert bucket.content("mobile/large") == new


@pytest.mark.xfail(strict=True, reason="Arrow has no way to abort an upload in parts: see docs/guides/datasets.md")
def test_a_large_file_of_which_a_part_fails_leaves_no_parts_behind(bucket: Bucket) -> None:
    bucket.fault("pass", *["refuse"] * 40)
    with suppress(af.DatasetError):
        publish(LARGE)
    assert bucket.uploads() == []


PUBLISH = """
import sys
from appmetrica_frames.integrations.storage import open_storage
storage, content = open_storage(sys.argv[1]), bytes(32 << 20)
print(flush=True)
storage.publish("large", lambda path: path.write_bytes(content) and None)
"""


def test_a_process_that_is_killed_while_it_puts_parts_leaves_the_old_file(bucket: Bucket) -> None:
    publish(b"old")
    bucket.fault(*["slow"] * 40)
    with subprocess.Popen([sys.executable, "-c", PUBLISH, TO], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        while not bucket.uploads():
            assert process.poll() is None, "it was not killed in time"
        process.kill()
    bucket.fault()
    assert bucket.content("mobile/large") == b"old"
    publish(LARGE)
    assert bucket.content("mobile/large") == LARGE


def test_a_window_that_is_put_in_parts_is_replaced_as_a_whole(syncer: Syncer, bucket: Bucket) -> None:
    large = {"to": TO, "fields": ["city", "tracking_id"], "date_since": "2024-07-29"}
    syncer.server.answers["installations"] = WIDE
    size = syncer.sync(**large)["bytes"][0]
    assert size > PART
    bucket.fault("pass", *["fail"] * 40)
    syncer.server.clock.advance(1.0)
    with pytest.raises(af.AppMetricaError, match="cannot be written"):
        syncer.sync(refresh=True, **large)
    bucket.fault()
    rows = bucket.read()
    assert (rows.height, rows["tracking_id"].sum()) == (WIDE_ROWS, sum(range(WIDE_ROWS)))
    assert syncer.sync(**large)["action"].to_list() == ["kept"]


def test_a_bucket_that_is_not_there_is_an_error(syncer: Syncer, bucket: Bucket) -> None:
    with pytest.raises(af.AppMetricaError, match=r"s3://nowhere-at-all/.* cannot be written"):
        syncer.sync(to="s3://nowhere-at-all/mobile")
