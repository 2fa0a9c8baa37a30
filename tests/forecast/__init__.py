"""Tests of `lstmfast forecast`: reading, baselines, intervals, the network, the command."""
