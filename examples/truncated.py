"""Learn from a series too long to go back through: truncated backpropagation through time.

The series is cut into pieces. The state goes from each piece to the next, so that the network reads the whole
past; the tape does not, so that gradients end where their piece begins and memory is that of one piece.

python examples/truncated.py
"""

import numpy as np

import lstmfast
from lstmfast import datasets, training

PIECE = 25  # years
HELD_OUT = 60  # the last years, which training never sees
EPOCHS = 40

years, numbers = datasets.sunspots()
train = len(years) - HELD_OUT
roots = np.sqrt(numbers)  # whose spread is about the same at maxima and minima
mean, deviation = roots[:train].mean(), roots[:train].std()
series = ((roots - mean) / deviation).astype(np.float32)[:, np.newaxis]  # [T, 1]

lstm = lstmfast.LSTM(1, 32, seed=0)
head = training.Dense(32, 1, seed=1)
adam = training.Adam(lstm, head, learning_rate=3e-3)

for epoch in range(1, EPOCHS + 1):
    state, losses = None, []  # None: each pass begins before the first year, where nothing is known
    for start in range(0, train - 1, PIECE):
        stop = min(start + PIECE, train - 1)
        y, state, lstm_tape = lstm.forward(series[start:stop], state)  # y [PIECE, 32]
        p, head_tape = head.forward(y)
        loss, dp = training.mean_squared_error(p, series[start + 1 : stop + 1])  # each year tells the next

        head_grads = head.backward(head_tape, dp)
        lstm_grads = lstm.backward(lstm_tape, head_grads.x)  # no gradient of `state`: it ends here
        gradients, _ = training.clip_global_norm(lstm_grads.parameters, head_grads.parameters, max_norm=1.0)
        adam.step(*gradients)
        losses.append(loss)
    if epoch % 10 == 0:
        print(f"epoch {epoch}: loss {np.mean(losses):.3f}")

y, _ = lstm(series[:-1])
forecast = np.maximum(head(y)[train - 1 :, 0] * deviation + mean, 0) ** 2  # of the years held out
truth, last_year = numbers[train:], numbers[train - 1 : -1]


def error(guess: np.ndarray) -> float:
    """Root of the mean squared error, in sunspots."""
    return float(np.sqrt(np.mean((guess - truth) ** 2)))


period = f"{years[train]} to {years[-1]}"
print(f"error in {period}: {error(forecast):.1f}; of 'as last year': {error(last_year):.1f}")
