# Known by: training, _demo, _bench, lstmfast
"""The RNN, the LSTM and the GRU in NumPy: what right means in this library.

Read it beside the equations. Products between vectors are elementwise, ``[h, x]`` is h above x:

    i = sigmoid(W_i [h, x] + b_i)    f = sigmoid(W_f [h, x] + b_f)    o = sigmoid(W_o [h, x] + b_o)
    g = tanh(W_g [h, x] + b_g)       c' = f * c + i * g               h' = o * tanh(c')
    RNN:  h' = tanh(U x + V h + b), or relu instead of tanh
    LSTM with a projection:  h' = W_hr (o * tanh(c')), so that h may be narrower than c
    GRU:  r = sigmoid(W_r [h, x] + b_r)    z = sigmoid(W_z [h, x] + b_z)    h' = (1 - z) * n + z * h
          n = tanh(W_in x + b_in + r * (W_hn h + b_hn)), or tanh(W_in x + b_in + W_hn (r * h) + b_hn)

The LSTM is that of Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997,
with the forget gate f of Gers, Schmidhuber & Cummins, "Learning to forget", Neural Computation 12(10),
2000. The projection is that of Sak, Senior & Beaufays, "Long short-term memory recurrent neural network
architectures for large scale acoustic modeling", Interspeech 2014. The GRU is that of Cho et al.,
"Learning phrase representations using RNN encoder-decoder", EMNLP 2014, which resets h before W_hn, and
the variant of PyTorch and cuDNN, which resets after. Gradients are those of backpropagation through time
(Werbos, Proceedings of the IEEE 78(10), 1990).

Gates are stacked in PyTorch's order, i, f, g, o or r, z, n, and each W is cut into what it does to x and
what it does to h, so that all gates of a step are one product each:

    z = weight_ih x + bias_ih + weight_hh h + bias_hh        z = [z_i, z_f, z_g, z_o]

Sizes: T time steps, B batch rows, I input, H hidden, P the width of h (H unless there is a projection),
L layers, D directions, G = 4H (LSTM), 3H (GRU) or H (RNN).
Sequences are time-major, [T, B, I]; for batch-first data pass ``x.swapaxes(0, 1)``. Samples are rows, so
``weight_ih x`` is written ``x @ weight_ih.T``. The gradient of the loss E with respect to v is called dv.

The layer functions want arrays of one dtype, float64 or float32; `Reference` converts and checks for
them. Nothing here imports anything else of lstmfast: the truth stands alone.
"""

from .gru import GRUCache, gru_layer_backward, gru_layer_forward
from .lstm import LSTMCache, lstm_layer_backward, lstm_layer_forward
from .network import Reference
from .pieces import Piece, PiecesCache
from .products import sigmoid
from .rnn import RNNCache, rnn_layer_backward, rnn_layer_forward
from .skipping import StepsCache
from .stack import NetworkCache

__all__ = [
    "GRUCache",
    "LSTMCache",
    "NetworkCache",
    "Piece",
    "PiecesCache",
    "RNNCache",
    "Reference",
    "StepsCache",
    "gru_layer_backward",
    "gru_layer_forward",
    "lstm_layer_backward",
    "lstm_layer_forward",
    "rnn_layer_backward",
    "rnn_layer_forward",
    "sigmoid",
]
