"""New weights for several models: for all of them or, where something fails, for none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .._base.checks import Array
from .._base.layer import writing


def update_all(
    models: Sequence[Any], old: Sequence[Mapping[str, Array]], new: Sequence[Mapping[str, Array]]
) -> None:
    """Update each model. old: their weights before.

    Our own models do all that can fail before any of them is changed. Others, which can only be told to
    update, come first, and get their old weights back where one of them fails.
    """
    with writing:  # nobody else's update comes between
        swaps = [
            model._prepared(weights) for model, weights in zip(models, new, strict=True) if _prepares(model)
        ]
        others = [each for each in zip(models, old, new, strict=True) if not _prepares(each[0])]
        try:
            for model, _, weights in others:
                model.update(weights)
        except BaseException:
            for model, before, _ in others:
                if model.parameters is not before:
                    model.update(before)
            raise
        for swap in swaps:
            swap()


def _prepares(model: object) -> bool:
    """Whether its update is ours, in two parts, and not what a subclass or a user has put in its place."""
    if "update" in getattr(model, "__dict__", {}):
        return False
    for kind in type(model).__mro__:
        if "update" in vars(kind):
            return "_prepared" in vars(kind)
    return False
