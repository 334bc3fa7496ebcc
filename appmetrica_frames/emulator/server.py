"""`Emulator`: the server in a thread of its own, with what tests want to know about it."""

from __future__ import annotations

import signal
import socket
import sys
import time
from contextlib import contextmanager
from threading import Thread, current_thread, main_thread
from typing import TYPE_CHECKING, Self

import uvicorn
from starlette.middleware import Middleware

from .applications import APPLICATIONS
from .builder import Bench, Rules
from .clock import MovableClock
from .exchanges import Recorder
from .faults.plan import Plan, Plans
from .faults.proxy import Proxy
from .routes import Api
from .simulation.population import Population

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from .clock import Clock
    from .exchanges import Exchange
    from .faults.plan import Planned


HOST = "127.0.0.1"
TOKEN = "emulator-token"  # noqa: S105 - obviously no secret
PATIENCE = 10.0


class Emulator:
    """A Logs API on loopback, for as long as the ``with`` block lasts.

    Parameters
    ----------
    rows_per_day : int
        Event rows of an average day of the simulated population.
    preparation : float
        Seconds on the emulator's clock that preparing a file takes, at least.
    seed : int
        Seed of the simulated population: the same seed gives the same rows.
    port : int
        Port to listen on; 0 takes a free one.
    clock : Clock, optional
        The emulator's clock; by default a `MovableClock` that runs with real time.
    parts_above : int, optional
        Rows above which an export, or one part of it, answers 400 and asks for more parts.
    native_json : bool
        Whether JSON exports hold bare numbers, booleans and null instead of text.
    faults, bodies, calls : mapping of int to fault, or callable, optional
        What goes wrong with which export request, with which download, and with which other call; see `faults`. An
        empty mapping for any of them lets all three be set later.

    Attributes
    ----------
    base_url, token : str
    application_id, other_application_id : int
        The two applications, each with its own queue, population and time zone.
    clock : Clock
    exchanges : list of Exchange
        Every request and its answer so far.
    answers : dict of str to bytes
        CSV bytes by resource, which a build of that resource yields instead of simulated rows.

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
        seed: int = 1,
        port: int = 0,
        clock: Clock | None = None,
        parts_above: int | None = None,
        native_json: bool = False,
        faults: Planned | None = None,
        bodies: Planned | None = None,
        calls: Planned | None = None,
    ) -> None:
        self.clock: Clock = clock or MovableClock()
        self.token = TOKEN
        self.application_id, self.other_application_id = (known.id for known in APPLICATIONS)
        self.exchanges: list[Exchange] = []
        self.answers: dict[str, bytes] = {}
        rules = Rules(preparation, parts_above, native_json, self.answers)
        self._benches = {
            known.id: Bench(Population(known, rows_per_day=rows_per_day, seed=seed), rules, self.clock)
            for known in APPLICATIONS
        }
        self._api = Api(TOKEN, self.clock, self._benches)
        self._port = port
        self._behaves = faults is bodies is calls is None
        self._plans = Plans(Plan(faults), Plan(bodies), Plan(calls))
        self._proxy: Proxy | None = None
        self._server: uvicorn.Server | None = None
        self._thread: Thread | None = None

    @property
    def base_url(self) -> str:
        """Where the server listens."""
        return f"http://{HOST}:{self._port}"

    @property
    def preparations(self) -> int:
        """Number of files built."""
        return sum(bench.preparations for bench in self._benches.values())

    @property
    def downloads(self) -> int:
        """Number of files whose body was sent to its last byte, whatever a fault did to it on its way."""
        return self._api.downloads

    @property
    def logs_api_enabled(self) -> bool:
        """What the availability call says; it may be set."""
        return self._api.enabled

    @logs_api_enabled.setter
    def logs_api_enabled(self, enabled: bool) -> None:
        self._api.enabled = enabled

    @property
    def faults(self) -> Plan:
        """What goes wrong with export requests, by their number."""
        return self._planned().exports

    @property
    def bodies(self) -> Plan:
        """What goes wrong with downloads, by their number: only export requests that the emulator answers 200 count."""
        return self._planned().bodies

    @property
    def calls(self) -> Plan:
        """What goes wrong with `get_active_queries` and the Management API, by the number of the call."""
        return self._planned().calls

    @property
    def asked(self) -> int:
        """Number of export requests so far, those included that a fault kept from the emulator."""
        return self._planned().exports.count

    def behave(self) -> None:
        """Forget all planned faults, and count requests from 1 again."""
        self._planned().restart()

    def occupy(self, jobs: int, *, application_id: int | None = None) -> None:
        """Put jobs of other people into an application's queue; each takes its time there as any job does.

        Parameters
        ----------
        jobs : int
            How many.
        application_id : int, optional
            Whose queue; by default that of `application_id`.

        Raises
        ------
        ValueError
            If the queue has no room for them.
        """
        self._benches[application_id or self.application_id].occupy(jobs)

    def settle(self) -> None:
        """Return when no file is being computed, so that a test may move the clock without outrunning the work."""
        for bench in self._benches.values():
            bench.settle()

    def start(self) -> Self:
        """Listen and serve in a thread; return once requests are accepted."""
        listener = _listener(self._port)
        self._port = listener.getsockname()[1]
        if self._behaves:
            self._serve(listener)
            return self
        hidden = _listener(0)
        self._proxy = Proxy(listener, hidden.getsockname(), self._plans)
        self._serve(hidden)
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

    def _planned(self) -> Plans:
        if self._behaves:
            raise RuntimeError("This emulator behaves. Give it faults={} to plan faults while it runs.")
        return self._plans

    def _serve(self, listener: socket.socket) -> None:
        app = self._api.app(Middleware(Recorder, exchanges=self.exchanges))
        self._server = uvicorn.Server(_config(app))
        self._thread = Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="emulator-server", daemon=True
        )
        self._thread.start()
        self._await_start(self._server, self._thread)

    def _stop_server(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = True
            self._thread.join()
            self._server = self._thread = None
        for bench in self._benches.values():
            bench.close()

    def _await_start(self, server: uvicorn.Server, thread: Thread) -> None:
        deadline = time.monotonic() + PATIENCE
        while not server.started:
            if not thread.is_alive() or time.monotonic() > deadline:
                raise RuntimeError("The emulator's server did not start.")
            time.sleep(0.002)


def serve(*, port: int = 8000, rows_per_day: int = 2_000, preparation: float = 5.0, seed: int = 1) -> None:
    """Serve until Ctrl-C or SIGTERM, saying first how to ask.

    Parameters
    ----------
    port : int
        Port to listen on; 0 takes a free one.
    rows_per_day : int
        Event rows of an average day.
    preparation : float
        Seconds that preparing a file takes.
    seed : int
        Seed of the simulated population.
    """
    emulator = Emulator(rows_per_day=rows_per_day, preparation=preparation, seed=seed, port=port)
    try:
        with _terminable(), emulator as server:
            sys.stdout.write(greeting(server))
            sys.stdout.flush()
            while True:
                time.sleep(3600)
    except KeyboardInterrupt:
        sys.stdout.write("\nStopped.\n")


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end what Ctrl-C ends: a shell has its background jobs ignore Ctrl-C."""
    if current_thread() is not main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def greeting(server: Emulator) -> str:
    query = "fields=event_datetime,event_name,city&date_since=2026-01-01&date_until=2026-01-01&limit=10"
    return (
        f"Logs API emulator at  {server.base_url}\n"
        f"OAuth token           {server.token}\n"
        f"application_id        {server.application_id} (or {server.other_application_id})\n"
        "Ask twice, the first answer is 202:\n"
        f"  curl -s -H 'Authorization: OAuth {server.token}' "
        f"'{server.base_url}/logs/v1/export/events.csv?application_id={server.application_id}&{query}'\n"
    )


def _listener(port: int) -> socket.socket:
    # With the protocol left out, asyncio would not turn Nagle's algorithm off: 40 ms more for every small answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform != "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError:
        listener.close()
        raise
    return listener


def _config(app: object) -> uvicorn.Config:
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
