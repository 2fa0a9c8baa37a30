"""neuralhydrology: a river's discharge from the weather, by its CudaLSTM, which runs on CPUs as well.

The package's own class and loss, in the shapes of its published runs on CAMELS: 256 samples of 365 days, five
weather series and 27 numbers of the basin, 128 units. Timed are a batch of training (forward, loss,
backward), and ten years of a basin day by day. The weather is synthetic, and the weights are as training
begins.
"""

import copy

import torch
from _table import options, recurrent_share, row
from neuralhydrology.modelzoo import get_model
from neuralhydrology.training import get_loss_obj
from neuralhydrology.utils.config import Config

import lstmfast.torch

chosen = options(__doc__)
torch.manual_seed(0)

weather = ["prcp", "srad", "tmax", "tmin", "vp"]
config = Config(
    {
        "model": "cudalstm",
        "head": "regression",
        "hidden_size": 128,
        "initial_forget_bias": 3,
        "output_dropout": 0.0,
        "seq_length": 365,
        "predict_last_n": 1,
        "loss": "MSE",
        "dynamic_inputs": weather,
        "static_attributes": [f"attribute_{i}" for i in range(27)],
        "target_variables": ["discharge"],
        "epochs": 1,
        "batch_size": 256,
        "target_loss_weights": None,
        "use_frequencies": [],
        "regularization": [],
    }
)


def basins(rows: int, days: int) -> dict:
    """What the package's loaders give of each sample."""
    rain = {name: torch.randn(rows, days, 1).cumsum(1) * 0.05 for name in weather}
    return {"x_d": rain, "x_s": torch.randn(rows, 27), "y": torch.randn(rows, days, 1)}


before = get_model(config)
after = lstmfast.torch.accelerate(copy.deepcopy(before))  # the one line
loss_of = get_loss_obj(config)
batch, decade = basins(256, 365), basins(1, 3650)


def train(model: torch.nn.Module) -> list[torch.Tensor]:
    """The gradients of a batch."""
    model.zero_grad()
    loss, _ = loss_of(model(batch), batch)
    loss.backward()
    return [parameter.grad for parameter in model.parameters()]


@torch.no_grad()
def simulate(model: torch.nn.Module) -> torch.Tensor:
    return model(decade)["y_hat"]


for unit, work, share in (
    ("a batch of training", train, None),
    ("ten years of a basin", simulate, recurrent_share(before, simulate)),
):
    row(
        "neuralhydrology, CudaLSTM",
        unit,
        lambda work=work: work(before),
        lambda work=work: work(after),
        chosen,
        tolerance=1e-4,
        share=share,
    )
