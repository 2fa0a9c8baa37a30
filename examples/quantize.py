"""Make a model's weights smaller, three ways, and look at what each costs and saves.

Needs safetensors, and for the picture matplotlib: pip install 'lstmfast[demo]'.

python examples/quantize.py [picture.png]
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

import lstmfast

# Weights as they are drawn, which nothing has trained: load your own with lstmfast.load or LSTM.from_torch.
lstm = lstmfast.LSTM(input_size=64, hidden_size=512, seed=0)

# 8 sequences of 100 steps, whose inputs differ in size, as a temperature and a pressure do. Errors depend
# on the data: take some that is like what the model will meet, here and for the calibration.
generator = np.random.default_rng(0)
sizes = 10 ** generator.uniform(-2, 0, 64)
x = (sizes * generator.standard_normal((100, 8, 64))).astype(np.float32)
calibration = sizes * generator.standard_normal((1000, 64))

smaller = {
    "float16": lstm.quantize("float16"),
    "bfloat16": lstm.quantize("bfloat16"),
    "int8": lstm.quantize("int8"),
    "int8, calibrated": lstm.quantize("int8", calibration),  # each input by its own size
}
for name, quantized in smaller.items():
    comparison = lstmfast.compare(lstm, quantized, x)
    print(f"{name}\n{comparison}\n")

if len(sys.argv) > 1:
    comparison.save_picture(sys.argv[1])  # of the last one
    print("picture:", sys.argv[1])

# A file as large as the weights have become; what is loaded computes the same bits.
with tempfile.TemporaryDirectory() as folder:
    for name, layer in (("float32", lstm), ("int8", quantized)):
        file = Path(folder, name)
        layer.save(file)
        print(f"file of {name}: {file.stat().st_size:,} bytes")
    loaded = lstmfast.load(file)
y, _ = loaded(x)
print("the same bits from the file:", np.array_equal(y, quantized(x)[0]))
