"""A dashboard in Streamlit: who uses the app, and for what, in the country that you choose.

``streamlit run notebooks/streamlit_app.py`` opens it. Without ``APPMETRICA_TOKEN``, it reads from an emulated server.
"""

import atexit
import os
from datetime import date
from tempfile import TemporaryDirectory

import polars as pl
import streamlit as st

from appmetrica_frames import Client, read_appmetrica
from appmetrica_frames.emulator import Emulator

EVERYWHERE = "All countries"
FIELDS = ["event_datetime", "event_name", "appmetrica_device_id", "country_iso_code"]


# Streamlit runs this file again at every click. What is opened once belongs into a resource.
@st.cache_resource
def open_client():
    """Return a client, and the application; None is the one of ``APPMETRICA_APPLICATION_ID``."""
    if os.environ.get("APPMETRICA_TOKEN"):
        return Client(), None
    server, scratch = Emulator(rows_per_day=1_000).start(), TemporaryDirectory()
    atexit.register(scratch.cleanup)
    atexit.register(server.stop)
    client = Client(server.token, base_url=server.base_url, cache_dir=scratch.name, poll=(0.1, 1))
    return client, server.application_id


st.set_page_config(page_title="App usage", layout="wide")
st.title("App usage")
client, application_id = open_client()

chosen = st.sidebar.date_input("Days", (date(2024, 6, 1), date(2024, 6, 30)), key="days")
if len(chosen) < 2:  # noqa: PLR2004 - the second day has yet to be chosen
    st.stop()

# Weeks that are cached are not asked for again: another range costs what it has more, and another click nothing.
with st.spinner("AppMetrica prepares the export. The first time, that takes minutes."):
    events = read_appmetrica(
        "events",
        application_id=application_id,
        date_since=chosen[0],
        date_until=chosen[1],
        fields=FIELDS,
        split="week",
        client=client,
    )

countries = events["country_iso_code"].drop_nulls().unique().sort().to_list()
country = st.sidebar.selectbox("Country", [EVERYWHERE, *countries], key="country")
if country != EVERYWHERE:
    events = events.filter(country_iso_code=country)

devices = pl.col("appmetrica_device_id").n_unique()
daily = events.group_by(pl.col("event_datetime").dt.date().alias("day")).agg(devices.alias("devices")).sort("day")
top = events["event_name"].value_counts(sort=True, name="events").head(8)

totals = st.columns(3)
totals[0].metric("Devices", f"{events['appmetrica_device_id'].n_unique():,}")
totals[1].metric("Events", f"{events.height:,}")
totals[2].metric("Devices a day", f"{daily['devices'].mean() or 0:,.0f}")

st.subheader("Devices by day")
st.line_chart(daily, x="day", y="devices")
st.subheader("Most frequent events")
st.bar_chart(top, x="event_name", y="events", horizontal=True, sort="-events")

if application_id is not None:
    st.caption("APPMETRICA_TOKEN is not set: these rows come from an emulated server, with a simulated population.")
