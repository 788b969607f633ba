"""How trials of a study fail, counted, and a sheet with a picture of each task's most frequent ways: for docs/results.md.

    . .venv/deft_env.sh && deft bench table1
    . .venv/deft_env.sh && python tools/failure_pictures.py build/bench docs/images/results

A failed trial is executed again as it was; one that ends in another way this time is passed over for the next of its kind.
"""

from __future__ import annotations

import argparse
import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("MUJOCO_GL", "egl")

import cv2
import numpy as np

from deft_bench.sessions import TRIAL_SEED, grasp_of
from deft_bench.sim_robot import SimRobot, load_rig
from deft_bench.studies import OBJECTS, TASKS
from deft_bringup.rehearsal import Film, lay
from deft_cem.summary import read
from deft_core.errors import DeftError
from deft_core.types import GraspParameters
from deft_core.vision import Picture

KINDS, TRIES = 3, 6  # pictures a task, failures executed again for one of them
TILE, CAPTION = 300, 36  # pixels
FILM_SECONDS = 0.5  # of robot clock between pictures


@dataclass(frozen=True)
class Failure:
    """A trial without success, and how it went wrong, in the words of the person or of the refusal."""

    kind: str
    objects: str
    episode: int
    grasp: GraspParameters | None


def kind_of(e: dict[str, Any]) -> str:
    """In words that are the same for all failures of a kind."""
    if e["status"] != "scored":
        return "could not be planned" if e["status"] == "infeasible" else "given up"
    return in_words(e["note"], e["stop_reason"])


def in_words(note: str, stop_reason: str) -> str:
    """What was said of a grasp but its numbers, and what stopped it."""
    said = re.sub(r"\d+", "..", note)
    return f"{said} ({stop_reason})" if stop_reason else said


def failures(folder: Path, row: str) -> tuple[list[Failure], Counter[str]]:
    """Of a row, from all sessions in the folder of a task and training; and how many trials there were, by set of objects."""
    found, trials = [], Counter[str]()
    for summary in (read(each) for each in sorted(folder.glob(f"seed_*/trials/{row}/*"))):
        for e in summary["episodes"]:
            trials[summary["object_set"]] += 1
            if e["success"] is not True:
                found.append(Failure(kind_of(e), summary["object_set"], e["episode"], grasp_of(e["executed"])))
    return found, trials


def again(rig: SimRobot, failure: Failure) -> tuple[Picture, str] | None:
    """The end of the grasp, (h, w, 3) RGB, and what was said of it this time; None where it cannot be executed."""
    assert failure.grasp is not None
    lay(rig, failure.objects, failure.episode)
    seed = int(np.random.SeedSequence([TRIAL_SEED, failure.episode, 1]).generate_state(1)[0])  # as the loop's
    try:
        seen = rig.observe()
        with Film(rig, FILM_SECONDS) as film:
            done, verdict = rig.execute(seen, failure.grasp, seed)
    except DeftError:
        return None
    ends = {name: end for name, _, end in done.phases}
    end = ends.get("hold", ends.get("trajectory", ends.get("squeeze", done.phases[-1][2])))
    return film.at([end])[0], in_words(verdict.note, done.stop_reason)


def tile(picture: Picture, lines: tuple[str, ...]) -> Picture:
    """With its words below."""
    height = TILE * picture.shape[0] // picture.shape[1]
    canvas = np.full((height + CAPTION, TILE, 3), 255, np.uint8)
    canvas[:height] = cv2.resize(picture, (TILE, height), interpolation=cv2.INTER_AREA)
    for k, line in enumerate(lines):
        cv2.putText(canvas, line, (3, height + 14 + 15 * k), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
    return canvas


def tiles(task: str, found: list[Failure]) -> list[Picture]:
    """The most frequent kinds that can be had again."""
    rig, out = load_rig(task, seed=TRIAL_SEED), []
    for kind, count in Counter(f.kind for f in found if f.grasp is not None).most_common():
        for failure in [f for f in found if f.kind == kind and f.grasp is not None][:TRIES]:
            had = again(rig, failure)
            if had is not None and had[1] == kind:
                out.append(tile(had[0], (f"{task}, {failure.objects}, trial {failure.episode}", f"{kind} (x{count})")))
                break
        if len(out) == KINDS:
            break
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bench", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--training", default="defaults", help="how the sessions learned, by name")
    parser.add_argument("--row", default="elite_mean_30", help="what of them was tried out")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    rows = []
    print("| task | failed, train | failed, test | how |\n| --- | --- | --- | --- |")
    for task in TASKS:
        found, trials = failures(options.bench / "sessions" / task / options.training, options.row)
        failed = [f"{sum(f.objects == objects for f in found)} of {trials[objects]}" for objects in OBJECTS]
        kinds = Counter(f.kind for f in found).most_common()
        print(f"| {task} | {' | '.join(failed)} | {'; '.join(f'{kind} {count}' for kind, count in kinds)} |", flush=True)
        if drawn := tiles(task, found):
            blank = np.full_like(drawn[0], 255)
            rows.append(np.hstack([*drawn, *[blank] * (KINDS - len(drawn))]))
    if rows:
        cv2.imwrite(str(options.out / "failures.jpg"), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR),
                    [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
