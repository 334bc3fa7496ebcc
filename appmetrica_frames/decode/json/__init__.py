"""Decode JSON bodies: only imported if JSON is asked for."""
