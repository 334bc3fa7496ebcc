"""JSON objects in a column of text: a column for each key."""
