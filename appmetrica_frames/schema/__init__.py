"""The catalogue: resources, fields and their types."""
