"""Layers with smaller weights, and comparison with those they are made of."""
