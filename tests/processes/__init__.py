"""Interpreters that end, their children, and others in the same process."""
