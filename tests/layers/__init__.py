"""LSTM and RNN: models, parameters, calls, tapes."""
