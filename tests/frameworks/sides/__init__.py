"""One file for each framework: its own layers, with random weights as it has them, and what it makes of them.

A file has `NEEDS`, which packages must be there, and `CASES`, functions by name that return an `Outcome`.
They import the framework when they are called, in a process of their own, and know nothing of lstmfast.
"""
