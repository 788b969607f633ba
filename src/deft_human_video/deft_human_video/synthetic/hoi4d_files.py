"""Writes synthetic clips as HOI4D lays out its data, and the truth beside it, outside the data set.

    OUT/hoi4d/        HOI4D_release, HOI4D_depth_video, HOI4D_annotations, Hand_pose, camera_params, definitions
    OUT/truth/        <clip number>.json, what no reader of the data set sees

Two things are not HOI4D's: its list of categories and tasks lacks ours, so `definitions/clips.csv` gives each category and task
number its text; and masks are written for two frames of a clip only.
"""

from __future__ import annotations

import csv
import json
import pickle
from pathlib import Path

import cv2
import numpy as np

from deft_human_video.synthetic.generator import CAMERAS, FPS, Filmed, camera_intrinsics
from deft_human_video.synthetic.grips import PURPOSES
from deft_human_video.video import write_video

CATEGORY = 101                         # of the first purpose; HOI4D's own end at 20
PALETTE = {1: (128, 0, 0), 2: (0, 128, 0)}  # RGB: the object, the hand


def camera_name(camera: int) -> str:
    return f"ZY2026{camera:07d}"


def sequence_of(clip: Filmed) -> str:
    """HOI4D's name of the clip: camera, person, category, instance, room, layout, task."""
    purpose = list(PURPOSES).index(clip.truth.purpose)
    task = PURPOSES[clip.truth.purpose].phrasings.index(clip.text) + 1
    return f"{camera_name(clip.camera)}/H1/C{CATEGORY + purpose}/N{clip.number:06d}/S1/s1/T{task}"


def write_shared(out: Path) -> None:
    """What all clips have in common: cameras and definitions."""
    for camera in range(CAMERAS):
        folder = out / "hoi4d/camera_params" / camera_name(camera)
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "intrin.npy", camera_intrinsics(camera).matrix())
    definitions = out / "hoi4d/definitions/clips.csv"
    definitions.parent.mkdir(parents=True, exist_ok=True)
    with definitions.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["category", "task", "object", "text"])
        for k, purpose in enumerate(PURPOSES.values()):
            rows.writerows([f"C{CATEGORY + k}", f"T{t + 1}", purpose.thing, text] for t, text in enumerate(purpose.phrasings))


def write_clip(clip: Filmed, out: Path) -> None:
    """All files of one clip, the truth last: a clip without it is not finished."""
    sequence, root = sequence_of(clip), out / "hoi4d"
    write_video(root / "HOI4D_release" / sequence / "align_rgb/image.mp4", clip.rgb, FPS)
    write_video(root / "HOI4D_depth_video" / sequence / "align_depth/depth_video.avi", clip.depth, FPS)
    _write_annotations(clip, root / "HOI4D_annotations" / sequence)
    poses = root / f"Hand_pose/handpose_{clip.truth.side}_hand" / sequence
    poses.mkdir(parents=True, exist_ok=True)
    for i, wrist in enumerate(clip.truth.wrists):
        if wrist is not None:
            pixels = clip.truth.keypoints[i]
            (poses / f"{i}.pickle").write_bytes(pickle.dumps(
                {"poseCoeff": np.concatenate([wrist[0], clip.truth.mano_poses[i]]).astype(np.float32),
                 "beta": np.zeros(10, np.float32), "trans": np.asarray(wrist[1], np.float32),
                 "kps2D": np.asarray(pixels, np.float32)}))
    truth = truth_path(clip.number, out)
    truth.parent.mkdir(parents=True, exist_ok=True)
    part = truth.with_suffix(".part")
    part.write_text(json.dumps(_truth(clip, sequence)))
    part.replace(truth)


def finished(number: int, out: Path) -> bool:
    """The clip of this number is there, whole."""
    return truth_path(number, out).is_file()


def truth_path(number: int, out: Path) -> Path:
    """Where the truth of a clip is."""
    return out / "truth" / f"{number:06d}.json"


def _write_annotations(clip: Filmed, folder: Path) -> None:
    (folder / "action").mkdir(parents=True, exist_ok=True)
    events = [{"id": i, "event": name, "startTime": round(a, 3), "endTime": round(b, 3)}
              for i, (name, a, b) in enumerate(clip.events)]
    (folder / "action/color.json").write_text(json.dumps({"info": {"duration": len(clip.rgb) / FPS}, "events": events}))
    masks = folder / "2Dseg/shift_mask"
    masks.mkdir(parents=True, exist_ok=True)
    for i, mask in clip.masks.items():
        image = np.zeros((*mask.shape, 3), np.uint8)
        for value, rgb in PALETTE.items():
            image[mask == value] = rgb
        cv2.imwrite(str(masks / f"{i:05d}.png"), image[:, :, ::-1])


def _truth(clip: Filmed, sequence: str) -> dict[str, object]:
    truth = clip.truth
    return {"sequence": sequence, "text": clip.text, "purpose": truth.purpose, "side": truth.side,
            "contact_frame": truth.contact_frame, "contacts": truth.contacts.round(2).tolist(), "box": truth.box.tolist(),
            "wrists": [None if w is None else {"rotvec": w[0].round(5).tolist(), "position": w[1].round(5).tolist()}
                       for w in truth.wrists],
            "mano_pose": truth.mano_poses[truth.contact_frame].round(5).tolist(), "tips": truth.tips.round(5).tolist(),
            "keypoints": [None if k is None else k.round(1).tolist() for k in truth.keypoints],
            "length": truth.length, "world_in_camera": truth.world_in_camera.round(6).tolist()}
