"""``python -m appmetrica_frames.emulator``: serve until Ctrl-C or SIGTERM."""

from .command import main

if __name__ == "__main__":
    main()
