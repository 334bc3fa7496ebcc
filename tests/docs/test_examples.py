"""Every example in a docstring runs, and prints what it says that it prints."""

from __future__ import annotations

import ast
import doctest
import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import appmetrica_frames as af
from appmetrica_frames.emulator import Emulator

from .conftest import PatientProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(af.__file__).parent
RETURNED = {af.CachedExport, af.CacheInfo, af.PruneResult, af.VerifyResult}  # what calls give, not what people call


def docstrings() -> Iterator[tuple[str, str]]:
    """Yield every docstring of the package by where it stands."""
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and (text := ast.get_docstring(node)):
                where = path.relative_to(PACKAGE).with_suffix("").as_posix()
                yield f"{where}:{getattr(node, 'name', '')}", text


EXAMPLES = [pytest.param(text, id=where) for where, text in docstrings() if ">>>" in text]


def called() -> Iterator[tuple[str, Any]]:
    """Yield what people call: functions, and the classes that they make objects of with their methods."""
    for name in af.__all__:
        thing = getattr(af, name)
        if inspect.isfunction(thing) or thing is af.AppMetricaError:
            yield name, thing
        elif inspect.isclass(thing) and not issubclass(thing, Exception) and thing not in RETURNED:
            yield name, thing
            methods = inspect.getmembers(thing, inspect.isfunction)
            yield from ((f"{name}.{part}", method) for part, method in methods if not part.startswith("_"))


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """Serve what ``appmetrica-frames emulator`` serves."""
    with Emulator() as running:
        yield running


@pytest.fixture(scope="module")
def ready_url(emulator: Emulator) -> Iterator[str]:
    proxy = PatientProxy(emulator)
    yield proxy.base_url
    proxy.close()


@pytest.mark.parametrize("text", EXAMPLES)
def test_an_example_prints_what_it_says(
    text: str, emulator: Emulator, ready_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("APPMETRICA_TOKEN", emulator.token)
    monkeypatch.setenv("APPMETRICA_BASE_URL", ready_url)
    example = doctest.DocTestParser().get_doctest(text, {}, "example", None, None)
    said: list[str] = []
    outcome = doctest.DocTestRunner().run(example, out=said.append)
    assert outcome.failed == 0, "".join(said)
    assert outcome.attempted == len(example.examples)
    assert not any(doctest.SKIP in line.options for line in example.examples)


@pytest.mark.parametrize(("name", "thing"), [pytest.param(*found, id=found[0]) for found in called()])
def test_what_people_call_has_an_example_that_prints_something(name: str, thing: Any) -> None:
    _, heading, text = (inspect.getdoc(thing) or "").partition("\nExamples\n--------\n")
    assert heading
    assert any(line.want for line in doctest.DocTestParser().get_examples(text))


def test_the_examples_of_what_people_call_are_among_those_that_run() -> None:
    for name, thing in called():
        text = (inspect.getdoc(thing) or "").partition("\nExamples\n--------\n")[2]
        assert any(text in str(known.values[0]) for known in EXAMPLES), name
