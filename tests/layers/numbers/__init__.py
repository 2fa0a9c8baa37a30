"""What LSTM and RNN compute: beside the truth, and to the bit."""
