"""Retargeting beside dex-retargeting 0.5.0, in turns on the same poses and robots; and what must never happen.

    . .venv/deft_env.sh && python benchmarks/retarget.py all --out build/retarget    (about 16 minutes on 2 cores)

Parts: `peer` (warm-started sequences and single poses), `batch` (poses per second), `limits` (100,000 random and
degenerate poses, and non-finite ones), `collision` (what the self-collision penalty does), `all`. Every part writes
OUT/<part>.json and prints its table. `peer` needs the peers' environment (benchmarks/README.md); the peer's objective is
evaluated by the peer for both.
"""

from __future__ import annotations

import argparse
import itertools
import json
import pickle
import subprocess
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from deft_core.config import default_config_dir, find, load
from deft_core.descriptions import HandConfig
from deft_core.errors import DeftError
from deft_retarget.kinematics import urdf_of
from deft_retarget.motions import natural_poses
from deft_retarget.retargeter import METHODS, Retargeter
from deft_retarget.skeleton import OPENPOSE_21, THUMB_FIRST, shipped_skeleton

HERE = Path(__file__).resolve().parent
PEER = (HERE.parent / ".peers/bin/python", HERE / "dex_retargeting_peer.py")
HANDS = ("allegro_right", "leap_right", "shadow_right")
ALL_HANDS = ("allegro_right", "allegro_left", "leap_right", "shadow_right", "dash_right")
SEED, SEQUENCES, FRAMES = 2026, 8, 100
ROUNDS = 3
RANDOM_POSES = 100_000
PEER_SLACK = 1e-3  # rad
PEER_SMOOTHNESS = 4e-3  # its default


def without_coupling(hand: HandConfig) -> HandConfig:
    """The peer treats all joints of its Shadow hand as independent; so does DEFT here."""
    rows = {name: hand.retarget["joints"][coupling.joint] for name, coupling in hand.coupled.items()}
    retarget = {**hand.retarget, "joints": {**hand.retarget["joints"], **rows}}
    return hand.model_copy(update={"coupled": {}, "retarget": retarget})


def as_wide_as_the_peers(hand: HandConfig) -> HandConfig:
    """The peer may exceed every limit by a milliradian, and so may DEFT here: otherwise it solves a harder problem."""
    return hand.model_copy(update={"lower": tuple(q - PEER_SLACK for q in hand.lower),
                                   "upper": tuple(q + PEER_SLACK for q in hand.upper)})


def peer_urdf(hand: HandConfig, folder: Path) -> Path:
    """The hand's joints without shapes, and a link `human_wrist` where DEFT's YAML puts the human wrist."""
    robot = ElementTree.fromstring(urdf_of(hand))
    for link in robot.findall("link"):
        for shape in [*link.findall("visual"), *link.findall("collision")]:
            link.remove(shape)
    for other in [*robot.findall("transmission"), *robot.findall("gazebo"), *robot.findall("material")]:
        robot.remove(other)
    ElementTree.SubElement(robot, "link", name="human_wrist")
    joint = ElementTree.SubElement(robot, "joint", name="human_wrist_joint", type="fixed")
    ElementTree.SubElement(joint, "parent", link=hand.base_link)
    ElementTree.SubElement(joint, "child", link="human_wrist")
    ElementTree.SubElement(joint, "origin", xyz=" ".join(map(str, hand.retarget["wrist"])), rpy="0 0 0")
    path = folder / f"{hand.name}.urdf"
    path.write_text(ElementTree.tostring(robot, encoding="unicode"))
    return path


def peer_settings(hand: HandConfig, retargeter: Retargeter, method: str, urdf: Path) -> dict[str, Any]:
    tips = [hand.retarget["fingertips"][finger] for finger in retargeter.fingers]
    settings: dict[str, Any] = {"type": method, "urdf_path": str(urdf), "target_joint_names": list(hand.joint_names),
                                "scaling_factor": retargeter.scale, "normal_delta": PEER_SMOOTHNESS, "low_pass_alpha": -1.0}
    if method == "vector":
        human = [4 * (1 + THUMB_FIRST.index(finger)) for finger in retargeter.fingers]
        return settings | {"target_origin_link_names": ["human_wrist"] * len(tips), "target_task_link_names": tips,
                           "target_link_human_indices": [[0] * len(tips), human]}
    return settings | {"wrist_link_name": "human_wrist", "finger_tip_link_names": tips}


