"""Training: one process, or several under torchrun; resumable after every epoch; ends early when held-out objects say so."""

from __future__ import annotations

import copy
import json
import math
import os
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deft_affordance.network.encoders import text_encoder
from deft_affordance.network.inference import calibrated, look
from deft_affordance.network.net import AffordanceNet, angle_between
from deft_affordance.network.weights import Calibration, save
from deft_affordance.training import calibration as calibrating
from deft_affordance.training.batches import Batches, plain_batches
from deft_affordance.training.losses import loss
from deft_affordance.training.rows import Row, split
from deft_affordance.training.settings import AffordanceConfig, Precision
from deft_core.errors import ConfigError
from deft_core.neural import import_torch
from deft_core.types import Array

if TYPE_CHECKING:
    import torch
    from torch import nn
else:
    torch = import_torch()
    nn = torch.nn

CLIP = 5.0             # of the gradient's norm
FORMAT = 2             # of checkpoints
CHECKPOINT, WEIGHTS = "checkpoint.pt", "affordance.safetensors"


@dataclass
class Epoch:
    """How an epoch went. Validation figures: loss; contact, mean distance in half squares; wrist, median degrees."""

    number: int
    train_loss: float
    loss: float
    contact: float
    wrist_degrees: float
    hand: float
    seconds: float
    best: bool


