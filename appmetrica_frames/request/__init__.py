"""One export request: validated, immutable, with its keys."""
