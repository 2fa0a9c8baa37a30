"""Keras' side, `lstmfast.keras`. A package, so that nobody finds it by the name keras."""