class Trainer:
    """Trains a network on rows.

    Args:
        out: folder for checkpoint, TensorBoard's events and the weights; a training begun there goes on.
        workers: processes that prepare batches.

    Raises:
        ConfigError: the folder holds another training, the labels are too few, or a checkpoint of an encoder is missing.
    """

    def __init__(self, config: AffordanceConfig, rows: Sequence[Row], out: Path, workers: int = 0) -> None:
        self._config, self._out = config, out
        self._rank, self._world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.device = _device()
        if self._world > 1 and not torch.distributed.is_initialized():
            torch.distributed.init_process_group("nccl" if self.device.type == "cuda" else "gloo")
        training = config.training
        torch.manual_seed(training.seed)
        train, self.validation = split(rows)
        self._texts = _embedded(config, rows)
        self._batches = Batches(train, self._texts, config.network.picture, min(training.batch, len(train)), training.seed,
                                self._rank, self._world, workers)
        self.net = AffordanceNet(config.network).to(self.device)
        self.net = self.net.to(memory_format=torch.channels_last)  # half as long on a CPU
        if training.frozen_stages is not None:
            self.net.vision.freeze(training.frozen_stages)
        self._model: nn.Module = self.net
        if self._world > 1:
            where = [self.device.index] if self.device.type == "cuda" else None
            self._model = nn.parallel.DistributedDataParallel(self.net, device_ids=where)
        self._optimiser = self._make_optimiser()
        steps = training.epochs * len(self._batches)
        factor = _cosine(steps, max(int(training.warmup * steps), 1))
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimiser, factor)
        half = training.precision is Precision.half or (training.precision is Precision.auto and self.device.type == "cuda")
        self._half = torch.autocast(self.device.type, torch.bfloat16, enabled=half)
        self._history: list[dict[str, Any]] = []  # an Epoch each
        self._best: dict[str, torch.Tensor] = {}
        labels = zlib.crc32("\n".join(f"{row.thing}|{row.text}" for row in rows).encode())
        self._fingerprint = {"format": FORMAT, "config": config.model_dump(mode="json"), "labels": f"{len(rows)}/{labels:08x}"}
        self._resume()

    @property
    def first_epoch(self) -> int:
        """The epoch that comes next; more than 0 where a training goes on."""
        return len(self._history)

    @property
    def _best_epoch(self) -> dict[str, Any]:
        """The last one that was better than all before it; before the first, one that any is better than."""
        return next((epoch for epoch in reversed(self._history) if epoch["best"]), {"number": -1, "loss": math.inf})

    @property
    def first(self) -> bool:
        """This is the first of the processes, the one that writes."""
        return self._rank == 0

    @property
    def best(self) -> dict[str, float]:
        """Figures of the best epoch on held-out objects."""
        return {name: self._best_epoch[name] for name in ("loss", "contact", "wrist_degrees", "hand")}

    def fit(self, on_epoch: Callable[[Epoch], None] = lambda _: None) -> None:
        """All epochs that are left, or fewer when the validation loss stops falling. The best network stays."""
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(str(self._out / "tensorboard")) if self._rank == 0 else None
        while not self._finished():
            began, number = time.perf_counter(), self.first_epoch
            trained = self._epoch(number)
            figures = self._validated()
            done = Epoch(number, trained, **figures, seconds=time.perf_counter() - began,
                         best=figures["loss"] < self._best_epoch["loss"])
            if done.best:
                self._best = copy.deepcopy(self.net.state_dict())
            self._history.append(done.__dict__)
            if writer is not None:
                for name in ("train_loss", "loss", "contact", "wrist_degrees", "hand"):
                    writer.add_scalar(name, getattr(done, name), done.number)
                self._save()
                on_epoch(done)
        if writer is not None:
            writer.close()
        if self._world > 1:
            torch.distributed.destroy_process_group()
        if not self._best:
            raise ConfigError("the loss was not finite in any epoch; lower learning_rate, or look for broken labels")
        self.net.load_state_dict(self._best)
        self.net.eval()

    def export(self, about: dict[str, Any]) -> Path:
        """Calibrates on the held-out objects and writes the weights. Only for the first of several processes."""
        self.net.to("cpu")
        found, errors = self.calibrate()
        path = self._out / WEIGHTS
        save(self.net, found, about | {"validation": self.best | errors, "epochs": len(self._history),
                                       "best_epoch": self._best_epoch["number"],
                                       "config": self._config.model_dump(mode="json")}, path)
        return path

    def calibrate(self) -> tuple[Calibration, dict[str, float]]:
        """On the held-out objects, with all looks: the calibration, and how far it then is from the diagonal."""
        deviations, errors = measured(self.net, self.validation, self._texts)
        fits = [calibrating.fitted(deviations[:, k], errors[:, k], axes) for k, axes in enumerate(calibrating.AXES)]
        found = Calibration(contact=fits[0], wrist=fits[1])
        after = calibrated(deviations, found)
        return found, {f"{name}_miscalibration": calibrating.miscalibration(after[:, k], errors[:, k], calibrating.AXES[k])
                       for k, name in enumerate(("contact", "wrist"))}

    def _finished(self) -> bool:
        """All epochs are done, or the last of them brought nothing."""
        training, number = self._config.training, len(self._history)
        return number >= training.epochs or number - 1 - self._best_epoch["number"] >= training.patience

    # One epoch

    def _epoch(self, number: int) -> float:
        """Mean training loss."""
        self._model.train()
        total = 0.0
        for batch in self._batches.epoch(number):
            here = batch.to(self.device)
            with self._half:
                answer = self._model(here.pictures.contiguous(memory_format=torch.channels_last), here.texts, here.body)
            parts = loss(_full(answer), here, self._config.loss)
            self._optimiser.zero_grad(set_to_none=True)
            parts["total"].backward()
            nn.utils.clip_grad_norm_(self._model.parameters(), CLIP)
            self._optimiser.step()
            self._schedule.step()
            total += float(parts["total"].detach())
        return total / len(self._batches)

    def _validated(self) -> dict[str, float]:
        """Figures on the held-out objects, the same in every process."""
        self._model.eval()
        sums: dict[str, float] = {"loss": 0.0, "contact": 0.0, "hand": 0.0}
        angles: list[Array] = []
        for batch in plain_batches(self.validation, self._texts, self._config.network.picture, 64):
            here = batch.to(self.device)
            with torch.no_grad(), self._half:
                answer = _full(self.net(here.pictures, here.texts, here.body))
            parts = loss(answer, here, self._config.loss)
            share = len(here.pictures) / len(self.validation)
            sums["loss"] += share * float(parts["total"] - self._config.loss.spread_weight * parts["spread"])
            sums["contact"] += share * float((answer.contact - here.contact).norm(dim=1).mean())
            sums["hand"] += share * float(parts["hand"])
            angles.append(np.degrees(angle_between(answer.turn, here.turn).cpu().double().numpy()))
        figures = [sums | {"wrist_degrees": float(np.median(np.concatenate(angles)))}]
        if self._world > 1:  # running means differ a little: all must decide alike whether to go on
            torch.distributed.broadcast_object_list(figures, device=self.device)
        return figures[0]

    # Optimiser and checkpoints

    def _make_optimiser(self) -> torch.optim.Optimizer:
        training = self._config.training
        encoder = [parameter for parameter in self.net.vision.parameters() if parameter.requires_grad]
        inside = {id(parameter) for parameter in self.net.vision.parameters()}
        groups = [{"params": [p for p in self.net.parameters() if id(p) not in inside], "lr": training.learning_rate}]
        if encoder:
            groups.append({"params": encoder, "lr": training.learning_rate * training.encoder_rate})
        return torch.optim.AdamW(groups, weight_decay=training.weight_decay)

    def _save(self) -> None:
        path = self._out / CHECKPOINT
        part = path.with_suffix(".part")
        torch.save({"fingerprint": json.dumps(self._fingerprint), "net": self.net.state_dict(), "best": self._best,
                    "optimiser": self._optimiser.state_dict(), "schedule": self._schedule.state_dict(),
                    "history": self._history, "random": torch.get_rng_state()}, part)
        part.replace(path)

    def _resume(self) -> None:
        self._out.mkdir(parents=True, exist_ok=True)
        path = self._out / CHECKPOINT
        if not path.is_file():
            return
        try:
            data = torch.load(path, map_location=self.device, weights_only=True)
            there = json.loads(data["fingerprint"])
        except Exception as error:  # torch raises what pickle, zipfile or its own loader raise
            raise ConfigError(f"'{path}' is damaged ({str(error).splitlines()[0]}); remove it or give another folder") from None
        if there != self._fingerprint:
            differs = sorted(key for key in self._fingerprint if there.get(key) != self._fingerprint[key])
            raise ConfigError(f"'{self._out}' holds a training that differs in {', '.join(differs)}; give another folder")
        self.net.load_state_dict(data["net"])
        self._optimiser.load_state_dict(data["optimiser"])
        self._schedule.load_state_dict(data["schedule"])
        self._best, self._history = data["best"], data["history"]
        torch.set_rng_state(data["random"].cpu())


