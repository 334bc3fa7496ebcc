"""How long a job has been waited for, and for how much of that the server could work on it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Stopwatch:
    """Adds up spans of time."""

    total: float = 0.0
    since: float | None = None

    def start(self, at: float) -> None:
        """Start, unless it is running."""
        if self.since is None:
            self.since = at

    def stop(self, at: float) -> None:
        """Stop, if it is running."""
        self.total, self.since = self.elapsed(at), None

    def elapsed(self, at: float) -> float:
        """Return the seconds that it has run."""
        return self.total + (0.0 if self.since is None else at - self.since)


@dataclass(slots=True)
class PatienceClock:
    """How long the server has worked on a job, apart from how long it could not.

    Attributes
    ----------
    blocked
        How long the server's limits, or the lack of a place in its queue, kept the job from it.
    behind
        How long the server had the job and worked on those that this process had queued before.
    """

    began: float
    blocked: Stopwatch = field(default_factory=Stopwatch)
    behind: Stopwatch = field(default_factory=Stopwatch)

    def worked(self, at: float) -> float:
        """Return the seconds that the server has had for this job alone: what ``prepare_timeout`` limits."""
        return self.waited(at) - self.behind.elapsed(at)

    def waited(self, at: float) -> float:
        """Return the seconds since the server has had the job."""
        return at - self.began - self.blocked.elapsed(at)
