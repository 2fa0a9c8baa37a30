"""Train a PyTorch model in several processes: each takes its part of every batch, and they average gradients.

Needs PyTorch: pip install 'lstmfast[torch]'.

torchrun --nproc-per-node=2 examples/train_distributed.py    # two processes
python examples/train_distributed.py                         # one, the same curve
"""

import argparse
import os
import sys
import time

import torch
import torch.distributed as dist
from torch import nn

import lstmfast.torch
from lstmfast import datasets

YEARS = 30  # read before each forecast

parser = argparse.ArgumentParser(description="Train an LSTM to forecast sunspots, in one process or more")
parser.add_argument("--steps", type=int, default=200, help="default: %(default)s")
parser.add_argument("--batch", type=int, default=64, help="rows, of all processes together (%(default)s)")
options = parser.parse_args()


class Forecast(nn.Module):
    """An ordinary PyTorch model: many years in, the next one out."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y, _ = self.lstm(x)
        return self.head(y[:, -1])


# torchrun tells each process who it is; without it there is one.
if dist.is_torchelastic_launched():
    dist.init_process_group("gloo")  # for CPUs
else:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
rank, world = dist.get_rank(), dist.get_world_size()
if options.batch < world or options.batch % world:
    sys.exit(f"--batch {options.batch}: not a multiple of the {world} processes")

# Processes on one machine share its CPUs: more threads than CPUs would wait for one another. (torchrun's own
# choice is one thread a process.) lstmfast takes PyTorch's number, or its own where that is lower.
torch.set_num_threads(max(1, lstmfast.get_num_threads() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))

# The numbers' roots, whose spread is about the same at maxima and minima: windows, and what followed.
roots = torch.tensor(datasets.sunspots()[1]).sqrt().float()
series = (roots - roots.mean()) / roots.std()
x = series[:-1].unfold(0, YEARS, 1).unsqueeze(-1)  # [N, YEARS, 1]
target = series[YEARS:].unsqueeze(-1)  # [N, 1]

torch.manual_seed(0)  # the same weights everywhere
model = Forecast(hidden=32)
lstmfast.torch.accelerate(model)  # the one line that is lstmfast's
parallel = nn.parallel.DistributedDataParallel(model)
adam = torch.optim.Adam(parallel.parameters(), lr=3e-3)

rows = torch.Generator().manual_seed(1)  # the same batches everywhere, of which each process takes its part
for step in range(1, options.steps + 1):
    part = torch.randint(len(x), (options.batch,), generator=rows)[rank::world]
    # Parts are equally long, so the mean of their means is the whole batch's, and so are the gradients.
    loss = nn.functional.mse_loss(parallel(x[part]), target[part])
    adam.zero_grad()
    loss.backward()  # here they are averaged
    adam.step()
    if step == 1 or step % 20 == 0:
        mean = loss.detach() / world
        dist.all_reduce(mean)  # the sum over all processes; so all of them have to call it
        if rank == 0:
            print(f"step {step}: loss {mean.item():.4f}", flush=True)

if rank == 0:
    print(f"{world} process{'es' if world > 1 else ''}, {torch.get_num_threads()} thread(s) each")
dist.destroy_process_group()
time.sleep(0.5)  # gloo's threads live on; one that lets go of a tensor when Python has ended would abort
