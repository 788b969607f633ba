"""How good and how fast the label chain is, on synthetic videos whose truth it never sees. See benchmarks/README.md.

    python benchmarks/human_video.py accuracy CLIPS --out build/human_video   labels against the truth
    python benchmarks/human_video.py steps CLIPS                              seconds of each step, one process
    python benchmarks/human_video.py scaling CLIPS --most 10000               cost a clip from 100 to many, 1 and 2 workers
    python benchmarks/human_video.py kill CLIPS                               a worker is killed; what is lost

CLIPS is a folder made by `deft synthesize CLIPS --clips 260`.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import os
import pstats
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from deft_human_video.labels import shards
from deft_human_video.labels.contact_sheet import draw_sheet
from deft_human_video.labels.engine import Engine
from deft_human_video.labels.extractor import Extractor
from deft_human_video.labels.job import Job, extract, plan
from deft_human_video.labels.settings import LabelSettings
from deft_human_video.mirror import FLIP
from deft_human_video.readers.hoi4d import Hoi4dReader
from deft_human_video.synthetic.generator import WIDTH, film_clip
from deft_human_video.synthetic.hoi4d_files import truth_path, write_clip, write_shared
from deft_human_video.synthetic.off_screen import off_screen
from deft_retarget.skeleton import MIRROR, TIP, shipped_skeleton

ANNOTATIONS = ("Hand_pose", "HOI4D_annotations")
MOTION = LabelSettings(contact_frame="motion", hand="mediapipe", object="depth")
GIVEN = LabelSettings(contact_frame="dataset", hand="dataset", object="depth")
# What is timed, by (file, function)
STEPS = {"decoding": ("video.py", "decoded"), "camera's motion": ("registration.py", "next"),
         "hand's outline": ("extractor.py", "_outline"), "hand tracking": ("extractor.py", "_hands"),
         "first frame": ("extractor.py", "_first_frame"), "object": ("extractor.py", "_object"),
         "hand fitting": ("fitting.py", "fit"),
         "contact points": ("extractor.py", "_contacts")}


def bare(clips: Path, folder: Path) -> Path:
    """The data set without its annotations."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in (clips / "hoi4d").iterdir():
        if part.name not in ANNOTATIONS and not (folder / part.name).exists():
            (folder / part.name).symlink_to(part.resolve())
    return folder


def truth_of(clips: Path, key: str) -> dict[str, Any]:
    return json.loads(truth_path(int(key.split("/")[3][1:]), clips).read_text())


