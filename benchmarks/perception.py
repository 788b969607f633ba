"""Perception: masks, choice by name and by click, contact points, clouds beside Open3D, Segment Anything beside a bare call.

    . .venv/deft_env.sh && python benchmarks/perception.py all --out build/perception     (about 10 minutes on 2 cores)

Parts: `tables` (rendered tables of test objects: masks against the simulator's, the target by text and by click,
latency, contact points), `cloud` (a 1280x720 depth image to points, beside Open3D in an environment of its own),
`sam` (the backend beside the bare model; random weights, so only times count). Pictures are kept in OUT/tables.
"""

from __future__ import annotations

import argparse
import functools
import json
import multiprocessing
import os
import pickle
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from timing import median_ms

from deft_core.config import default_config_dir, find, load
from deft_core.descriptions import HandConfig, RobotConfig
from deft_core.errors import DeftError
from deft_core.neural import import_torch
from deft_core.projection import CameraView, contact_point, metres
from deft_core.types import Intrinsics, Pose
from deft_perception.choice import find as find_object
from deft_perception.nouns import NounMatcher
from deft_perception.observation import Frame, Observer
from deft_perception.scene import Prompt, TableScene
from deft_perception.tabletop import TabletopConfig, TabletopSegmenter
from deft_sim.clutter import KINDS, Table, TableSetter

FIRST_SEED = 30_000
TARGET_PIXELS = 400     # of a target that are visible at least
CPU = time.thread_time  # s, of this thread: the time on one core
HD = Intrinsics(1280, 720, 910.0, 910.0, 639.5, 359.5)
REPEATS = 60
PEERS = Path(__file__).with_name("open3d_cloud.py")


def robot() -> RobotConfig:
    return load(RobotConfig, find(default_config_dir(), "robots", "xarm7_sim"))


@functools.cache
def setter() -> TableSetter:
    return TableSetter(robot(), load(HandConfig, find(default_config_dir(), "hands", "allegro_right")))


def render(job: tuple[int, Path]) -> None:
    """Table k into the folder, unless it is there."""
    k, folder = job
    path = folder / f"{k:04d}.pkl"
    if not path.exists():
        rng = np.random.default_rng([FIRST_SEED, k])
        table = setter().table("test", int(rng.integers(1, 6)), int(rng.integers(0, 4)), FIRST_SEED + k)
        path.write_bytes(pickle.dumps(table))


def measure_tables(count: int, out: Path) -> dict[str, Any]:
    """All targets on `count` tables."""
    folder = out / "tables"
    folder.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        for done, _ in enumerate(pool.imap_unordered(render, [(k, folder) for k in range(count)]), 1):
            if done % 50 == 0:
                print(f"{done} of {count} tables rendered", flush=True)
    cv2.setNumThreads(1)
    segmenter, matcher = TabletopSegmenter(TabletopConfig()), NounMatcher(default_config_dir() / "perception")
    observer, records, times = Observer(robot(), segmenter), [], []
    for k in range(count):
        table: Table = pickle.loads((folder / f"{k:04d}.pkl").read_bytes())
        frame = Frame(table.rgb, metres(table.depth), robot().camera.intrinsics())
        times.append(_latency(observer, frame, segmenter))
        scene, rng = observer.scene(frame), np.random.default_rng(k)
        for noun in table.objects:
            if table.masks[noun].sum() >= TARGET_PIXELS:
                records.append({"table": k, "noun": noun, "things": len(table.masks)}
                               | _target(scene, table, noun, segmenter, matcher, rng))
    return {"targets": records, "latency": times}


def _latency(observer: Observer, frame: Frame, segmenter: TabletopSegmenter) -> float:
    """CPU s from the images to the refined mask of the largest thing."""
    started = CPU()
    scene = observer.scene(frame)
    things = segmenter.things(scene)
    if things:
        segmenter.refined(scene, things[0])
    return CPU() - started


