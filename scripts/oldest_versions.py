"""``python scripts/oldest_versions.py``: print the oldest declared versions of what the package needs, as pins for pip.

The list stands in pyproject.toml: the dependencies and every extra except `dev`, whose tools nobody else installs.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
REQUIREMENT = re.compile(r"(?P<name>[\w.-]+)>=(?P<version>[\d.]+)")


def oldest_versions(pyproject: Path = PYPROJECT) -> Iterator[str]:
    """Yield a pin for each requirement; one without a lower bound is an error."""
    project = tomllib.loads(pyproject.read_text("utf-8"))["project"]
    extras = {name: needs for name, needs in project["optional-dependencies"].items() if name != "dev"}
    requirements = {need for needs in (project["dependencies"], *extras.values()) for need in needs}
    for requirement in sorted(requirements):
        if requirement.startswith(f"{project['name']}["):
            continue
        found = REQUIREMENT.fullmatch(requirement)
        if found is None:
            raise SystemExit(f"{requirement!r} in {pyproject.name} has no plain lower bound, such as 'name>=1.2'.")
        yield f"{found['name']}=={found['version']}"


if __name__ == "__main__":
    sys.stdout.write("".join(f"{pin}\n" for pin in oldest_versions()))
