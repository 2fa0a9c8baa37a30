"""darts: training an RNNModel on 300 years of sunspots, and forecasting the next 20.

An LSTM of 25 units (the package's default size), for 20 epochs; Lightning makes the module when training
begins, so a callback of three lines accelerates it there. The sunspots come with statsmodels, which darts
needs.
"""

import logging
import warnings

import numpy as np
import torch
from _table import options, row
from darts import TimeSeries
from darts.models import RNNModel
from pytorch_lightning.callbacks import Callback
from statsmodels.datasets import sunspots

import lstmfast.torch

warnings.filterwarnings("ignore")
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
chosen = options(__doc__)


class Accelerate(Callback):
    """Gives a model's recurrent layers to lstmfast when training or prediction begins."""

    def setup(self, trainer, pl_module, stage):  # noqa: ANN001, ANN201
        lstmfast.torch.accelerate(pl_module)  # the one line


numbers = np.asarray(sunspots.load_pandas().data["SUNACTIVITY"], np.float32)
series = TimeSeries.from_values(numbers / numbers.max())


def forecast(*callbacks: Callback) -> np.ndarray:
    torch.manual_seed(0)
    trainer = {
        "accelerator": "cpu",
        "callbacks": list(callbacks),
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "logger": False,
    }
    model = RNNModel(
        input_chunk_length=36,
        training_length=60,
        model="LSTM",
        n_epochs=20,
        random_state=0,
        pl_trainer_kwargs=trainer,
    )
    return model.fit(series).predict(20).values()


row(
    "darts, RNNModel",
    "20 epochs of 309 years, and a forecast",
    forecast,
    lambda: forecast(Accelerate()),
    chosen,
    tolerance=1e-3,
)
