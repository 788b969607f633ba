"""`deft extract`, `deft extract-demo` and `deft synthesize`: human hand videos."""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from deft_bringup.exits import EXIT_FAILED, EXIT_USAGE, explained, fail
from deft_core.config import default_config_dir, load, parse
from deft_human_video.labels.engine import Engine, WorkerLost
from deft_human_video.synthetic.split import Split


class Dataset(str, Enum):
    """Which layout a folder has."""

    hoi4d = "hoi4d"
    epic = "epic"
    ego4d = "ego4d"


SHOWN = 10  # damaged clips that are listed on the screen; all are in damaged.json
Where = Annotated[Engine, typer.Option("--engine", help="local: processes of this machine; ray: a Ray cluster")]
Workers = Annotated[int, typer.Option(min=1, help="processes at a time; 0.8 GB of memory each")]
Show = Annotated[Split, typer.Option(help="train: leave out the things and backgrounds kept for tests; test: only those")]
Address = Annotated[str, typer.Option(help="with --engine ray: of a running cluster, e.g. ray://head:10001; empty: one is "
                                      "started on this machine")]


def extract(dataset: Annotated[Dataset, typer.Argument(help="layout of the data set")],
            root: Annotated[Path, typer.Argument(help="its folder", exists=True, file_okay=False)],
            out: Annotated[Path, typer.Option(help="folder for the shards; an interrupted run in it goes on")],
            limit: Annotated[int, typer.Option(min=0, help="clips, the first of the list; 0 = all")] = 0,
            engine: Where = Engine.local, workers: Workers = 1, address: Address = "",
            contact_frame: Annotated[str | None, typer.Option(help="auto, dataset, detections or motion")] = None,
            hand: Annotated[str | None, typer.Option(help="mediapipe or dataset")] = None,
            object_source: Annotated[str | None, typer.Option("--object", help="auto, boxes or depth")] = None,
            detections: Annotated[Path | None,
                                  typer.Option(help="folder of 100DOH results, in place of finding hands and contact",
                                                            exists=True, file_okay=False)] = None,
            objects: Annotated[Path | None, typer.Option(help="folder of Detic results, in place of finding the object",
                                                         exists=True, file_okay=False)] = None,
            hands: Annotated[Path | None,
                             typer.Option(help="folder of FrankMocap, HaMeR or WiLoR results, in place of fitting the "
                                                       "hand", exists=True, file_okay=False)] = None,
            mano_file: Annotated[Path | None, typer.Option(help="your licensed MANO_RIGHT.pkl; FrankMocap's results need it",
                                                           exists=True, dir_okay=False)] = None,
            config: Annotated[Path | None, typer.Option(help="in place of config/human_video.yaml", exists=True,
                                                        dir_okay=False)] = None,
            shard: Annotated[int, typer.Option(min=1, help="clips a shard: what is lost, and done again, when a worker dies"
                                               )] = 50,
            sheet: Annotated[bool, typer.Option("--sheet/--no-sheet", help="draw contact_sheet.png of some labels")] = True,
            as_json: Annotated[bool, typer.Option("--json", help="print the summary as JSON on stdout")] = False) -> None:
    """Make grasp labels from a data set of human videos: contact points, wrist rotation, hand pose, object crop, text."""
    from deft_human_video.labels.job import Job
    from deft_human_video.readers.results import Results

    with _explained():
        settings = _settings(config, contact_frame=contact_frame,
                             hand="dataset" if hands is not None and hand is None else hand,
                             object=object_source)
        job = Job(dataset.value, root.resolve(), out.resolve(), settings, Results(detections, objects, hands), mano_file, limit,
                  shard)
        _extract(job, engine, workers, address, sheet, as_json)


def _extract(job: Any, engine: Engine, workers: int, address: str, sheet: bool, as_json: bool) -> None:
    from deft_human_video.labels import shards
    from deft_human_video.labels.job import extract as extracted
    from deft_human_video.labels.job import plan

    console = Console(stderr=as_json)
    planned = plan(job)
    results = list(planned.done)
    if results:
        console.print(f"{len(results)} shard(s) are done already", highlight=False)
    with _progress(console, "clips", len(planned.keys)) as advance:
        advance(sum(_clips(r) for r in results))
        for result in extracted(job, planned, engine, workers, address):
            results.append(result)
            advance(_clips(result))
    labelled, rejected, damaged = shards.counted(results)
    problems = [{"clip": key, "file": file, "problem": problem} for key, (file, problem) in damaged.items()]
    problems += [{"clip": p.key, "file": p.file, "problem": p.problem} for p in planned.problems]
    seconds = sum(r.seconds for r in results)
    summary = {"clips": len(planned.keys), "labels": labelled, "rejected": dict(rejected.most_common()),
               "damaged": len(problems), "seconds_a_clip": round(seconds / max(len(planned.keys), 1), 3)}
    shards.write_json(job.out / "damaged.json", problems)
    shards.write_json(job.out / "summary.json", summary)
    _report(console, summary, rejected, problems, job.out)
    if sheet and labelled:
        _draw_sheet(console, job.out)
    if as_json:
        print(json.dumps(summary))
    if not labelled:
        fail("no clip gave a label", EXIT_FAILED)


