"""The tree of errors: one root, the builtin that users would catch, attributes that survive a process pool."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import pytest

import appmetrica_frames as af
from appmetrica_frames import errors

LEAVES = [
    (af.InvalidRequestError, ValueError),
    (af.MissingTokenError, LookupError),
    (af.NotCachedError, LookupError),
    (af.AuthenticationError, PermissionError),
    (af.RequestRejectedError, Exception),
    (af.QuotaExceededError, Exception),
    (af.ServerError, ConnectionError),
    (af.PreparationTimeoutError, TimeoutError),
    (af.DownloadError, ConnectionError),
    (af.DatasetError, OSError),
    (af.DecodeError, ValueError),
    (af.SchemaError, af.DecodeError),
]


@pytest.mark.parametrize(("leaf", "builtin"), LEAVES)
def test_leaves_are_caught_by_the_root_and_by_the_builtin(leaf: type[Exception], builtin: type[Exception]) -> None:
    assert issubclass(leaf, af.AppMetricaError)
    assert issubclass(leaf, builtin)
    assert str(leaf("what happened")) == "what happened"


def test_the_tree_is_drawn_whole() -> None:
    drawn = set(re.findall(r"^[\s│├└─]*(\w+(?:Error|Warning))\b", errors.__doc__ or "", re.MULTILINE))
    real = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert drawn == real


def test_the_guide_shows_the_tree_and_tells_of_each_error() -> None:
    guide = Path(__file__).parents[1].joinpath("docs", "guides", "errors.md").read_text("utf-8")
    assert errors.__doc__ is not None
    assert errors.__doc__.partition("\n\n")[2].strip() in guide
    real = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    assert set(re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$", guide, re.MULTILINE)) == real - {"AppMetricaError"}


def test_attributes_survive_a_pickle() -> None:
    error = pickle.loads(pickle.dumps(af.SchemaError("text", column="mcc", row=3, value="x")))  # noqa: S301 - our own
    assert (str(error), error.column, error.row, error.value) == ("text", "mcc", 3, "x")
    refused = pickle.loads(pickle.dumps(af.AuthenticationError("text", status=403)))  # noqa: S301 - our own
    assert refused.status == 403
