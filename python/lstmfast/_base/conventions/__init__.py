"""Whose weights look how, one table, and the one way from it to ours and back.

`table` has a row for each framework, in `frameworks` and `engines`, written in the lines that `forms` reads;
`walking` turns the arrays of one layer in one direction, of any array namespace; `choosing` finds which form
arrays have and checks them; `one` is these together. `holding` and `names` know how layers, directions and
names are put together, `paddle` Paddle's names; `formats` are files and blobs (`cudnn`, `nam`, `rtneural`).
`orders` is below all: blocks of gates alone, as ONNX' nodes need them.
"""