class PeerProcess:
    def __init__(self) -> None:
        if not PEER[0].exists():
            raise SystemExit("the peer needs an environment of its own: see benchmarks/README.md")
        self._process = subprocess.Popen([str(p) for p in PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, *request: Any) -> Any:
        pickle.dump(request, self._process.stdin)
        self._process.stdin.flush()
        return pickle.load(self._process.stdout)


def ours(retargeter: Retargeter, poses: np.ndarray, single: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joints (T, n), seconds of the whole call (T,) and of the optimiser in it (T,): from MANO poses, every one by `retarget`.

    The whole call is more than the peer's, which begins at keypoints and ends with joints: it also poses the human hand and
    tells fingertip errors and saturated joints. Both begin where they begin for their users.
    """
    joints, whole, inner = [], [], []
    optimise = retargeter.optimiser.solve

    def timed(*arguments: Any, **keywords: Any) -> Any:
        started = time.perf_counter()
        found = optimise(*arguments, **keywords)
        inner.append(time.perf_counter() - started)
        return found

    retargeter.optimiser.solve = timed
    previous = None
    for pose in poses:
        started = time.perf_counter()
        found = retargeter.retarget(pose, previous)
        whole.append(time.perf_counter() - started)
        previous = None if single else found
        joints.append(found.joints)
    retargeter.optimiser.solve = optimise
    return np.array(joints), np.array(whole), np.array(inner)


def compare(out: Path) -> dict[str, Any]:
    peer, skeleton, rows = PeerProcess(), shipped_skeleton(), []
    sequences = natural_poses(skeleton, SEQUENCES, FRAMES, SEED)
    for name in HANDS:
        hand = without_coupling(hand_of(name))
        urdf = peer_urdf(hand, out)
        for method in METHODS[1:]:
            retargeter = Retargeter(as_wide_as_the_peers(hand), method, skeleton)
            names = peer.ask("build", peer_settings(hand, retargeter, method, urdf))
            order = [hand.joint_names.index(n) for n in names]
            for single in (False, True):
                rows.append({"hand": name, "method": method, "mode": "single" if single else "sequence"}
                            | measure(peer, retargeter, sequences, order, single))
                print(f"{name}, {method}, {rows[-1]['mode']}: measured", flush=True)
    print_row("hand", "method", "mode", "DEFT, ms", "its optimiser, ms", "peer, ms", "ratio", "objective, DEFT", "peer",
              "DEFT lower or equal")
    print("|" + " --- |" * 10)
    for row in rows:
        deft, peers = row["deft"], row["peer"]
        ratios = [b / a for a, b in zip(deft["ms"], peers["ms"], strict=True)]
        print_row(row["hand"], row["method"], row["mode"], two(deft["ms"], 2), two(row["optimiser_ms"], 2), two(peers["ms"], 2),
                  two(ratios, 0), two(deft["objective"], 4), two(peers["objective"], 4), f"{100 * row['lower_or_equal']:.0f} %")
    return {"rows": rows, "poses": SEQUENCES * FRAMES, "rounds": ROUNDS, "seed": SEED}


def measure(peer: PeerProcess, retargeter: Retargeter, sequences: np.ndarray, order: list[int],
            single: bool) -> dict[str, Any]:
    """Both on every sequence in turn, ROUNDS times; (median, p95) of time and of the objective, as the peer computes it."""
    seconds: dict[str, list] = {"deft": [], "peer": []}
    values: dict[str, list] = {"deft": [], "peer": []}
    optimiser = []
    for k in range(ROUNDS):
        for poses in sequences:
            keypoints = (retargeter.skeleton.keypoints(poses) @ retargeter.mano_to_base)[:, OPENPOSE_21]
            joints = {}
            for side in (("deft", "peer"), ("peer", "deft"))[k % 2]:
                if side == "deft":
                    q, spent, inner = ours(retargeter, poses, single)
                    joints[side] = q[:, order]
                    optimiser.append(inner)
                else:
                    joints[side], spent = peer.ask("retarget", keypoints, single)
                seconds[side].append(spent)
            if k == 0:
                for side, q in joints.items():
                    values[side].append(peer.ask("objective", keypoints, q, single))

    def spread(parts: list) -> list[float]:
        return np.percentile(np.concatenate(parts), [50, 95]).tolist()

    lower = np.concatenate(values["deft"]) <= np.concatenate(values["peer"]) + 1e-6
    both = {side: {"ms": [1e3 * s for s in spread(seconds[side])], "objective": spread(values[side])} for side in seconds}
    return both | {"optimiser_ms": [1e3 * s for s in spread(optimiser)], "lower_or_equal": float(lower.mean())}


def batch(out: Path) -> dict[str, Any]:
    skeleton, rows = shipped_skeleton(), []
    poses = natural_poses(skeleton, 200, FRAMES, SEED + 1).reshape(-1, 45)
    for name in HANDS:
        for method in METHODS:
            retargeter = Retargeter(hand_of(name), method, skeleton)
            retargeter.warm_up()
            for workers in ((1,) if method == "axis" else (1, 2)):
                started = time.perf_counter()  # with two workers, also their start
                found = retargeter.batch(poses, workers=workers)
                spent = time.perf_counter() - started
                rows.append({"hand": name, "method": method, "workers": workers, "poses_per_second": len(poses) / spent,
                             "not_converged": int((~found.converged).sum())})
                print_row(name, method, workers, f"{len(poses) / spent:,.0f}", f"{rows[-1]['not_converged']} of {len(poses)}")
    return {"rows": rows}


def degenerate_poses(count: int) -> np.ndarray:
    """Random and nasty poses (count, 45), rad: small, huge, half turns about axes, single joints, all alike."""
    rng = np.random.default_rng(SEED + 2)
    kinds = [rng.normal(0.0, 0.5, (count, 45)), rng.uniform(-np.pi, np.pi, (count, 45)), rng.normal(0.0, 30.0, (count, 45)),
             rng.choice([-np.pi, -np.pi / 2, 0.0, np.pi / 2, np.pi, 2 * np.pi], (count, 45)),
             np.repeat(rng.normal(0, 2, (count, 1)), 45, 1),
             rng.normal(0.0, 2.0, (count, 45)) * (rng.random((count, 45)) < 0.1), rng.normal(0.0, 1e-9, (count, 45)),
             rng.normal(0.0, 1e4, (count, 45))]
    kind = rng.integers(len(kinds), size=count)
    return np.choose(kind[:, None], kinds)


def limits(out: Path) -> dict[str, Any]:
    poses, rows = degenerate_poses(RANDOM_POSES), []
    for name in ALL_HANDS:
        hand = hand_of(name)
        for method in METHODS:
            retargeter = Retargeter(hand, method)
            found = retargeter.batch(poses, workers=2)
            q = found.joints[found.converged]
            beyond = int(((q < np.array(hand.lower)) | (q > np.array(hand.upper)) | ~np.isfinite(q)).any(axis=1).sum())
            rows.append({"hand": name, "method": method, "violations": beyond, "not_converged": int((~found.converged).sum()),
                         "accepted_non_finite": accepted_non_finite(retargeter)})
            print_row(name, method, beyond, rows[-1]["not_converged"], f"{rows[-1]['accepted_non_finite']} of 180")
    return {"rows": rows, "poses": RANDOM_POSES}


def accepted_non_finite(retargeter: Retargeter) -> int:
    """How many of 45 * 4 poses with one non-finite or absurd number are not refused."""
    accepted = 0
    for i in range(45):
        for bad in (np.nan, np.inf, -np.inf, 1e155):
            pose = np.zeros(45)
            pose[i] = bad
            try:
                retargeter.retarget(pose)
                accepted += 1
            except DeftError:
                pass
    return accepted


def collision(out: Path) -> dict[str, Any]:
    """Natural poses in which spheres of different fingers overlap by more than a millimetre, without and with the penalty."""
    skeleton, rows = shipped_skeleton(), []
    poses = natural_poses(skeleton, SEQUENCES, FRAMES, SEED).reshape(-1, 45)
    for name in HANDS:
        hand = hand_of(name)
        for method in METHODS[1:]:
            for weight in (0.0, 1e5):
                keys = {"key_vectors": {"self_collision": {"weight": weight}}}
                retargeter = Retargeter(hand.model_copy(update={"retarget": hand.retarget | keys}), method, skeleton)
                found = retargeter.batch(poses)
                deepest = np.array([overlap(retargeter, q) for q in found.joints[found.converged]])
                rows.append({"hand": name, "method": method, "weight": weight, "overlapping": float((deepest > 1e-3).mean()),
                             "p95_mm": float(1e3 * np.percentile(deepest, 95)),
                             "error_mm": float(1e3 * np.nanmean(found.fingertip_errors))})
                print_row(name, method, f"{weight:g}", f"{100 * rows[-1]['overlapping']:.1f} %", f"{rows[-1]['p95_mm']:.1f}",
                          f"{rows[-1]['error_mm']:.1f}")
    return {"rows": rows}


def overlap(retargeter: Retargeter, joints: np.ndarray) -> float:
    """How deep two fingers are in each other, m: spheres at the last two joints and the tip of each."""
    chains = retargeter.kinematics.chain_points(joints, range(1, 1 + len(retargeter.fingers)))
    gap = 2.0 * retargeter.config.key_vectors.self_collision.radius
    return max(gap - np.linalg.norm(a[-3:, None] - b[None, -3:], axis=2).min() for a, b in itertools.combinations(chains, 2))


def print_row(*cells: object) -> None:
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def two(values: list[float], digits: int) -> str:
    """Median (95th percentile)."""
    return f"{values[0]:.{digits}f} ({values[1]:.{digits}f})"


def hand_of(name: str) -> HandConfig:
    return load(HandConfig, find(default_config_dir(), "hands", name))


PARTS = {"peer": compare, "batch": batch, "limits": limits, "collision": collision}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=[*PARTS, "all"])
    parser.add_argument("--out", type=Path, default=Path("build/retarget"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in PARTS if options.part == "all" else [options.part]:
        print(f"\n{name}", flush=True)
        (options.out / f"{name}.json").write_text(json.dumps(PARTS[name](options.out), indent=1))


if __name__ == "__main__":
    main()
