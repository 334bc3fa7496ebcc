"""The API reference, generated from the docstrings."""
