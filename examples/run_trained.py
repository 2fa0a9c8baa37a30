"""Run a trained model: forecast the sunspots of 2009 with the weights that `lstmfast demo` saved.

lstmfast demo
python examples/run_trained.py [folder]
"""

import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

import lstmfast
from lstmfast import datasets, training

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "lstmfast-demo")
if not (folder / "lstm.safetensors").exists():
    sys.exit(f"no weights in {folder}: run `lstmfast demo` first, or name its output folder")

lstm = lstmfast.load(folder / "lstm.safetensors")
weights = load_file(folder / "head.safetensors")
mean, deviation = (
    weights.pop("mean"),
    weights.pop("deviation"),
)  # of the numbers' roots, in the training years
head = training.Dense(lstm.hidden_size, 1)
head.load_state_dict(weights)

years, numbers = datasets.sunspots()
x = (np.sqrt(numbers) - mean) / deviation
y, _ = lstm(x[:, np.newaxis])  # [T, 1] in, [T, H] out
root = head(y[-1]) * deviation + mean
print(f"{years[-1]}: {numbers[-1]:.1f} sunspots; forecast of {years[-1] + 1}: {root[0] ** 2:.1f}")