def _target(scene: TableScene, table: Table, noun: str, segmenter: TabletopSegmenter, matcher: NounMatcher,
            rng: np.random.Generator) -> dict[str, Any]:
    """One target by click and by text, and a contact point on it."""
    true = table.masks[noun]
    rows, columns = np.nonzero(cv2.erode(true.astype(np.uint8), np.ones((3, 3), np.uint8)))
    pick = int(rng.integers(len(rows)))
    record: dict[str, Any] = {"iou": 0.0, "by_click": False, "by_text": False, "text": ""}
    try:
        mask = find_object(scene, Prompt(point=(float(columns[pick]), float(rows[pick]))), segmenter, None).mask
        record["iou"] = float((mask & true).sum() / (mask | true).sum())
        record["by_click"] = bool((mask & true).sum() > mask.sum() / 2)
        record["contact_error"] = _contact_error(scene, table, mask, rng)
    except DeftError as error:
        record["click"] = error.message
    try:
        started = CPU()
        named = find_object(scene, Prompt(noun=noun), segmenter, matcher).mask
        record["text_seconds"] = CPU() - started
        record["by_text"] = bool((named & true).sum() > named.sum() / 2)
    except DeftError as error:
        record["text"] = error.message
    return record


def _contact_error(scene: TableScene, table: Table, mask: np.ndarray, rng: np.random.Generator) -> float:
    """m between the contact point at a random pixel of the mask and the surface that is truly there."""
    rows, columns = np.nonzero(mask)
    pick = int(rng.integers(len(rows)))
    uv = np.array([columns[pick], rows[pick]], float)
    view = scene.view
    point = contact_point(uv, mask, scene.depth, view.intrinsics, view.camera)
    truth = view.camera.apply(view.intrinsics.deproject(uv, np.asarray(float(table.true_depth[rows[pick], columns[pick]]))))
    return float(np.linalg.norm(point - truth))


