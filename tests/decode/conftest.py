"""Examples may take as long as they need: a deadline fails on a busy machine."""

from hypothesis import settings

settings.register_profile("without deadline", deadline=None)
settings.load_profile("without deadline")
