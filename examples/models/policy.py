"""sb3-contrib's RecurrentPPO: learning to balance a pole whose speeds are hidden.

Learning is eight poles at once for 1,024 steps, from the same seed on both sides. A batch in which any row
begins an episode (nearly all do) is taken step by step by the package, each step a call of the LSTM (256
units). Accelerated with one line, that stays so. The second row gives the marks of episodes to the LSTM
itself, in one call: four lines in a subclass of the policy, `reset=`.

CartPole is Gymnasium's own; its speeds are left out of what the policy sees, so that it has to remember.
"""

import gymnasium
import numpy as np
import torch
from _table import options, row
from sb3_contrib import RecurrentPPO
from sb3_contrib.ppo_recurrent import MlpLstmPolicy
from stable_baselines3.common.env_util import make_vec_env

import lstmfast.torch

STEPS, POLES = 128, 8
chosen = options(__doc__)


class WithoutSpeeds(gymnasium.ObservationWrapper):
    """Where the cart and the pole are, and not how fast they move."""

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        space = env.observation_space
        self.observation_space = gymnasium.spaces.Box(space.low[::2], space.high[::2])

    def observation(self, observation: np.ndarray) -> np.ndarray:
        return observation[::2]


class Policy(MlpLstmPolicy):
    """The package's policy, whose episodes begin anew within one call."""

    @staticmethod
    def _process_sequence(features, lstm_states, episode_starts, lstm):  # noqa: ANN001, ANN205
        B = lstm_states[0].shape[1]
        x = features.reshape(B, -1, lstm.input_size).swapaxes(0, 1)
        y, state = lstm(x, lstm_states, reset=episode_starts.reshape(B, -1).T)
        return y.transpose(0, 1).flatten(0, 1), state


def learner(policy: type = MlpLstmPolicy, accelerated: bool = True) -> RecurrentPPO:
    poles = make_vec_env(lambda: WithoutSpeeds(gymnasium.make("CartPole-v1")), POLES, seed=0)
    model = RecurrentPPO(policy, poles, n_steps=STEPS, seed=0, device="cpu")
    if accelerated:
        lstmfast.torch.accelerate(model.policy)  # the one line
    return model


def learn(**how: object) -> list[torch.Tensor]:
    """The policy's weights after it."""
    model = learner(**how).learn(STEPS * POLES)
    return [parameter.detach() for parameter in model.policy.parameters()]


for name, how in (("", {}), (", reset=", {"policy": Policy})):
    row(
        f"RecurrentPPO, learning{name}",
        f"{STEPS * POLES:,} steps",
        lambda: learn(accelerated=False),
        lambda how=how: learn(**how),
        chosen,
        tolerance=1e-3,
    )
