"""`deft fit` and `deft dataset`: what becomes of a session's bag, without ROS running."""

from __future__ import annotations

import time
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from deft_bringup.exits import EXIT_USAGE, explained, fail


class Kind(str, Enum):
    """deft_policy.config.PolicyKind has them, too; importing that would bring in PyTorch."""

    cvae = "cvae"
    mlp = "mlp"
    transformer = "transformer"
    direct = "direct"
    elite_mean = "elite_mean"


Session = Annotated[Path | None, typer.Option(help="folder of a session", exists=True, file_okay=False)]
Bag = Annotated[Path | None, typer.Option(help="a bag, a session's or one of `ros2 bag record`: MCAP or sqlite3, compressed, "
                                          "interrupted or damaged", exists=True)]
Name = Annotated[str, typer.Option("--session-id", help="which session, where the bag holds several")]


def fit(session: Session = None, bag: Bag = None, session_id: Name = "",
        policy: Annotated[Kind | None, typer.Option(help="default: elite_mean, or what --params-file says")] = None,
        seed: Annotated[int | None, typer.Option(help="of the fit; default: the session's", min=0)] = None,
        out: Annotated[Path | None, typer.Option(help="folder for policy.yaml and its weights; default: the session's, or the "
                                                 "current one with --bag")] = None,
        params_file: Annotated[Path | None, typer.Option(help="node parameters; of deft_policy the `policy.*`", exists=True,
                                                         dir_okay=False)] = None) -> None:
    """Fit the residual policy to the elites of a session, from its bag alone."""
    source = _source(session, bag)
    started = time.monotonic()
    with explained():
        from deft_bag.episodes import read_session
        from deft_bringup.parameters import node_parameters
        from deft_core.config import parse
        from deft_policy.config import PolicyConfig
        from deft_policy.fitting import fit_policy
        from deft_policy.storage import store

        given = node_parameters(params_file, "deft_policy").get("policy") or {}
        config = parse(PolicyConfig, {**given, **({"kind": policy.value} if policy else {})}, "policy")
        console = Console(stderr=True)
        columns = SpinnerColumn(), TextColumn("{task.description}"), TimeRemainingColumn()
        with Progress(*columns, console=console, transient=True) as progress:
            reading = progress.add_task("reading the bag", total=None)
            recorded = read_session(source, session_id,
                                    lambda n: progress.update(reading, description=f"reading: {n} messages"))
            progress.update(reading, description="fitting", total=config.steps)
            fitted = fit_policy(recorded, config, recorded.seed if seed is None else seed, on_step=lambda step, steps, _:
                                progress.update(reading, completed=step, total=steps))
        path = store(fitted, out or (session or Path.cwd()))
    for warning in recorded.warnings:
        console.print(f"warning: {warning}", style="yellow", highlight=False, soft_wrap=True)
    table = Table(title=f"{fitted.kind.value} policy of {recorded.task}, session {recorded.id}", show_header=False)
    origin = fitted.provenance
    table.add_row("elites", ", ".join(f"{k} ({r:.2f})" for k, r in zip(origin.elites, origin.rewards, strict=True)))
    table.add_row("error on elites left out", f"{origin.error:.3f} sigma; the mean of the others: {origin.mean_error:.3f}")
    table.add_row("trained for", f"{origin.steps} steps" if origin.steps else "0 steps: nothing beat the mean of the elites")
    Console().print(table)
    Console().print(f"{path}; {time.monotonic() - started:.1f} s", highlight=False, soft_wrap=True)


class Format(str, Enum):
    """What `deft dataset` writes."""

    lerobot = "lerobot"
    parquet = "parquet"


def dataset(out: Annotated[Path, typer.Option(help="folder (lerobot) or file (parquet) to write")],
            session: Session = None, bag: Bag = None, session_id: Name = "",
            kind: Annotated[Format, typer.Option("--format", help="lerobot: LeRobot dataset v3.0, frames of every executed "
                                                 "grasp; parquet: one row an episode")] = Format.lerobot,
            fps: Annotated[int, typer.Option(help="frames a second of robot time, of lerobot", min=1, max=60)] = 10) -> None:
    """Write a session's bag as a data set for other tools."""
    source = _source(session, bag)
    with explained():
        if kind is Format.parquet:
            from deft_bag.export.table import write_table

            rows = write_table(source, out, session_id)
            Console().print(f"{out}: {rows} episodes", highlight=False, soft_wrap=True)
            return
        from deft_bag.export.lerobot import write_lerobot

        written = write_lerobot(source, out, session_id, fps)
        Console().print(f"{out}: {written.episodes} episodes, {written.frames} frames at {fps} Hz", highlight=False,
                        soft_wrap=True)


def _source(session: Path | None, bag: Path | None) -> Path:
    if (session is None) == (bag is None):
        fail("give --session FOLDER or --bag BAG", EXIT_USAGE)
    source = session or bag
    assert source is not None
    return source
