"""Adam, clipping, head and losses, and what a training run holds and comes to."""
