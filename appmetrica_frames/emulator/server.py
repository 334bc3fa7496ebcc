"""`Emulator`: the server in a thread, with counters and switches for tests."""

from __future__ import annotations

import socket
import sys
import time
from threading import Thread
from typing import TYPE_CHECKING, Self

import uvicorn
from starlette.middleware import Middleware

from .applications import APPLICATIONS
from .builder import AppQueue, BuildOptions
from .clock import MovableClock
from .exchanges import Recorder
from .faults.plan import FaultPlans, Plan
from .faults.proxy import Proxy
from .request import RequestLimits
from .routes import Api
from .simulation.population import Population
from .validation import check_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from .builder import Build, PartBuilds
    from .clock import Clock
    from .exchanges import Exchange
    from .faults.plan import PlanSpec
    from .queue import RepeatedMaxAge


HOST = "127.0.0.1"
TOKEN = "emulator-token"  # noqa: S105 - not a secret
START_TIMEOUT = 10.0
MAX_PORT = 65_535


class Emulator:
    """A Logs API on loopback, for as long as the ``with`` block lasts.

    Parameters
    ----------
    rows_per_day : int
        Event rows of an average day of the simulated population.
    preparation : float
        Seconds on the emulator's clock that it takes to prepare a file, whatever its size.
    seed : int
        Seed of the simulated population: the same seed gives the same rows.
    port : int
        Port to listen on; 0 takes a free one.
    clock : Clock, optional
        The emulator's clock; by default a `MovableClock` that runs with real time.
    preparation_per_day : float
        Seconds more for each day of the requested range.
    max_rows_per_file : int, optional
        An export with more rows, or a part with more, fails with 400 and asks for more parts.
    max_days : int, optional
        A longer range of dates fails with 400.
    part_builds : {"shared", "separate"}
        Whether the parts of an export come from one build and fit together, or each from a build of its own, with its
        own age and with the data of its own time. It is not known which one AppMetrica does.
    repeated_max_age : {"join", "move"}
        Whether a request that is repeated with ``max-age`` joins a job that is young enough, or moves it to the end of
        the queue as ``no-cache`` does.
    rejected_fields : iterable of str
        Fields of the catalogue that the server rejects all the same, with 400 and their name.
    announce_jobs : bool
        Whether the first response to a new job is ``Your query is added to the queue.``
    native_json : bool
        Whether JSON exports have numbers, booleans and null instead of strings.
    faults, bodies, calls : mapping of int to fault, or callable, optional
        The faults of export requests, downloads and other calls, by their number; see `faults`. Any of them, even
        an empty mapping, lets all three be changed later.

    Attributes
    ----------
    base_url, token : str
    application_id, other_application_id : int
        The two applications, each with its own queue, population and time zone.
    clock : Clock
    exchanges : list of Exchange
        The last 10,000 requests and responses.
    answers : dict of str to bytes or callable
        CSV bytes by resource, to build files from instead of simulated rows; or a function of the build that returns
        them, or raises the error that the job ends with.

    Examples
    --------
    >>> from appmetrica_frames.emulator import Emulator
    >>> with Emulator(rows_per_day=100) as server:
    ...     server.base_url.startswith("http://127.0.0.1:")
    True
    """

    def __init__(
        self,
        *,
        rows_per_day: int = 2_000,
        preparation: float = 0.0,
        preparation_per_day: float = 0.0,
        seed: int = 1,
        port: int = 0,
        clock: Clock | None = None,
        max_rows_per_file: int | None = None,
        max_days: int | None = None,
        part_builds: PartBuilds = "shared",
        repeated_max_age: RepeatedMaxAge = "join",
        rejected_fields: Iterable[str] = (),
        announce_jobs: bool = False,
        native_json: bool = False,
        faults: PlanSpec | None = None,
        bodies: PlanSpec | None = None,
        calls: PlanSpec | None = None,
    ) -> None:
        check_number("port", port, maximum=MAX_PORT)
        self.clock: Clock = clock or MovableClock()
        self.token = TOKEN
        self.application_id, self.other_application_id = (known.id for known in APPLICATIONS)
        self.exchanges: list[Exchange] = []
        self.answers: dict[str, bytes | Callable[[Build], bytes]] = {}
        options = BuildOptions(
            preparation=preparation,
            preparation_per_day=preparation_per_day,
            max_rows_per_file=max_rows_per_file,
            part_builds=part_builds,
            repeated_max_age=repeated_max_age,
            native_json=native_json,
            answers=self.answers,
        )
        self._queues = {
            known.id: AppQueue(Population(known, rows_per_day=rows_per_day, seed=seed), options, self.clock)
            for known in APPLICATIONS
        }
        self._limits = RequestLimits(set(rejected_fields), max_days)
        self._api = Api(TOKEN, self.clock, self._queues, self._limits, announce_jobs=announce_jobs)
        self._port = port
        self._has_proxy = not (faults is bodies is calls is None)
        self._plans = FaultPlans(Plan(faults), Plan(bodies), Plan(calls))
        self._proxy: Proxy | None = None
        self._server: uvicorn.Server | None = None
        self._thread: Thread | None = None

    @property
    def base_url(self) -> str:
        """The URL of the server."""
        return f"http://{HOST}:{self._port}"

    @property
    def preparations(self) -> int:
        """Number of files built."""
        return sum(queue.preparations for queue in self._queues.values())

    @property
    def downloads(self) -> int:
        """Number of files sent to the last byte, whatever a fault did to them afterwards."""
        return self._api.downloads

    @property
    def logs_api_enabled(self) -> bool:
        """Whether the status call says that the Logs API is enabled; it may be set."""
        return self._api.enabled

    @logs_api_enabled.setter
    def logs_api_enabled(self, enabled: bool) -> None:
        self._api.enabled = enabled

    @property
    def rejected_fields(self) -> set[str]:
        """The fields that the server rejects; the set may be changed."""
        return self._limits.rejected_fields

    @property
    def faults(self) -> Plan:
        """The faults of export requests, by their number."""
        return self._get_plans().exports

    @property
    def bodies(self) -> Plan:
        """The faults of downloads, by their number: of the export requests with status 200."""
        return self._get_plans().bodies

    @property
    def calls(self) -> Plan:
        """The faults of ``get_active_queries`` and Management API calls, by their number."""
        return self._get_plans().calls

    @property
    def export_requests(self) -> int:
        """Number of export requests so far, including those that a fault kept from the emulator."""
        return self._get_plans().exports.count

    def clear_faults(self) -> None:
        """Remove all planned faults and restart their counts."""
        self._get_plans().reset()

    def add_foreign_jobs(self, jobs: int, *, application_id: int | None = None) -> None:
        """Add jobs of other clients to an application's queue; they take as long as any job.

        Parameters
        ----------
        jobs : int
            Number of jobs.
        application_id : int, optional
            The application of the queue; by default `application_id`.

        Raises
        ------
        ValueError
            If the queue cannot hold so many.
        """
        self._queues[application_id or self.application_id].add_foreign_jobs(jobs)

    def lose_jobs(self, *, files: bool = False) -> None:
        """Lose the unfinished jobs of all applications without a word, as a server that is restarted does.

        Parameters
        ----------
        files : bool
            Whether the prepared files are lost, too.
        """
        for queue in self._queues.values():
            queue.lose_jobs(files=files)

    def wait_until_idle(self) -> None:
        """Wait until no file is being built, so that a test can move the clock."""
        for queue in self._queues.values():
            queue.wait_until_idle()

    def start(self) -> Self:
        """Start to serve in a thread, and return once requests are accepted."""
        listener = _open_listener(self._port)
        self._port = listener.getsockname()[1]
        if not self._has_proxy:
            self._serve(listener)
            return self
        internal = _open_listener(0)
        self._proxy = Proxy(listener, internal.getsockname(), self._plans)
        self._serve(internal)
        self._proxy.start()
        return self

    def stop(self) -> None:
        """Stop serving; leave no thread, socket or file behind."""
        try:
            if self._proxy is not None:
                self._proxy.stop()
        finally:
            self._proxy = None
            self._stop_server()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _get_plans(self) -> FaultPlans:
        if not self._has_proxy:
            raise RuntimeError("This emulator was started without faults. Pass faults={} to change them while it runs.")
        return self._plans

    def _serve(self, listener: socket.socket) -> None:
        app = self._api.app(Middleware(Recorder, exchanges=self.exchanges))
        self._server = uvicorn.Server(_build_config(app))
        self._thread = Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="emulator-server", daemon=True
        )
        self._thread.start()
        self._wait_for_start(self._server, self._thread)

    def _stop_server(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self._server = self._thread = None
        for queue in self._queues.values():
            queue.close()

    def _wait_for_start(self, server: uvicorn.Server, thread: Thread) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("The emulator's server did not start.")
            time.sleep(0.002)


def _open_listener(port: int) -> socket.socket:
    # Without an explicit protocol, asyncio does not turn off Nagle's algorithm: 40 ms more for every small response.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform != "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"Cannot listen on port {port} of {HOST}: {error.strerror}") from error
    return listener


def _build_config(app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        loop="asyncio",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
