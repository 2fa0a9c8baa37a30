"""Steps without end, and memory that may not grow: `python -m tests.soak`."""
