"""The peak memory of downloading many daily windows, as a multiple of that of three.

``python -m benchmarks.ranges_memory`` downloads daily windows of wide ``events`` from an emulator, three of them and
ninety, each time in a fresh process. Each window is the same file of some 20 MB of CSV.
"""

from __future__ import annotations

import argparse
import logging
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from .measure import peak_mib

FIRST_DAY = date(2024, 5, 1)
SIMULATED = 5_000  # rows, which are repeated
FEW = 3
LIMIT = 1.2


@dataclass(frozen=True)
class Order:
    """What a process downloads from which server."""

    base_url: str
    application_id: int
    token: str
    cache: Path
    windows: int


def main() -> None:
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # the server's, of bodies that are not read after all
    given = parse_arguments()
    csv = build_csv(int(given.mb * 1e6))
    few, many = measure(FEW, csv), measure(given.windows, csv)
    print(f"daily windows of {len(csv) / 1e6:.1f} MB of CSV each")
    print(f"{FEW} windows: {few[0]:.0f} MiB at the peak, {few[1]:.1f} s")
    print(f"{given.windows} windows: {many[0]:.0f} MiB at the peak, {many[1]:.1f} s")
    print(f"{many[0] / few[0]:.2f} times the memory; at most {LIMIT} times")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ranges_memory", description=__doc__)
    parser.add_argument("--windows", type=int, default=90, help="days of the longer range (default: %(default)s)")
    parser.add_argument("--mb", type=float, default=20, help="size of each day's CSV (default: %(default)s)")
    return parser.parse_args()


def build_csv(size: int) -> bytes:
    """Return a day of events as the emulator simulates them, repeated up to a size."""
    import httpx

    from appmetrica_frames.emulator import Emulator

    params = {"date_since": "2024-07-01", "date_until": "2024-07-01", "fields": ",".join(wire_fields())}
    with Emulator(rows_per_day=SIMULATED) as server:
        params["application_id"] = str(server.application_id)
        headers = {"Authorization": f"OAuth {server.token}"}
        address = f"{server.base_url}/logs/v1/export/events.csv"
        while (response := httpx.get(address, params=params, headers=headers)).status_code != httpx.codes.OK:
            time.sleep(0.1)
    header, _, rows = response.content.partition(b"\n")
    rows = rows.rstrip(b"\n") + b"\n"
    return header + b"\n" + rows * max(1, round(size / len(rows)))


def measure(windows: int, csv: bytes) -> tuple[float, float]:
    """Return the peak memory in MiB and the seconds of a fresh process that downloads so many windows."""
    from appmetrica_frames.emulator import Emulator

    with (
        TemporaryDirectory(prefix="benchmarks-") as cache,
        Emulator() as server,
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool,
    ):
        server.answers["events"] = csv
        order = Order(server.base_url, server.application_id, server.token, Path(cache), windows)
        return pool.submit(download, order).result()


def download(order: Order) -> tuple[float, float]:
    import appmetrica_frames as af

    client = af.Client(order.token, base_url=order.base_url, cache_dir=order.cache, poll=(0.1, 0.5), progress=False)
    start = time.perf_counter()
    paths = af.download_appmetrica(
        "events",
        application_id=order.application_id,
        date_since=FIRST_DAY,
        date_until=FIRST_DAY + timedelta(days=order.windows - 1),
        split="day",
        client=client,
    )
    seconds = time.perf_counter() - start
    if len(paths) != order.windows:
        raise RuntimeError(f"{len(paths)} files for {order.windows} windows.")
    return peak_mib(), seconds


def wire_fields() -> list[str]:
    """Return all documented fields of events, in the order in which they are requested."""
    from appmetrica_frames.schema import catalog

    return sorted(catalog.resource("events").fields)


if __name__ == "__main__":
    main()
