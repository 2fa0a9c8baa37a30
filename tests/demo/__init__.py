"""`lstmfast demo`."""
