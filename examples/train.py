"""Train an LSTM from NumPy: remember one number while noise goes by, 40 steps long.

python examples/train.py
"""

import numpy as np

import lstmfast
from lstmfast import training

T, B, H = 40, 64, 16  # time steps, sequences in a batch, hidden units

rng = np.random.default_rng(0)
lstm = lstmfast.LSTM(2, H, seed=0)
head = training.Dense(H, 1, activation="sigmoid", seed=1)
adam = training.Adam(lstm, head, learning_rate=1e-2)

# Let the forget gates start nearly open (gates stand in the order i, f, g, o): what was seen first must
# still be there 40 steps later, and so must its gradient on the way back.
bias = lstm.state_dict()["bias_ih_l0"]
bias[H : 2 * H] += 4
lstm.update({"bias_ih_l0": bias})


def batch() -> tuple[np.ndarray, np.ndarray]:
    """Noise that begins with a marked -1 or 1, [T, B, 2], and whether that is 1, [B, 1]."""
    x = np.zeros((T, B, 2), np.float32)
    x[:, :, 0] = rng.standard_normal((T, B))
    x[0, :, 0] = rng.choice([-1, 1], B)
    x[0, :, 1] = 1  # the mark
    return x, x[0, :, :1] > 0


for step in range(1, 601):
    x, target = batch()
    y, _, lstm_tape = lstm.forward(x)  # y [T, B, H]
    p, head_tape = head.forward(y[-1])  # the probability of a 1, [B, 1]
    loss, dp = training.cross_entropy(head_tape, target)

    head_grads = head.backward(head_tape, dp)
    dy = np.zeros_like(y)
    dy[-1] = head_grads.x  # the loss reads the last step alone
    lstm_grads = lstm.backward(lstm_tape, dy, wants_x=False)

    gradients, _ = training.clip_global_norm(lstm_grads.parameters, head_grads.parameters, max_norm=1.0)
    adam.step(*gradients)
    if step % 100 == 0:
        print(f"step {step}: loss {loss:.4f}")

x, target = batch()
y, _ = lstm(x)
right = np.mean((head(y[-1]) > 0.5) == target)
print(f"right about {right:.0%} of {B} new sequences")
