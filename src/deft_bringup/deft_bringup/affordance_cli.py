"""`deft train-affordance`: from grasp labels to the weights of the learned prior."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from deft_bringup.exits import explained
from deft_core.config import default_config_dir, load


def train_affordance(labels: Annotated[list[Path], typer.Argument(help="folders of grasp labels, from `deft extract` or `deft "
                                                                  "synthesize-labels`", exists=True, file_okay=False)],
                     out: Annotated[Path, typer.Option(help="folder for checkpoint.pt, tensorboard/ and "
                                                       "affordance.safetensors; an interrupted training in it goes on")],
                     config: Annotated[Path | None, typer.Option(help="in place of config/affordance.yaml, e.g. "
                                                                 "config/affordance_paper.yaml", exists=True, dir_okay=False
                                                                 )] = None,
                     workers: Annotated[int, typer.Option(min=0, help="processes that prepare pictures; 0: this one")] = 0,
                     as_json: Annotated[bool, typer.Option("--json", help="print the summary as JSON on stdout")] = False
                     ) -> None:
    """Train the affordance network: where to touch, how to turn the wrist, how to bend the fingers, from picture and text.

    One object in twelve is kept out of training: its loss ends the training early and its errors calibrate the spread. Runs on
    the GPU if there is one; on several with `torchrun --nproc-per-node 4 --no-python deft train-affordance ...`. Watch it with
    `tensorboard --logdir OUT/tensorboard`. Use the result with `prior: learned` and `weights: OUT/affordance.safetensors` in
    finetune.yaml.
    """
    from deft_affordance.training.rows import read_rows
    from deft_affordance.training.settings import AffordanceConfig
    from deft_affordance.training.trainer import Epoch, Trainer

    console = Console(stderr=as_json, quiet=int(os.environ.get("RANK", 0)) > 0)
    with explained():
        settings = load(AffordanceConfig, config or default_config_dir() / "affordance.yaml")
        rows = read_rows(labels)
        trainer = Trainer(settings, rows, out, workers)
        console.print(f"{len(rows)} labels, {len(trainer.validation)} of them of held-out objects; {settings.training.epochs} "
                      f"epochs at most, from {trainer.first_epoch} on, on {trainer.device}", highlight=False, soft_wrap=True)

        def show(epoch: Epoch) -> None:
            console.print(f"epoch {epoch.number:3d}: loss {epoch.train_loss:.3f}, of held-out objects {epoch.loss:.3f}; "
                          f"contact {50 * epoch.contact:.1f} % of the crop's side, wrist {epoch.wrist_degrees:.1f} deg; "
                          f"{epoch.seconds:.0f} s{' *' if epoch.best else ''}", highlight=False, soft_wrap=True)

        trainer.fit(show)
        if not trainer.first:
            return
        path = trainer.export({"labels": _sources(labels), "rows": len(rows)})
    summary = {"weights": str(path), "megabytes": round(path.stat().st_size / 1e6, 1)} | trainer.best
    if as_json:
        print(json.dumps(summary))
        return
    table = Table("of held-out objects", "value")
    for name, value in summary.items():
        table.add_row(name, f"{value:.3f}" if isinstance(value, float) else str(value))
    console.print(table)


def _sources(folders: list[Path]) -> list[dict[str, Any]]:
    """What the folders say that they hold."""
    found = []
    for folder in folders:
        path = folder / "dataset.json"
        data = json.loads(path.read_text()) if path.is_file() else {}
        found.append({key: data[key] for key in ("dataset", "clips", "seed", "split", "version") if key in data})
    return found
