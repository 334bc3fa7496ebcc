"""The package as it presents itself: names, help, examples, and what importing it costs."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import pytest

import appmetrica_frames as af
from appmetrica_frames.engine.options import build_options
from appmetrica_frames.schema import catalog

if TYPE_CHECKING:
    from appmetrica_frames.emulator import Emulator

PACKAGE = Path(af.__file__).parent
READERS = [af.read_appmetrica, af.scan_appmetrica, af.iter_appmetrica, af.download_appmetrica, af.plan_appmetrica]
HEAVY = {"polars", "pandas", "httpx", "pyarrow"}


def imported_by(code: str) -> set[str]:
    printed = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], check=True, capture_output=True, text=True
    )
    return set(printed.stdout.split())


def test_importing_the_package_loads_no_heavy_library() -> None:
    assert imported_by("import appmetrica_frames as af; af.Client('x'); af.Cache('y').exports()") & HEAVY == set()


@pytest.mark.parametrize(
    ("backend", "idle"), [("polars", {"pandas", "httpx"}), ("pyarrow", {"pandas", "polars", "httpx"})]
)
def test_a_read_from_the_store_loads_what_it_returns_and_no_more(
    backend: str, idle: set[str], server: Emulator, client: af.Client
) -> None:
    asked: dict[str, Any] = {"application_id": server.application_id, "fields": ["token", "city"]}
    af.read_appmetrica("push_tokens", client=client, **asked)
    code = (
        "import appmetrica_frames as af;"
        f"client = af.Client(base_url={server.base_url!r});"
        f"af.read_appmetrica('push_tokens', client=client, backend={backend!r}, **{asked})"
    )
    assert imported_by(code) & idle == set()


def test_all_names_what_is_public() -> None:
    typed = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    imported = {alias.name for node in ast.walk(typed) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert set(af.__all__) == imported - {"import_module", "TYPE_CHECKING"}
    assert af.__all__ == sorted(af.__all__)
    assert set(af.__all__) <= set(dir(af))


@pytest.mark.parametrize("name", af.__all__)
def test_every_public_name_is_there_when_it_is_used(name: str) -> None:
    assert imported_by(f"from appmetrica_frames import {name}") & HEAVY == set()


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'read_metrica'"):
        af.read_metrica  # type: ignore[attr-defined]  # noqa: B018


INTERNAL = {"clock", "find_zone"}
SHARED = {name: given for name, given in inspect.signature(build_options).parameters.items() if name not in INTERNAL}
OWN = {
    "read_appmetrica": {"cache", "backend"},
    "scan_appmetrica": set(),
    "iter_appmetrica": {"cache", "batch_size"},
    "download_appmetrica": set(),
    "plan_appmetrica": set(),
}


@pytest.mark.parametrize("function", READERS, ids=lambda function: function.__name__)
def test_every_reader_shows_the_shared_parameters_in_its_source(function: Any) -> None:
    own = inspect.signature(function).parameters
    shared = {name: parameter.default for name, parameter in SHARED.items() if name != "cache"}
    extra = OWN[function.__name__]
    assert {name: parameter.default for name, parameter in own.items() if name not in extra} == shared
    assert set(own) - set(shared) == extra
    assert [name for name, p in own.items() if p.kind is not p.KEYWORD_ONLY] == ["resource"]
    (written,) = _definitions(function.__name__)
    assert [argument.arg for argument in [*written.args.args, *written.args.kwonlyargs]] == list(own)


def test_a_sync_shows_its_parameters_in_its_source_and_shares_the_others_with_readers() -> None:
    own = inspect.signature(af.sync_appmetrica).parameters
    given = {name for name, parameter in own.items() if name in SHARED and parameter.default == SHARED[name].default}
    assert set(SHARED) - given == {"date_since", "date_until", "split", "limit", "offline", "stale_if_error", "cache"}
    assert set(own) - set(SHARED) == {"to", "add_columns", "dry_run", "filesystem", "duckdb"}
    assert [name for name, p in own.items() if p.kind is not p.KEYWORD_ONLY] == ["resource"]
    assert [name for names in _described(af.sync_appmetrica) for name in names.split(", ")] == list(own)


@pytest.mark.parametrize("function", READERS, ids=lambda function: function.__name__)
def test_every_reader_describes_each_parameter_as_the_others_do(function: Any) -> None:
    described, model = _described(function), _described(af.read_appmetrica)
    assert [name for names in described for name in names.split(", ")] == list(inspect.signature(function).parameters)
    for names, text in described.items():
        assert text == model.get(names, text)


def test_every_overload_has_the_parameters_of_the_function() -> None:
    names = list(inspect.signature(af.read_appmetrica).parameters)
    for overload in _definitions("read_appmetrica", overloads=True):
        assert [argument.arg for argument in [*overload.args.args, *overload.args.kwonlyargs]] == names


def test_the_public_typed_dict_has_the_shared_parameters() -> None:
    assert list(af.ExportParameters.__annotations__) == [name for name in SHARED if name not in {"resource", "cache"}]
    assert af.ExportParameters.__required_keys__ == set()


def test_the_literal_of_resources_is_the_catalogue() -> None:
    assert list(get_args(catalog.ResourceName)) == list(catalog.resources())


def _definitions(name: str, *, overloads: bool = False) -> list[ast.FunctionDef]:
    module = sys.modules[getattr(af, name).__module__]
    tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    return [node for node in found if ("overload" in map(ast.unparse, node.decorator_list)) == overloads]


def _described(function: Any) -> dict[str, str]:
    """Return the descriptions of a function's parameters."""
    section = (inspect.getdoc(function) or "").split("Parameters\n----------\n")[1].split("\n\n")[0]
    return {found[1]: found[2] for found in re.finditer(r"^(\w[\w, ]*) : (.*(?:\n    .*)*)", section, re.MULTILINE)}


@pytest.mark.parametrize("name", [name for name in af.__all__ if callable(getattr(af, name))])
def test_public_docstrings_say_what_goes_in_and_comes_out(name: str) -> None:
    public = getattr(af, name)
    documented = inspect.getdoc(public) or ""
    assert documented.splitlines()[0].endswith(".")
    if inspect.isfunction(public):
        assert "\nReturns\n-------\n" in documented


def test_only_the_transport_imports_httpx() -> None:
    modules = [path for path in PACKAGE.rglob("*.py") if "httpx" in _imports(path) and "emulator" not in path.parts]
    assert modules == [PACKAGE / "logs_api" / "transport.py"]


def test_the_protocol_has_no_clock_and_no_socket() -> None:
    assert _imports(PACKAGE / "logs_api" / "protocol.py") & {"time", "socket", "httpx", "random", "datetime"} == set()


def _imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_field_types_of_the_catalogue() -> None:
    """The ids of which half would not fit a signed column, and the fields whose documented type misleads."""
    types = {field.name: field.type for kind in catalog.resources().values() for field in kind.fields.values()}
    assert {types[name] for name in ("appmetrica_device_id", "tracking_id", "crash_id", "session_id")} == {"uint64"}
    assert types["ecom_product_sku"] == types["error_id"] == types["is_revenue_verified"] == "string"
    assert types["revenue_price"] == types["ecom_cart_item_quantity"] == "float64"
    assert {kind for name, kind in types.items() if name.endswith("_timestamp")} == {"unix_time"}
    assert {kind for name, kind in types.items() if name.endswith("_datetime")} == {"datetime"}
    assert len(af.list_resources()) == 14
    assert af.list_resources().filter(deprecated=True)["resource"].to_list() == ["profiles"]
    assert get_type_hints(catalog.Field)["name"] is str
