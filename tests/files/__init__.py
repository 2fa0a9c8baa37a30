"""Weight files: written, read, and broken."""
