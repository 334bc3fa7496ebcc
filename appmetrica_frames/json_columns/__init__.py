"""Texts of JSON in, a column per key out."""
