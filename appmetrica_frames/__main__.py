"""``python -m appmetrica_frames`` and ``appmetrica-frames``: the command line, or how to install it."""

from __future__ import annotations

import sys

EXTRAS = {"typer": "cli", "numpy": "demo", "starlette": "demo", "uvicorn": "demo"}


def main() -> None:
    """Run the command line; say in one line which extra is missing, if one is."""
    try:
        from .cli import run

        run()
    except ModuleNotFoundError as missing:
        if missing.name not in EXTRAS:
            raise
        extra = f"appmetrica-frames[{EXTRAS[missing.name]}]"
        sys.exit(f"appmetrica-frames: {missing.name} is not installed; this installs it: pip install '{extra}'")
    except KeyboardInterrupt:  # while the libraries were loading
        sys.stderr.write("appmetrica-frames: interrupted\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
