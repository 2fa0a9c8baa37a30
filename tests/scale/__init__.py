"""Tests of examples/scale."""
