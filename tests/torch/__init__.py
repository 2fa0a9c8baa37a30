"""lstmfast.torch beside PyTorch's own modules."""
