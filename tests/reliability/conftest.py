"""The tests of this folder share `fault_points`, which a process of its own runs, too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
