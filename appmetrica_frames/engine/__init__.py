"""From options to a Parquet file: plan, schedule, resolve, fetch, ingest."""
