"""Fuzzing: targets that bytes choose the arguments of, and what has been kept of the bytes."""
