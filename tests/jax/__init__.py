"""lstmfast.jax beside lstmfast's own layers, and beside Flax."""