def _clips(result: Any) -> int:
    return len(result.labelled) + len(result.rejected) + len(result.damaged)


def _report(console: Console, summary: dict[str, Any], rejected: Counter[str], problems: list[dict[str, str]],
            out: Path) -> None:
    console.print(f"{summary['labels']} labels of {summary['clips']} clips, {summary['seconds_a_clip']} s of one process a "
                  f"clip; shards in {out}", highlight=False, soft_wrap=True)
    for reason, count in rejected.most_common():
        console.print(f"  rejected {count:6d}  {reason}", highlight=False, soft_wrap=True)
    for entry in problems[:SHOWN]:
        console.print(f"  damaged  {entry['clip']}: {entry['file']}: {entry['problem']}", style="yellow", highlight=False,
                      soft_wrap=True)
    if len(problems) > SHOWN:
        console.print(f"  ... and {len(problems) - SHOWN} more, all in {out / 'damaged.json'}", style="yellow", highlight=False,
                      soft_wrap=True)


def extract_demo(video: Annotated[Path, typer.Argument(help="one demonstration: hand comes in, grasps, does the task",
                                                       exists=True,
                                                       dir_okay=False)],
                 out: Annotated[Path,
                                typer.Option(help="YAML to write, e.g. config/demonstrations/my_task.yaml; the goal image "
                                                   "goes beside it as .jpg")],
                 depth: Annotated[Path | None, typer.Option(help="depth video aligned to it, 16-bit grey in millimetres (FFV1)",
                                                            exists=True, dir_okay=False)] = None,
                 intrinsics: Annotated[str,
                                       typer.Option(help="fx,fy,cx,cy in pixels of the video, or a .npy of the 3x3 matrix; "
                                                         "empty: a usual lens is assumed")] = "",
                 yaw_degrees: Annotated[float,
                                        typer.Option(help="from where the camera looks to base_link's x, counter-clockwise "
                                                            "from above; 0: the robot stands where the camera is")] = 0.0,
                 mano_file: Annotated[Path | None, typer.Option(help="your licensed MANO_RIGHT.pkl", exists=True,
                                                                dir_okay=False)] = None) -> None:
    """Turn one human demonstration into a task's post-grasp wrist trajectory and goal image."""
    import math

    from deft_human_video import demonstration
    from deft_human_video.errors import ClipError, Rejected
    from deft_human_video.files import clip_of_files
    from deft_human_video.labels.extractor import Extractor
    from deft_human_video.labels.settings import ContactSource, LabelSettings, ObjectSource
    from deft_human_video.labels.tracking import HandTracker
    from deft_retarget.mano_file import skeleton_of

    if out.suffix != ".yaml" or not out.absolute().parent.is_dir():
        fail(f"--out needs the name of a .yaml file in a folder that exists, not {out}", EXIT_USAGE)
    console = Console(stderr=True)
    with _explained():
        skeleton = skeleton_of(mano_file)
        try:
            clip = clip_of_files(video, depth, intrinsics)
            if clip.intrinsics is None:
                console.print("deft: no --intrinsics: a lens of 60 degrees is assumed; distances are as good as that guess",
                              style="yellow", highlight=False, soft_wrap=True)
            if depth is None:
                console.print("deft: no --depth: distances and tilt come from the hand's size and a usual view; expect errors "
                              "of centimetres", style="yellow", highlight=False, soft_wrap=True)
            tracker = HandTracker()
            settings = LabelSettings(contact_frame=ContactSource.motion, object=ObjectSource.depth, longest=100_000)
            with _progress(console, "frames", 1) as advance:
                found = demonstration.demonstrated(clip, Extractor(settings, skeleton, tracker), tracker, skeleton,
                                                   math.radians(yaw_degrees), lambda done, of: advance(1, of))
        except (ClipError, Rejected) as error:
            fail(f"{video}: {error}", EXIT_FAILED)
    demonstration.save(found, out, f"video {video.name}")
    Console().print(f"{out}: {len(found.times)} waypoints over {found.times[-1]:.1f} s from frame {found.contact_frame} on; "
                    f"the hand was found in {100 * found.followed:.0f} % of them\n{out.with_suffix('.jpg')}: the goal image",
                    highlight=False, soft_wrap=True)


