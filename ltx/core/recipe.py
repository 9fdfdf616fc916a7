"""Recipe: how a network is trained, from optimizer and learning rates to augmentation."""

import dataclasses
from collections.abc import Collection

import numpy as np

from ltx.core.duration import Duration
from ltx.core.errors import UsageError, shown
from ltx.core.validation import check_choice, check_count, check_number, warn_once

OPTIMIZERS = ("sgd", "momentum", "nesterov", "adam", "adamw")
SCHEDULES = ("constant", "step", "cosine")
AUGMENTATIONS = ("none", "crop_flip")
_MOMENTUM = 0.9


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The training of one network.

    `length`, `warmup`, `drops` and `eval_every` are durations (`500it`, `2ep`, `10%`); a length of
    `0it` trains nothing: a trial then measures the weights as the ticket has them. The rate
    climbs linearly over `warmup`, then follows `schedule`: `step` multiplies it by `drop_factor`
    at each of `drops`; `cosine` brings it to zero at the end. `weight_decay` is L2 on the prunable
    weights' gradients, except with adamw, where it is decoupled. `clip_norm` bounds the global
    norm of the masked gradients; 0 is off. `scale_l1` is L1 on the scales of BatchNorm, as in
    network slimming (https://arxiv.org/abs/1708.06519). `crop_flip` pads by 4, crops and mirrors at
    random.
    """

    optimizer: str = "adam"
    learning_rate: float = 1.2e-3
    momentum: float = _MOMENTUM
    schedule: str = "constant"
    warmup: str = "0it"
    drops: tuple[str, ...] = ()
    drop_factor: float = 0.1
    batch_size: int = 60
    length: str = "50000it"
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    label_smoothing: float = 0.0
    augment: str = "none"
    eval_every: str = "100it"
    scale_l1: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.drops, list | tuple):
            raise UsageError(
                f"Recipe.drops: expected durations, as in ('50%',), got {shown(self.drops)}"
            )
        object.__setattr__(self, "drops", tuple(self.drops))
        check_choice("Recipe.optimizer", self.optimizer, OPTIMIZERS)
        check_choice("Recipe.schedule", self.schedule, SCHEDULES)
        check_choice("Recipe.augment", self.augment, AUGMENTATIONS)
        check_number("Recipe.learning_rate", self.learning_rate, above=0)
        check_number("Recipe.momentum", self.momentum, least=0, below=1)
        if self.momentum != _MOMENTUM and self.optimizer not in ("momentum", "nesterov"):
            warn_once(
                f"Recipe.momentum {self.momentum:g}: {self.optimizer} does not read it; use"
                " optimizer 'momentum' or 'nesterov', or leave it out"
            )
        check_number("Recipe.drop_factor", self.drop_factor, above=0, below=1)
        check_count("Recipe.batch_size", self.batch_size)
        check_number("Recipe.weight_decay", self.weight_decay, least=0)
        check_number("Recipe.clip_norm", self.clip_norm, least=0)
        check_number("Recipe.scale_l1", self.scale_l1, least=0)
        check_number("Recipe.label_smoothing", self.label_smoothing, least=0, below=1)
        for name in ("length", "warmup", "eval_every"):
            duration = Duration.parse(getattr(self, name))
            if duration.amount <= 0 and name == "eval_every":
                raise UsageError(f"Recipe.{name} {duration}: expected a length above 0")
        if Duration.parse(self.length).unit == "%":
            raise UsageError(f"Recipe.length {self.length}: percent of itself; use steps or epochs")
        for drop in self.drops:
            Duration.parse(drop)
        if self.drops and self.schedule != "step":
            raise UsageError(
                f"Recipe.drops: the {self.schedule} schedule has none; use Recipe.schedule = 'step'"
            )

    def check_scales(self, scales: Collection[str], label: str) -> None:
        """Refuse a penalty on BatchNorm's scales where a model has none; they are given by name."""
        if self.scale_l1 and not scales:
            raise UsageError(
                f"Recipe.scale_l1: {label} has no BatchNorm that trains a scale; set it to 0, or"
                " take a model with BatchNorm, such as resnet_20"
            )

    def steps(self, epoch: int) -> int:
        """The whole training in steps, given the steps of one epoch."""
        length = Duration.parse(self.length)
        return max(1, length.steps(epoch=epoch)) if length.amount else 0

    def learning_rates(self, start: int, stop: int, epoch: int) -> np.ndarray:
        """The rate of each step from `start` to `stop`, float32."""
        whole = self.steps(epoch)
        warmup = Duration.parse(self.warmup).steps(epoch=epoch, whole=whole)
        step = np.arange(start, stop, dtype=np.float64)
        rate = np.full(step.shape, self.learning_rate)
        if self.schedule == "step":
            for drop in self.drops:
                at = Duration.parse(drop).steps(epoch=epoch, whole=whole)
                rate = np.where(step >= at, rate * self.drop_factor, rate)
        elif self.schedule == "cosine":
            share = np.clip((step - warmup) / max(1, whole - warmup), 0, 1)
            rate *= 0.5 * (1 + np.cos(np.pi * share))
        if warmup:
            rate *= np.minimum(1, (step + 1) / warmup)
        return rate.astype(np.float32)
