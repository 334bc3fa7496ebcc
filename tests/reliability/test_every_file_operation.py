"""Each file operation fails once, one at a time: a read gives the right rows, the store heals, prune cleans up.

Then each is where the process dies.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fault_points
import pytest
from fault_points import ERRORS, Points, failing, watched

import appmetrica_frames as af
from appmetrica_frames.emulator import Emulator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

FIELDS = ["appmetrica_device_id", "token"]
OLD, NEW = ("old 1", "old 2"), ("new 1", "new 2", "new 3")
TWO_DAYS = 2 * 86_400.0
KEPT = {"entry.json"}
LEFTOVERS = [
    *("{}.parquet", "{}.lease", "{}.used"),
    *("{}.parquet.tmp", "{}.part3.tmp", "entry.json.{}.tmp", "pending.json.{}.tmp"),
]
# The others take minutes: `-m exhaustive`.
IN_EVERY_RUN = {"publish", "look up", "look up and lease again"}


def body(tokens: tuple[str, ...]) -> bytes:
    return "\n".join([",".join(FIELDS), *(f"{2**63 + row},{token}" for row, token in enumerate(tokens))]).encode()


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as server:
        yield server


@dataclass
class World:
    """A cache and a server, and the two files that the server may have for one request."""

    server: Emulator
    cache: Path
    fresh: tuple[str, ...] = NEW

    @property
    def words(self) -> dict[str, Any]:
        return {"application_id": self.server.application_id, "fields": FIELDS}

    def client(self, **settings: Any) -> af.Client:
        chosen = {"poll": (0.002, 0.01), "retries": 0, "progress": False, **settings}
        return af.Client(self.server.token, base_url=self.server.base_url, cache_dir=self.cache, **chosen)

    def read(self, **words: Any) -> tuple[str, ...]:
        asked = {**self.words, "client": self.client(), **words}
        return tuple(af.read_appmetrica("push_tokens", **asked)["token"])

    def store_old(self) -> None:
        self.server.answers["push_tokens"] = body(OLD)
        assert self.read(refresh=True) == OLD

    def expect_new(self) -> None:
        self.server.answers["push_tokens"] = body(NEW)

    def store_new(self) -> None:
        self.expect_new()
        assert self.read(refresh=True) == NEW

    def parquet(self) -> Path:
        (export,) = self.cached().exports()
        return export.path

    def cached(self) -> af.Cache:
        return af.Cache(self.cache)

    def age(self, seconds: float = TWO_DAYS) -> None:
        """Have everything been used long ago, beyond the time in which a reader may still open what it was given."""
        then = time.time() - seconds
        for path in self.cache.rglob("*"):
            os.utime(path, (then, then))

    def files(self) -> set[str]:
        return {path.name for path in (self.cache / "v2").glob("[!l]*/*/*/*")}


class WorldOfParts(World):
    """The same, where the server gives the file in parts only."""

    def read(self, **words: Any) -> tuple[str, ...]:
        asked = {"application_id": self.server.application_id, "fields": ["installation_id"], "client": self.client()}
        day = {"date_since": "2024-07-29", "date_until": "2024-07-29"}
        return tuple(sorted(af.read_appmetrica("installations", **asked, **day, **words)["installation_id"]))


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


@dataclass(frozen=True)
class Scenario:
    """What is there before, what is done while an operation fails, what may be said of it and stored afterwards."""

    before: Callable[[World], None]
    act: Callable[[World], Any]
    expected: tuple[str, ...] | None = NEW
    left: tuple[tuple[str, ...] | None, ...] = (None, NEW)
    damage: bool = False
    reads: bool = True
    every_error: bool = False


def before_replacing(world: World) -> None:
    world.store_old()
    world.age()
    world.expect_new()


def before_the_first_lease(world: World) -> None:
    world.store_new()
    world.age()


def before_another_lease(world: World) -> None:
    before_the_first_lease(world)
    lazy(world)
    assert world.parquet().with_suffix(".lease").read_bytes()


def before_dropping(world: World) -> None:
    world.store_new()
    damage(world.parquet())


def before_verifying(world: World) -> None:
    """Damage a file that was sound when it was leased, and that looks the same from outside."""
    before_another_lease(world)
    path = world.parquet()
    found = path.stat()
    damage(path)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def before_dropping_a_record(world: World) -> None:
    world.store_new()
    damage(world.parquet().with_name("entry.json"))


def before_pruning(world: World) -> None:
    """Leftovers of every kind around a sound export."""
    world.store_old()
    world.store_new()
    folder = world.parquet().parent
    stranger = "ab" * 16
    for name in LEFTOVERS:
        (folder / name.format(stranger)).write_bytes(b"left")
    (folder / "pending.json").write_text('{"requested_at": 1, "parts": 1}')
    gone = folder.parent / ("cd" * 8)
    gone.mkdir()
    (gone / "entry.json").write_text("{")
    (gone / f"{stranger}.parquet").write_bytes(b"left")
    world.age()


def before_evicting(world: World) -> None:
    assert af.read_appmetrica("push_tokens", **{**world.words, "limit": 1, "client": world.client()}).height > 0
    world.age()
    world.expect_new()


def lazy(world: World) -> tuple[str, ...]:
    frame = af.scan_appmetrica("push_tokens", client=world.client(), **world.words)
    return tuple(frame.collect()["token"])


def iterated(world: World) -> tuple[str, ...]:
    with af.iter_appmetrica("push_tokens", batch_size=1, client=world.client(), **world.words) as batches:
        return tuple(token for batch in batches for token in batch.column("token").to_pylist())


def paths(world: World) -> tuple[str, ...]:
    import polars as pl

    files = af.download_appmetrica("push_tokens", client=world.client(), refresh=True, **world.words)
    return tuple(pl.read_parquet(files)["token"])


def removed(world: World) -> None:
    world.cached().clear()


def verified(world: World) -> None:
    world.cached().verify()


def pruned(world: World) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", af.CacheWarning)
        world.cached().prune()


SCENARIOS = {
    "publish": Scenario(World.expect_new, World.read),
    "publish and lease": Scenario(World.expect_new, paths),
    "replace": Scenario(before_replacing, lambda world: world.read(refresh=True), left=(OLD, NEW)),
    "look up": Scenario(World.store_new, World.read, left=(NEW,), every_error=True),
    "look up and lease": Scenario(World.store_new, lazy, left=(NEW,), every_error=True),
    "look up and lease first": Scenario(before_the_first_lease, lazy, left=(NEW,), every_error=True),
    "look up and lease again": Scenario(before_another_lease, lazy, left=(NEW,), every_error=True),
    "look up and iterate": Scenario(World.store_new, iterated, left=(NEW,), every_error=True),
    # Two things may be wrong then, and each is said once: what was damaged, and what cannot be written.
    "drop": Scenario(before_dropping, World.read, damage=True),
    "drop a record": Scenario(before_dropping_a_record, World.read, damage=True),
    "evict": Scenario(before_evicting, lambda world: world.read(client=world.client(max_bytes=1))),
    "verify": Scenario(before_verifying, verified, None, damage=True, reads=False),
    "prune": Scenario(before_pruning, pruned, None, left=(NEW,), damage=True, reads=False),
    "clear": Scenario(World.store_new, removed, None, reads=False),
}


# Some less than Python 3.11 does: the versions differ in how they list directories.
LEAST = {
    "publish": 40,
    "publish and lease": 50,
    "replace": 60,
    "look up": 30,
    "look up and lease": 40,
    "look up and lease first": 40,
    "look up and lease again": 40,
    "look up and iterate": 30,
    "drop": 60,
    "drop a record": 50,
    "evict": 80,
    "verify": 10,
    "prune": 120,
    "clear": 20,
}
LEAST_KILLS = 50


def caught(call: Callable[[], Any]) -> tuple[Any, tuple[str, ...]]:
    """Return what a call returned, and the cache warnings that it gave; no other warning is allowed."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = call()
    assert {warning.category for warning in said} <= {af.CacheWarning}, [str(warning.message) for warning in said]
    return result, [str(warning.message) for warning in said]


