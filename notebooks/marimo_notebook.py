"""A reactive notebook in marimo: who uses the app, and for what, in the country that you choose.

``marimo edit notebooks/marimo_notebook.py`` opens it, ``marimo run`` shows it as an app. Without ``APPMETRICA_TOKEN``,
it reads from an emulated server.
"""

import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="App usage")


@app.cell
def _():
    import atexit
    import os
    from tempfile import TemporaryDirectory

    import altair as alt
    import marimo as mo
    import polars as pl

    from appmetrica_frames import Client, read_appmetrica
    from appmetrica_frames.emulator import Emulator

    return Client, Emulator, TemporaryDirectory, alt, atexit, mo, os, pl, read_appmetrica


@app.cell
def _(Client, Emulator, TemporaryDirectory, atexit, mo, os):
    if os.environ.get("APPMETRICA_TOKEN"):
        client, application_id = Client(), None  # None is the one of APPMETRICA_APPLICATION_ID
        source = "These rows come from AppMetrica."
    else:
        _server, _scratch = Emulator(rows_per_day=1_000).start(), TemporaryDirectory()
        atexit.register(_scratch.cleanup)
        atexit.register(_server.stop)
        client = Client(_server.token, base_url=_server.base_url, cache_dir=_scratch.name, poll=(0.1, 1))
        application_id = _server.application_id
        source = "`APPMETRICA_TOKEN` is not set: these rows come from an emulated server, with a simulated population."
    mo.md(f"# App usage\n\n{source}")
    return application_id, client


@app.cell
def _(mo):
    days = mo.ui.date_range(value=("2024-06-01", "2024-06-30"), start="2020-01-01", stop="2029-12-31", label="Days")
    return (days,)


@app.cell
def _(application_id, client, days, read_appmetrica):
    # marimo runs this cell when the days change, and not when the country does. Weeks that are cached are not asked for
    # again.
    events = read_appmetrica(
        "events",
        application_id=application_id,
        date_since=days.value[0],
        date_until=days.value[1],
        fields=["event_datetime", "event_name", "appmetrica_device_id", "country_iso_code"],
        split="week",
        client=client,
    )
    return (events,)


@app.cell
def _(days, events, mo):
    country = mo.ui.dropdown(
        ["All countries", *events["country_iso_code"].drop_nulls().unique().sort()],
        value="All countries",
        label="Country",
    )
    mo.hstack([days, country], justify="start")
    return (country,)


@app.cell
def _(country, events, mo, pl):
    selected = events if country.value == "All countries" else events.filter(country_iso_code=country.value)
    daily = (
        selected.group_by(day=pl.col("event_datetime").dt.date())
        .agg(devices=pl.col("appmetrica_device_id").n_unique())
        .sort("day")
    )
    mo.hstack(
        [
            mo.stat(f"{selected['appmetrica_device_id'].n_unique():,}", label="Devices"),
            mo.stat(f"{selected.height:,}", label="Events"),
            mo.stat(f"{daily['devices'].mean() or 0:,.0f}", label="Devices a day"),
        ],
        justify="start",
    )
    return daily, selected


@app.cell
def _(alt, daily):
    alt.Chart(daily, title="Devices by day").mark_line().encode(
        alt.X("day:T", title=None), alt.Y("devices:Q", title=None)
    ).properties(width="container", height=220)
    return


@app.cell
def _(alt, selected):
    top = selected["event_name"].value_counts(sort=True, name="events").head(8)
    alt.Chart(top, title="Most frequent events").mark_bar().encode(
        alt.X("events:Q", title=None), alt.Y("event_name:N", title=None, sort="-x")
    ).properties(width="container", height=220)
    return (top,)


if __name__ == "__main__":
    app.run()
