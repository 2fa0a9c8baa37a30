"""Streams and pools of streams."""
