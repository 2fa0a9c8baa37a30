"""Run an LSTM one time step at a time, as data arrives: the state goes from call to call.

python examples/step_by_step.py
"""

import numpy as np

import lstmfast

lstm = lstmfast.LSTM(input_size=3, hidden_size=32, num_layers=2, seed=0)
x = np.random.default_rng(0).standard_normal((100, 1, 3)).astype(np.float32)  # 100 steps of one sequence

state = None  # zeros
outputs = []
for t in range(100):
    y, state = lstm(x[t : t + 1], state)
    outputs.append(y)
step_by_step = np.concatenate(outputs)

at_once, (h_n, c_n) = lstm(x)
print("the same bits as all steps at once:", np.array_equal(step_by_step, at_once))
print("and the same state:", np.array_equal(state[0], h_n) and np.array_equal(state[1], c_n))