def measure_cloud(peers: Path) -> dict[str, float]:
    """Median wall ms of 16UC1 -> points, ours and Open3D's in turns of one run."""
    rng = np.random.default_rng(0)
    depth = rng.uniform(400, 1500, (HD.height, HD.width)).astype(np.uint16)
    depth[rng.random(depth.shape) < 0.1] = 0
    view = CameraView(HD, Pose.from_xyz_rpy((0.1, 0.2, 0.3), (-2.0, 0.1, 0.2)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "depth.npy"
        np.save(path, depth)
        ours, theirs = [], []
        for _ in range(3):
            ours.append(median_ms(lambda: view.cloud(metres(depth)), REPEATS))
            answer = subprocess.run([str(peers), str(PEERS), str(path), *map(str, (HD.fx, HD.fy, HD.cx, HD.cy))],
                                    capture_output=True, text=True, check=True)
            theirs.append(json.loads(answer.stdout.splitlines()[-1]))
    return {"ours": float(np.median(ours)), **{key: float(np.median([t[key] for t in theirs])) for key in theirs[0]}}


def measure_sam(out: Path, rounds: int = 5) -> dict[str, float]:
    """Median wall s of a point prompt through the backend, and of the bare model's calls inside the same prompts.

    Two separate series differ by more than is to be measured on a busy machine; one series within the other does not.
    """
    torch = import_torch()
    from segment_anything import sam_model_registry

    from deft_perception.sam import SamConfig, SamSegmenter

    torch.manual_seed(0)
    backend = SamSegmenter(sam_model_registry["vit_b"]().eval(), SamConfig())
    render((0, out / "tables"))
    table: Table = pickle.loads((out / "tables" / "0000.pkl").read_bytes())
    frame = Frame(table.rgb, metres(table.depth), robot().camera.intrinsics())
    observer, prompt, inside = Observer(robot(), backend), Prompt(point=(320.0, 240.0)), [0.0]

    def timed(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                inside[0] += time.perf_counter() - started
        return wrapper

    bare = backend._predictor
    bare.set_image, bare.predict = timed(bare.set_image), timed(bare.predict)
    backend.warm_up(480, 640)
    seconds: dict[str, list[float]] = {"backend": [], "bare": []}
    for _ in range(rounds):
        inside[0], started = 0.0, time.perf_counter()
        try:
            backend.prompted(observer.scene(frame), prompt)
        except DeftError:
            pass  # random weights may offer nothing that stands on the table; the work is the same
        seconds["backend"].append(time.perf_counter() - started)
        seconds["bare"].append(inside[0])
    return {name: float(np.median(values)) for name, values in seconds.items()}


def report(results: dict[str, Any]) -> str:
    """The figures as text."""
    lines = []
    if "tables" in results:
        targets, latency = results["tables"]["targets"], np.array(results["tables"]["latency"]) * 1e3
        iou = np.sort([t["iou"] for t in targets])
        contact = np.array([t["contact_error"] for t in targets if "contact_error" in t]) * 1e3
        several = [t for t in targets if t["things"] > 1]
        wrong = [t for t in targets if not t["by_text"]]
        named = np.array([t["text_seconds"] for t in targets if "text_seconds" in t]) * 1e3
        lines += [f"{len(targets)} targets on {len(latency)} tables ({len(several)} among several things)",
                  f"mask IoU: mean {iou.mean():.3f}, mean of the worst tenth {iou[:max(len(iou) // 10, 1)].mean():.3f}, "
                  f"10th percentile {np.quantile(iou, 0.1):.3f}",
                  f"target by text: {np.mean([t['by_text'] for t in targets]):.1%} of all, "
                  f"{np.mean([t['by_text'] for t in several]):.1%} among several; {sum(bool(t['text']) for t in wrong)} of the "
                  f"{len(wrong)} others were refused, not mistaken",
                  f"target by click: {np.mean([t['by_click'] for t in targets]):.1%}",
                  f"contact point: median {np.median(contact):.1f} mm, 95th percentile {np.quantile(contact, 0.95):.1f} mm",
                  f"CPU time of a 640x480 frame: median {np.median(latency):.1f} ms, 95th percentile "
                  f"{np.quantile(latency, 0.95):.1f} ms; by text (all things described, plane and heights known) median "
                  f"{np.median(named):.1f} ms"]
        for noun in KINDS:
            own = [t for t in targets if t["noun"] == noun]
            lines.append(f"  {noun}: {len(own)} targets, IoU {np.mean([t['iou'] for t in own]):.3f}, by text "
                         f"{np.mean([t['by_text'] for t in own]):.1%}")
    if "cloud" in results:
        cloud = results["cloud"]
        lines += [f"1280x720 depth to points: {cloud['ours']:.1f} ms; Open3D legacy {cloud['legacy']:.1f} ms "
                  f"(ratio {cloud['ours'] / cloud['legacy']:.2f}), tensor {cloud['tensor']:.1f} ms "
                  f"(ratio {cloud['ours'] / cloud['tensor']:.2f})"]
    if "sam" in results:
        sam = results["sam"]
        lines += [f"Segment Anything vit_b, CPU: backend {sam['backend']:.2f} s, bare {sam['bare']:.2f} s, overhead "
                  f"{(sam['backend'] - sam['bare']) * 1e3:.0f} ms ({sam['backend'] / sam['bare'] - 1:+.1%})"]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["tables", "cloud", "sam", "all"])
    parser.add_argument("--out", type=Path, default=Path("build/perception"))
    parser.add_argument("--tables", type=int, default=320)
    parser.add_argument("--peers", type=Path, default=Path(".peers/bin/python"),
                        help="python of an environment made from benchmarks/peers.txt")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "tables").mkdir(exist_ok=True)
    parts = ["tables", "cloud", "sam"] if options.part == "all" else [options.part]
    if "cloud" in parts and not options.peers.exists():
        raise SystemExit(f"{options.peers} does not exist; benchmarks/README.md tells how to make the peers' environment")
    measure = {"tables": lambda: measure_tables(options.tables, options.out), "cloud": lambda: measure_cloud(options.peers),
               "sam": lambda: measure_sam(options.out)}
    results: dict[str, Any] = {}
    for part in parts:
        results[part] = measure[part]()
        (options.out / f"{part}.json").write_text(json.dumps(results[part], indent=1))
    print(report(results))


if __name__ == "__main__":
    main()
