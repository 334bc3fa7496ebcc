"""What a read imports: the libraries of other backends and the decoder of the other format stay out."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from appmetrica_frames.emulator import Emulator, MovableClock

if TYPE_CHECKING:
    from collections.abc import Iterator

NOON = 1_722_340_800.0
TOKEN = "emulator-token"
JSON_DECODER = "appmetrica_frames.decode.json"
TYPES = "appmetrica_frames.schema.types"
# Libraries look whether another one is installed. Only to import it is an error, and not one that they expect.
READ = """
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import PathFinder


class Poison(Loader):
    def create_module(self, spec):
        raise AssertionError(f"{{spec.name}} is imported")

    def exec_module(self, module):
        pass


class Poisoner(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in {poisoned!r} and (spec := PathFinder.find_spec(name, path, target)) is not None:
            spec.loader = Poison()
            return spec


sys.meta_path.insert(0, Poisoner())
import appmetrica_frames as af

client = af.Client({token!r}, base_url={base_url!r}, poll=(0.01, 0.01), progress=False)
day = {{"date_since": "2024-07-29", "date_until": "2024-07-29"}}
rows = af.read_appmetrica("events", application_id={application_id}, client=client, **day, **{parameters!r})
assert len(rows) > 100
"""


@pytest.fixture(scope="module")
def emulators() -> Iterator[dict[bool, Emulator]]:
    clock = MovableClock(start=NOON)
    with (
        Emulator(rows_per_day=500, clock=clock) as quoted,
        Emulator(rows_per_day=500, clock=clock, native_json=True) as bare,
    ):
        yield {False: quoted, True: bare}


def read(
    server: Emulator, poisoned: set[str], *, token: str | None = TOKEN, **parameters: Any
) -> subprocess.CompletedProcess[str]:
    code = READ.format(
        poisoned=poisoned,
        token=token,
        base_url=server.base_url,
        application_id=server.application_id,
        parameters=parameters,
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("parameters", "poisoned"),
    [
        ({"backend": "polars"}, {"pandas", "tqdm", "keyring", JSON_DECODER}),
        ({"backend": "pyarrow"}, {"pandas", "polars", "tqdm", "keyring", JSON_DECODER}),
        ({"backend": "pandas"}, {"polars", "tqdm", "keyring", JSON_DECODER}),
        ({"backend": "polars", "wire_format": "json"}, {"pandas"}),
        ({"backend": "pyarrow", "wire_format": "json"}, {"pandas", "polars"}),
    ],
    ids=lambda value: " ".join(sorted(map(str, value))) if isinstance(value, set) else str(value),
)
@pytest.mark.parametrize("native", [False, True], ids=["quoted", "bare"])
def test_a_cold_read_imports_its_own_backend_and_decoder_only(
    parameters: dict[str, Any], poisoned: set[str], emulators: dict[bool, Emulator], *, native: bool
) -> None:
    done = read(emulators[native], poisoned, **parameters)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("backend", "poisoned"),
    [
        ("polars", {"pandas", "httpx", "sqlite3", "pyarrow.csv", JSON_DECODER, TYPES, "appmetrica_frames.decode"}),
        (
            "pyarrow",
            {"pandas", "polars", "httpx", "sqlite3", "pyarrow.csv", JSON_DECODER, TYPES, "appmetrica_frames.decode"},
        ),
        ("pandas", {"polars", "httpx", "pyarrow.csv", JSON_DECODER, TYPES, "appmetrica_frames.decode"}),
    ],
)
def test_a_warm_read_imports_no_decoder_and_no_client(
    backend: str, poisoned: set[str], emulators: dict[bool, Emulator]
) -> None:
    assert read(emulators[False], set(), backend=backend).returncode == 0
    done = read(emulators[False], {"keyring", *poisoned}, token=None, backend=backend, offline=True)
    assert done.returncode == 0, done.stderr


def test_a_cold_read_with_the_token_of_the_environment_imports_no_keyring(
    emulators: dict[bool, Emulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APPMETRICA_TOKEN", emulators[False].token)
    done = read(emulators[False], {"keyring"}, token=None)
    assert done.returncode == 0, done.stderr


def test_a_keyring_that_cannot_be_imported_is_a_sentence_of_the_error(emulators: dict[bool, Emulator]) -> None:
    pytest.importorskip("keyring")
    done = read(emulators[False], {"keyring"}, token=None)
    assert done.stderr.splitlines()[-1].startswith("appmetrica_frames.errors.MissingTokenError: No AppMetrica token.")
    assert "The keyring could not be read: AssertionError: keyring is imported." in done.stderr


@pytest.mark.parametrize(
    ("parameters", "poison"),
    [({"backend": "pandas"}, "pandas"), ({"backend": "polars"}, "polars"), ({"wire_format": "json"}, JSON_DECODER)],
    ids=lambda value: " ".join(sorted(map(str, value))) if isinstance(value, set) else str(value),
)
def test_the_poison_works(parameters: dict[str, Any], poison: str, emulators: dict[bool, Emulator]) -> None:
    done = read(emulators[False], {poison}, **parameters)
    assert f"AssertionError: {poison} is imported" in done.stderr
