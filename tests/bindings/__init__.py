"""The compiled core, called past the Python layers, and the short way into it."""
