"""The reference in NumPy, which is the truth for all others."""
