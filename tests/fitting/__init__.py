"""Training on arrays: windows, batches by length, early stopping, the same bits."""
