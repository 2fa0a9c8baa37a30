"""`lstmfast bench`: what it measures, how, and what it says."""
