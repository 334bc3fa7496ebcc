"""AppMetrica Logs API exports as Polars and pandas DataFrames, in one call."""

__version__ = "0.1.0"
