"""`deft bench`: the paper's tables and curves on the simulated robot, without ROS."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from deft_bringup.exits import explained

if TYPE_CHECKING:
    from deft_bench.studies import Outcome, Row, Study

app = typer.Typer(help="The paper's tables and curves on the simulated robot. Studies share their sessions and can be "
                  "interrupted: run the same command again and it goes on.", no_args_is_help=True)
CORES = os.cpu_count() or 1
ESTIMATE_SECONDS = 3600.0  # of the last sessions that the time left is estimated from

Out = Annotated[Path, typer.Option(help="folder of sessions and tables; what is in it is not run again")]
Tasks = Annotated[list[str] | None, typer.Option("--task", help="names of files in config/tasks; may be given several times. "
                                                 "Default: the paper's")]
Variants = Annotated[list[str] | None, typer.Option("--variant", help="names in deft_bench.studies.VARIANTS; may be given "
                                                    "several times. Default: all")]
Seeds = Annotated[int, typer.Option(min=1, help="sessions of a method and task")]
Episodes = Annotated[int, typer.Option(min=3, help="of a session")]
Trials = Annotated[int, typer.Option(min=1, help="of what a session came to, with each set of objects")]
Jobs = Annotated[int, typer.Option(min=1, help="processes at a time, one a core; 1.5 GB of memory each")]
Checkpoint = Annotated[Path | None, typer.Option(exists=True, dir_okay=False, resolve_path=True,
                                                 help="of this encoder (docs/rewards.md); without it its row is left out")]


@app.callback()
def bench() -> None:
    """The paper's tables and curves on the simulated robot."""
    os.environ.setdefault("MUJOCO_GL", "egl")  # read when MuJoCo is imported: studies need no display


@app.command()
def table1(out: Out = Path("build/bench"), task: Tasks = None, seeds: Seeds = 5, episodes: Episodes = 30, trials: Trials = 20,
           jobs: Jobs = CORES) -> None:
    """Table 1: DEFT beside the prior alone, no prior, no refit, and our defaults; train and test objects."""
    from deft_bench import studies

    with explained():
        rows = studies.table1()
        _table("table1", *_found(rows, task or studies.TASKS, out, seeds, episodes, trials, jobs, {}), ahead=rows[-1])


@app.command()
def table2(out: Out = Path("build/bench"), task: Tasks = None, seeds: Seeds = 5, episodes: Episodes = 30, trials: Trials = 20,
           jobs: Jobs = CORES, r3m: Checkpoint = None, resnet18: Checkpoint = None) -> None:
    """Table 2: rewards from pictures in place of a person's, and other policies."""
    from deft_bench import studies

    weights = {name: str(path) for name, path in (("r3m", r3m), ("resnet18", resnet18)) if path}
    with explained():
        rows = studies.table2(weights)
        _table("table2", *_found(rows, task or studies.ABLATED, out, seeds, episodes, trials, jobs, weights), ahead=rows[-1])


@app.command()
def curves(out: Out = Path("build/bench"), task: Tasks = None, seeds: Seeds = 5, episodes: Episodes = 30, trials: Trials = 20,
           jobs: Jobs = CORES) -> None:
    """Figure 4: success with train objects after 10, 20 and 30 episodes, and while learning."""
    from deft_bench import results, studies

    with explained():
        study, outcomes = _found(studies.curves(episodes), task or studies.TASKS, out, seeds, episodes, trials, jobs, {})
        picture = study.folder.parent / "curves.png"
        results.draw_curves(outcomes, study.rows, study.tasks, episodes, picture)
        _table("curves", study, outcomes)
    Console().print(str(picture), highlight=False, soft_wrap=True)


@app.command()
def searches(out: Out = Path("build/bench"), task: Tasks = None, seeds: Seeds = 5, episodes: Episodes = 30,
             trials: Trials = 10, jobs: Jobs = CORES) -> None:
    """All searches: success while learning, and of what they recommend after 10, 20 and 30 episodes."""
    from deft_bench import results, studies

    with explained():
        rows = studies.searches(episodes)
        study, outcomes = _found(rows, task or studies.SEARCHED, out, seeds, episodes, trials, jobs, {})
        folder = study.folder.parent
        text = results.search_table(outcomes, rows, study.tasks)
        (folder / "searches.md").write_text(f"{text}\n{results.table(outcomes, rows, study.tasks, folder)}")
        Console().print(text, highlight=False, soft_wrap=True, markup=False)
        Console().print(str(folder / "searches.md"), highlight=False, soft_wrap=True)


@app.command()
def variants(out: Out = Path("build/bench_development"), variant: Variants = None, task: Tasks = None, seeds: Seeds = 3,
             episodes: Episodes = 30, trials: Trials = 20, jobs: Jobs = CORES) -> None:
    """What Algorithm 1 leaves open, on seeds and scenes that nothing else is reported on: to choose defaults by."""
    from deft_bench import results, studies

    with explained():
        rows = studies.variants(variant or tuple(studies.VARIANTS))
        study, outcomes = _found(rows, task or studies.TASKS, out, seeds, episodes, trials, jobs, {},
                                 first_seed=studies.DEVELOPMENT_SEED, scenes=studies.DEVELOPMENT_SCENES)
        text = results.variant_table(outcomes, rows, study.tasks)
        (study.folder.parent / "variants.md").write_text(text)
        Console().print(text, highlight=False, soft_wrap=True, markup=False)


def _table(name: str, study: Study, outcomes: list[Outcome], ahead: Row | None = None) -> None:
    """Print a study's table, and write it with a link to the trials of each cell."""
    from deft_bench import results

    folder = study.folder.parent
    title = f"# {name}: {study.seeds} sessions of {study.episodes} episodes, {study.trials} trials of each"
    (folder / f"{name}.md").write_text(f"{title}\n\n{results.table(outcomes, study.rows, study.tasks, folder, ahead)}")
    console = Console()
    console.print(results.table(outcomes, study.rows, study.tasks, ahead=ahead), highlight=False, soft_wrap=True, markup=False)
    console.print(str(folder / f"{name}.md"), highlight=False, soft_wrap=True)


def _found(rows: Sequence[Row], tasks: Sequence[str], out: Path, seeds: int, episodes: int, trials: int, jobs: int,
           checkpoints: dict[str, str], **others: int) -> tuple[Study, list[Outcome]]:
    """Run a study with progress and time left. Raises what `studies.run` raises, and ConfigError: an unknown task."""
    from deft_bench import studies
    from deft_core.config import default_config_dir
    from deft_core.descriptions import load_task

    chosen = tuple(dict.fromkeys(tasks))
    for task in chosen:
        load_task(default_config_dir(), task)
    study = studies.Study(tuple(rows), chosen, seeds, episodes, trials, out.expanduser().resolve() / "sessions", checkpoints,
                          **others)
    outcomes: list[Outcome] = []
    columns = (TextColumn("sessions with their trials"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TextColumn("left:"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), speed_estimate_period=ESTIMATE_SECONDS) as progress:
        bar = progress.add_task("", total=len(studies.pieces(study)))
        for done in studies.run(study, jobs):
            outcomes += done
            progress.advance(bar)
    return study, studies.ordered(study, outcomes)
