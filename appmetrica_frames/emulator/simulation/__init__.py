"""The simulated population behind the server: who exists, what happens to them, and the tables that tell of it."""
