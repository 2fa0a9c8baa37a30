"""Whose weights look how, one table, and the one way from it to ours and back.

`table` has a row for each framework, written in the lines that `forms` reads; `walking` turns the arrays of
one layer in one direction, of any array namespace; `choosing` finds which form arrays have and checks them;
`holding` and `names` know how layers, directions and names are put together. `orders` is below all: blocks of
gates alone, as ONNX' nodes need them.
"""
