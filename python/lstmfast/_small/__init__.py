# Known by: _layers, onnx, lstmfast
"""Smaller weights: layers of float16, bfloat16 and int8 for inference, and what they cost and save.

Layers are above: their `quantize` is made of what is here, and finds the class to make by its name
(`_base.kinds`).
"""
