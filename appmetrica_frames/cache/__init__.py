"""Exports kept on this machine: how fresh they are, where they are, what can go."""
