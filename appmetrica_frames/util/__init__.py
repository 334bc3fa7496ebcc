"""Clock, durations, files, settings."""