def act(scenario: Scenario, world: World, points: Points) -> None:
    """Act while an operation fails: a reader gets the right rows; whoever prunes or removes may be told of it."""
    with watched(points):
        if not scenario.reads:
            with suppress(OSError):
                scenario.act(world)
            return
        tokens, said = caught(lambda: scenario.act(world))
    assert tokens == scenario.expected
    assert len(said) == len(set(said)) <= 1 + scenario.damage, said


def offline(world: World) -> tuple[str, ...] | None:
    try:
        return world.read(offline=True)
    except af.NotCachedError:
        return None


def heals(world: World, left: tuple[tuple[str, ...] | None, ...], *, damage: bool) -> None:
    """Find nothing stored, or a whole export; have the next call store its own, and prune leave no rubbish."""
    tokens, said = caught(lambda: offline(world))
    assert tokens in left
    assert len(said) <= damage
    tokens, said = caught(lambda: world.read(refresh=True))
    assert tokens == world.fresh
    assert len(said) <= damage
    assert world.read(offline=True) == world.fresh
    world.age()
    caught(lambda: world.cached().prune())
    assert all(name in KEPT or name.endswith((".parquet", ".lease", ".used")) for name in world.files())
    exports = [export.path for export in world.cached().exports()]
    assert {path.name for path in exports} == {name for name in world.files() if name.endswith(".parquet")}
    assert world.cached().verify().damaged == ()
    assert world.read(offline=True) == world.fresh