def errors(label: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """Of one label."""
    left, frame = known["side"] == "left", label["contact_frame"]
    turn, point = (MIRROR, FLIP) if left else (1.0, 1.0)
    contact = np.mean(known["contacts"], axis=0)
    contact[0] = WIDTH - 1 - contact[0] if label["mirrored"] else contact[0]
    x0, y0, x1, y1 = label["box"]
    out: dict[str, Any] = {
        "purpose": known["purpose"], "side": label["mirrored"] == left, "frames": frame - known["contact_frame"],
        "contact": float(np.linalg.norm(np.array(label["contact"]) - (contact - [x0, y0])) / np.hypot(x1 - x0, y1 - y0))}
    if not out["side"] or known["wrists"][frame] is None:
        return out | {"wrist": 180.0, "tips_aligned": None, "tips_rooted": None, "tips": None}
    there = Rotation.from_rotvec(np.array(known["wrists"][frame]["rotvec"]) * turn)
    place = np.array(known["wrists"][frame]["position"]) * point
    touch = known["wrists"][known["contact_frame"]]
    in_hand = Rotation.from_rotvec(np.array(touch["rotvec"]) * turn).inv().apply(
        (np.array(known["tips"]) - touch["position"]) * point)
    found = Rotation.from_rotvec(label["wrist"])
    own = label["size"] * shipped_skeleton().keypoints(np.array(label["mano_pose"]))[list(TIP.values())]
    true_tips, tips = there.apply(in_hand), found.apply(own)
    a, b = np.vstack([true_tips, np.zeros(3)]), np.vstack([tips, np.zeros(3)])
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    aligned = a - Rotation.align_vectors(a, b)[0].apply(b)
    return out | {"wrist": float(np.degrees((there.inv() * found).magnitude())),
                  "tips_aligned": (1e3 * np.linalg.norm(aligned[:5], axis=1)).tolist(),
                  "tips_rooted": (1e3 * np.linalg.norm(true_tips - tips, axis=1)).tolist(),
                  "tips": (1e3 * np.linalg.norm(true_tips + place - tips - label["position"], axis=1)).tolist()}


def accuracy(arguments: argparse.Namespace) -> None:
    out = arguments.out
    job = Job("hoi4d", bare(arguments.clips, out / "bare"), out / "labels", MOTION, shard=10)
    planned = plan(job)
    began = time.perf_counter()
    results = [*planned.done, *extract(job, planned, Engine.local, arguments.workers)]
    wall = time.perf_counter() - began
    labelled, rejected, damaged = shards.counted(results)
    found = [errors(label, truth_of(arguments.clips, label["key"])) for label in shards.read_labels(job.out)]
    draw_sheet(job.out, out / "contact_sheet.png")
    total = len(planned.keys)
    print(f"{labelled} labels of {total} clips ({100 * labelled / total:.0f} %), {len(damaged)} damaged, {wall:.0f} s with "
          f"{arguments.workers} worker(s)")
    for reason, count in rejected.most_common():
        print(f"  rejected {count:4d}  {reason}")
    summarise(found)
    by = defaultdict(list)
    for error in found:
        by[error["purpose"]].append(error)
    seen = Counter(truth_of(arguments.clips, key)["purpose"] for key in planned.keys)
    for purpose in seen:
        one = by.get(purpose, [])
        contact, wrist = (np.median([e[name] for e in one]) if one else np.nan for name in ("contact", "wrist"))
        print(f"  {purpose:18s} {len(one):3d} of {seen[purpose]:3d}, contact {100 * contact:.1f} %, wrist {wrist:.0f} deg")


def summarise(found: list[dict[str, Any]]) -> None:
    frames = np.abs([e["frames"] for e in found])
    wrist, contact = np.array([e["wrist"] for e in found]), np.array([e["contact"] for e in found])
    print(f"contact frame: within 2 frames in {100 * (frames <= 2).mean():.1f} %, exact in {100 * (frames == 0).mean():.1f} %")
    print(f"contact centre: median {100 * np.median(contact):.1f} % of the crop's diagonal, 90th percentile "
          f"{100 * np.percentile(contact, 90):.1f} %")
    print(f"side of the hand: right in {100 * np.mean([e['side'] for e in found]):.1f} %")
    print(f"wrist rotation: median {np.median(wrist):.1f} deg, 75th percentile {np.percentile(wrist, 75):.1f}, over 45 deg in "
          f"{100 * (wrist > 45).mean():.1f} %")
    for name, what in (("tips_aligned", "after rigid alignment of wrist and fingertips"), ("tips_rooted",
                                                                                           "from the wrist, camera's axes"),
                       ("tips", "absolute, camera's frame")):
        values = np.concatenate([e[name] for e in found if e[name] is not None])
        print(f"fingertips {what}: median {np.median(values):.1f} mm, mean {values.mean():.1f}")


def steps(arguments: argparse.Namespace) -> None:
    from threadpoolctl import threadpool_limits

    reader = Hoi4dReader(bare(arguments.clips, Path(tempfile.mkdtemp()) / "bare"))
    keys = reader.keys()[0][:arguments.count]
    extractor, profile, outcome = Extractor(MOTION, shipped_skeleton()), cProfile.Profile(), Counter()
    began = time.process_time(), time.perf_counter()
    with threadpool_limits(1):
        for key in keys:
            profile.enable()
            try:
                extractor.label(reader.open(key))
                outcome["labels"] += 1
            except Exception as error:
                outcome[type(error).__name__] += 1
            profile.disable()
    cpu, wall = time.process_time() - began[0], time.perf_counter() - began[1]
    print(f"{len(keys)} clips: {wall / len(keys):.2f} s, {cpu / len(keys):.2f} s of processor a clip, profiled; "
          f"{dict(outcome)}")
    rows = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    for name, (file, function) in STEPS.items():
        spent = [(calls, total) for (path, _, called), (_, calls, _, total, _) in rows.items()
                 if path.endswith(f"/{file}") and called == function]
        print(f"  {name:16s} {sum(t for _, t in spent) / len(keys):.3f} s a clip ({sum(c for c, _ in spent)} calls)")
    off_screen()
    with tempfile.TemporaryDirectory() as folder:
        write_shared(Path(folder))
        began_film = time.perf_counter()
        for number in range(arguments.films):
            write_clip(film_clip(number, 99), Path(folder))
        print(f"generation: {(time.perf_counter() - began_film) / arguments.films:.2f} s a clip, one process")


def scaling(arguments: argparse.Namespace) -> None:
    """The cheapest settings, so that what the engine and the files cost would show: many names for the same few clips."""
    source = Hoi4dReader(arguments.clips / "hoi4d").keys()[0][:20]
    with tempfile.TemporaryDirectory() as name:
        for count in (100, 1000, 10_000):
            if count > arguments.most:
                break
            root = Path(name) / str(count)
            multiply(arguments.clips / "hoi4d", source, count, root)
            for workers in (1, 2) if count == 100 else (2,):
                out = Path(name) / f"out{count}-{workers}"
                job = Job("hoi4d", root, out, GIVEN, shard=50)
                began = time.perf_counter()
                planned = plan(job)
                listed = time.perf_counter() - began
                results = list(extract(job, planned, Engine.local, workers))
                wall = time.perf_counter() - began
                spent = sum(r.seconds for r in results)
                memory = subprocess.run(["du", "-sm", str(out)], capture_output=True, text=True, check=True).stdout.split()[0]
                print(f"{count:6d} clips, {workers} worker(s): {1e3 * spent / count:.0f} ms of one process a clip, "
                      f"{1e3 * wall / count:.0f} ms of wall time, {1e3 * listed / count:.2f} ms to list; {memory} MB written",
                      flush=True)


def multiply(clips: Path, source: list[str], count: int, root: Path) -> None:
    """`count` sequences that are links to a few."""
    for shared in ("camera_params", "definitions"):
        shutil.copytree(clips / shared, root / shared)
    for i in range(count):
        key = source[i % len(source)]
        parts = key.split("/")
        parts[3] = f"N{i:06d}"
        for folder in ("HOI4D_release", "HOI4D_depth_video", "HOI4D_annotations", "Hand_pose/handpose_right_hand",
                       "Hand_pose/handpose_left_hand"):
            if (clips / folder / key).is_dir():
                link = root / folder / "/".join(parts)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to((clips / folder / key).resolve())


def kill(arguments: argparse.Namespace) -> None:
    """The same extraction twice, once with a worker killed in the middle of it."""
    with tempfile.TemporaryDirectory() as name:
        records = []
        for victim in (False, True):
            out = Path(name) / ("killed" if victim else "whole")
            job = Job("hoi4d", arguments.clips / "hoi4d", out, GIVEN, limit=arguments.count, shard=5)
            ended = threading.Event()
            if victim:
                threading.Thread(target=kill_child, args=(arguments.after, ended), daemon=True).start()
            results = list(extract(job, plan(job), Engine.local, 2))
            ended.set()
            print(f"{'killed' if victim else 'whole '}: {len(results)} shards, {sum(len(r.labelled) for r in results)} labels")
            records.append([{k: v for k, v in label.items() if k not in ("crop", "contact_picture")}
                            for label in shards.read_labels(out)])
        print("the same labels" if records[0] == records[1] else "DIFFERENT labels")


def kill_child(after: float, ended: threading.Event) -> None:
    """Kill the first worker of this process `after` s from now."""
    if not ended.wait(after):
        listed = subprocess.run(["pgrep", "-P", str(os.getpid()), "-f", "spawn_main"], capture_output=True, text=True,
                                check=False)
        workers = listed.stdout.split()
        os.kill(int(workers[0]), signal.SIGKILL)
        print(f"killed worker {workers[0]} of {len(workers)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for function in (accuracy, steps, scaling, kill):
        command = commands.add_parser(function.__name__)
        command.add_argument("clips", type=Path)
        command.set_defaults(run=function)
        if function is accuracy:
            command.add_argument("--out", type=Path, required=True)
            command.add_argument("--workers", type=int, default=2)
        if function is steps:
            command.add_argument("--count", type=int, default=30)
            command.add_argument("--films", type=int, default=13)
        if function is scaling:
            command.add_argument("--most", type=int, default=10_000)
        if function is kill:
            command.add_argument("--count", type=int, default=40)
            command.add_argument("--after", type=float, default=8.0)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    sys.exit(main())
