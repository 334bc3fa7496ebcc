"""The ways to read an export, each of them through the Parquet files that the cache keeps."""