def mostly_exhaustive(names: Iterable[str]) -> list[Any]:
    """Return the names as parameters of a test, marked unless they are to be in every run."""
    return [name if name in IN_EVERY_RUN else pytest.param(name, marks=pytest.mark.exhaustive) for name in names]


def numbered(count: int, *, every_error: bool) -> Iterator[tuple[int, int]]:
    for number in range(1, count + 1):
        for error in ERRORS if every_error else (ERRORS[number % len(ERRORS)],):
            yield number, error


def fails_everywhere(name: str, scenario: Scenario, make: Callable[[Path], World], tmp_path: Path, tries: Any) -> int:
    dry = make(tmp_path / "dry")
    scenario.before(dry)
    points = Points(dry.cache)
    act(scenario, dry, points)
    for number, error in numbered(len(points.seen), every_error=scenario.every_error):
        world = make(tmp_path / f"{number}-{error}")
        scenario.before(world)
        failed = Points(world.cache, number, failing(error))
        try:
            act(scenario, world, failed)
            heals(world, scenario.left, damage=scenario.damage)
        except (Exception, AssertionError) as wrong:
            wrong.add_note(f"{name}: {os.strerror(error)} at {failed.seen[number - 1 : number]}, the {number}th")
            raise
        tries.add(len(failed.seen) >= number)
    return int(tries.count)


@pytest.mark.parametrize("name", mostly_exhaustive(SCENARIOS))
def test_a_failure_at_every_file_operation(
    name: str, emulator: Emulator, tmp_path: Path, count_tries: Callable[[str], Any]
) -> None:
    tries = count_tries(f"a failed file operation costs no rows: {name}")
    tried = fails_everywhere(name, SCENARIOS[name], lambda path: World(emulator, path), tmp_path, tries)
    assert tried >= LEAST[name]


@pytest.mark.exhaustive
def test_a_failure_at_every_file_operation_of_an_export_in_parts(
    tmp_path: Path, count_tries: Callable[[str], Any]
) -> None:
    tries = count_tries("a failed file operation costs no rows: publish in parts")
    with Emulator(rows_per_day=3000, max_rows_per_file=11) as server:
        whole = WorldOfParts(server, tmp_path / "whole").read()
        assert len(whole) > 11
        scenario = Scenario(lambda _: None, WorldOfParts.read, whole, left=(None, whole))
        make = partial(WorldOfParts, server, fresh=whole)
        assert fails_everywhere("publish in parts", scenario, make, tmp_path, tries) >= 60


KILLED_WHILE = {
    "publishing": (World.expect_new, {}, (None, NEW)),
    "replacing": (before_replacing, {"refresh": True}, (OLD, NEW)),
    "dropping": (before_dropping, {}, (None, NEW)),
}


class Nursery:
    """A process with everything imported, which forks one for each kill."""

    def __init__(self, world: World, words: dict[str, Any]) -> None:
        client = {"token": world.server.token, "base_url": world.server.base_url, "poll": [0.002, 0.01]}
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(Path(fault_points.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._say({"client": client, "words": {"resource": "push_tokens", **world.words, **words}})

    def call(self, cache: Path, number: int) -> int:
        """Return how a process ended that was to die at its operation of that number."""
        assert self._process.stdout is not None
        self._say([str(cache), number])
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate(timeout=30)

    def _say(self, words: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a process for each kill is forked")
@pytest.mark.parametrize("stage", mostly_exhaustive(KILLED_WHILE))
def test_a_kill_at_every_file_operation(
    stage: str, emulator: Emulator, tmp_path: Path, count_tries: Callable[[str], Any]
) -> None:
    tries = count_tries(f"a kill at any file operation leaves the old export or the new: {stage}")
    before, words, left = KILLED_WHILE[stage]
    nursery, killed, finished = Nursery(World(emulator, tmp_path), words), 0, False
    with closing(nursery):
        while not finished:
            world = World(emulator, tmp_path / str(killed + 1) / "cache")
            world.cache.mkdir(parents=True)
            before(world)
            ended = nursery.call(world.cache, killed + 1)
            assert ended in {-signal.SIGKILL, 0}
            finished = ended == 0
            killed += not finished
            tries.add(not finished)
            began = time.monotonic()
            heals(world, left, damage=stage == "dropping")
            assert time.monotonic() - began < 5, "a dead process is waited for"
    assert killed >= LEAST_KILLS