def measured(net: AffordanceNet, rows: Sequence[Row], texts: dict[str, Array]) -> tuple[Array, Array]:
    """What the network says with all looks, and how wrong it is: deviations and errors (n, 2), of half squares and rad."""
    deviations, errors = [], []
    for row in rows:
        seen = look(net, row.crop, row.corner, row.intrinsics, texts[row.text], row.body)
        deviations.append(seen.deviations)
        errors.append([np.linalg.norm(seen.contact - row.contact) / (seen.squares[0].side / 2),
                       (seen.wrists.mean().inv() * row.wrist).magnitude()])
    return np.array(deviations), np.array(errors)


def _full(answer: Any) -> Any:
    """An answer in single precision: losses of rotations need it."""
    return type(answer)(*(value.float() for value in answer.__dict__.values()))


def _device() -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    torch.cuda.set_device(device)
    return device


def _embedded(config: AffordanceConfig, rows: Sequence[Row]) -> dict[str, Array]:
    """The text encoder's vector of each text."""
    texts = sorted({row.text for row in rows})
    encoder = text_encoder(config.network)
    vectors = [encoder.encode(texts[i:i + 256]) for i in range(0, len(texts), 256)]
    return dict(zip(texts, np.concatenate(vectors), strict=True))


def _cosine(steps: int, warmup: int) -> Callable[[int], float]:
    """Factor of the learning rate at each step: up in a line, down along a cosine."""
    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * min((step - warmup) / max(steps - warmup, 1), 1.0)))
    return factor
