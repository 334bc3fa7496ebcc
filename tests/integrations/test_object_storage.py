"""A dataset on object storage: a real S3 server on loopback, whose PUTs fail, are slow or break off."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow.dataset as ds
import pytest
from pyarrow import fs

import appmetrica_frames as af
from appmetrica_frames.integrations.storage import open_storage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import Syncer

BUCKET = "analytics"
TO = f"s3://{BUCKET}/mobile"
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


def test_a_large_file_of_which_a_part_fails_does_not_appear(bucket: Bucket) -> None:
    """Arrow puts it in parts, and would complete an object whose stream is dropped."""
    storage = open_storage(TO)
    content = bytes(range(256)) * (1 << 17)  # 32 MB
    bucket.fault("pass", *["refuse"] * 20)
    with pytest.raises(af.DatasetError, match="cannot be written"):
        storage.publish("large", lambda path: path.write_bytes(content) and None)
    bucket.fault()
    assert bucket.files() == []
    assert storage.publish("large", lambda path: path.write_bytes(content) and None) == len(content)
    assert bucket.files() == [f"{BUCKET}/mobile/large"]


def test_a_bucket_that_is_not_there_is_an_error(syncer: Syncer, bucket: Bucket) -> None:
    with pytest.raises(af.AppMetricaError, match=r"s3://nowhere-at-all/.* cannot be written"):
        syncer.sync(to="s3://nowhere-at-all/mobile")