def synthesize(out: Annotated[Path, typer.Argument(help="folder; clips that are there already are not made again")],
               clips: Annotated[int, typer.Option(min=1)] = 100, seed: Annotated[int, typer.Option(min=0)] = 0,
               split: Show = Split.all, engine: Where = Engine.local, workers: Workers = 1, address: Address = "") -> None:
    """Film synthetic human hands that grasp things, in the layout of HOI4D, with the truth beside them.

    The simulator's test objects are held out: none like them is ever shown.
    """
    os.environ.setdefault("MUJOCO_GL", "egl")
    from deft_bringup.held_out import held_out
    from deft_human_video.synthetic.series import Series, make

    console = Console()
    made, seconds = 0, 0.0
    with _explained(), _progress(console, "clips", clips) as advance:
        for piece in make(Series(out.resolve(), clips, seed, held_out(), split), engine, workers, address):
            made, seconds = made + piece.made, seconds + piece.seconds
            advance(piece.clips)
    rate = f", {seconds / made:.2f} s of one process each" if made else ""
    console.print(f"{clips} clips in {out / 'hoi4d'}, {made} of them new{rate}", highlight=False, soft_wrap=True)


def synthesize_labels(out: Annotated[Path, typer.Argument(help="folder for the shards; an interrupted run in it goes on")],
                      pictures: Annotated[int, typer.Option(min=1)] = 1000, seed: Annotated[int, typer.Option(min=0)] = 0,
                      split: Show = Split.all, engine: Where = Engine.local, workers: Workers = 1, address: Address = "",
                      sheet: Annotated[bool, typer.Option("--sheet/--no-sheet", help="draw contact_sheet.png of some labels"
                                                          )] = True) -> None:
    """Make exact grasp labels of synthetic scenes without filming them: one picture each, and a label for each purpose.

    Ten times as fast as `deft synthesize` and `deft extract`, and free of their errors. Test objects are held out as there.
    """
    os.environ.setdefault("MUJOCO_GL", "egl")
    from deft_bringup.held_out import held_out
    from deft_human_video.synthetic import stills

    console = Console()
    series = stills.StillSeries(out.resolve(), pictures, seed, held_out(), split)
    with _explained():
        numbers, results = stills.begin(series)
        with _progress(console, "shards", len(numbers) + len(results)) as advance:
            advance(len(results))
            for result in stills.make(series, numbers, engine, workers, address):
                results.append(result)
                advance(1)
    seconds = sum(result.seconds for result in results) / pictures
    console.print(f"{sum(len(r.labelled) for r in results)} labels of {pictures} pictures in {out}, {seconds:.2f} s of one "
                  "process a picture", highlight=False, soft_wrap=True)
    if sheet:
        _draw_sheet(console, out)


def _draw_sheet(console: Console, folder: Path) -> None:
    from deft_human_video.labels.contact_sheet import draw_sheet

    draw_sheet(folder, folder / "contact_sheet.png")
    console.print(f"{folder / 'contact_sheet.png'}: look at it", highlight=False, soft_wrap=True)


def _settings(path: Path | None, **flags: str | None) -> Any:
    """The file's section `labels`, with the flags that were given."""
    from deft_human_video.labels.settings import HumanVideoConfig, LabelSettings

    file = path or default_config_dir() / "human_video.yaml"
    settings = load(HumanVideoConfig, file).labels
    given = {name: value for name, value in flags.items() if value is not None}
    return parse(LabelSettings, settings.model_dump() | given, "command line")


@contextlib.contextmanager
def _progress(console: Console, what: str, total: int) -> Iterator[Any]:
    """Yields a function that advances the bar; a second argument corrects the total."""
    with Progress(TextColumn(f"[progress.description]{what}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
                  TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(what, total=total)
        yield lambda step, of=None: bar.update(task, advance=step, **({} if of is None else {"total": of}))


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Errors as a sentence and an exit status."""
    from deft_human_video.errors import ClipError

    with explained():
        try:
            yield
        except ClipError as error:
            fail(str(error), EXIT_USAGE)
        except WorkerLost as error:
            fail(str(error), EXIT_FAILED)
