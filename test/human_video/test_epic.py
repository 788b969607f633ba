"""EPIC-KITCHENS-100's tables, frames and detections, and files that are not as they should be."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from human_video.files import EPIC_FRAMES, EPIC_ROW, HEIGHT, WIDTH, epic_message, write_epic

from deft_core.errors import ConfigError
from deft_human_video.clip import PORTABLE
from deft_human_video.errors import ClipError
from deft_human_video.labels.contact_frame import detected_contact
from deft_human_video.readers.epic import EpicReader

PICKLE = "hand-objects/P01/P01_01.pkl"
TABLE = "EPIC_100_train.csv"


def row(**change: str) -> list[str]:
    names = {"id": 0, "person": 1, "video": 2, "begin": 4, "end": 5, "start": 6, "stop": 7, "text": 8}
    out = list(EPIC_ROW)
    for name, value in change.items():
        out[names[name]] = value
    return out


def messages(number: int, message: bytes) -> list[bytes]:
    return [message if i == number else epic_message(i) for i in range(1, EPIC_FRAMES + 1)]


def test_everything_is_read(tmp_path: Path) -> None:
    reader = EpicReader(write_epic(tmp_path))
    assert reader.keys() == (["P01_01_0"], [])
    clip = reader.open("P01_01_0")
    # 20 frames in 2 s; the clip begins a second before frame 21
    assert (clip.text, clip.fps, len(clip.frames)) == ("take cup", 10.0, 41 - 11 + 1)
    assert clip.frames.rgb(0).shape == (HEIGHT, WIDTH, 3) and clip.intrinsics is None
    hand, = clip.annotation.detections[20].hands  # frame 31
    assert (hand.side, hand.state) == ("right", PORTABLE)
    assert hand.box == pytest.approx((0.2 * WIDTH, 0.3 * HEIGHT, 0.45 * WIDTH, 0.6 * HEIGHT))
    assert hand.object_at == pytest.approx((0.525 * WIDTH, 0.5 * HEIGHT))
    frame, _, thing = detected_contact(clip.annotation.detections, len(clip.frames))
    assert frame == 30 - 11 and thing.box == pytest.approx((0.4 * WIDTH, 0.4 * HEIGHT, 0.6 * WIDTH, 0.6 * HEIGHT))


def test_the_table_of_videos_tells_the_rate(tmp_path: Path) -> None:
    (write_epic(tmp_path) / "EPIC_100_video_info.csv").write_text("video_id,duration,fps,resolution\nP01_01,9,20.0,1920x1080\n")
    clip = EpicReader(tmp_path).open("P01_01_0")
    assert clip.fps == 20.0 and len(clip.frames) == 41 - 1 + 1


def test_no_detections_is_no_damage(tmp_path: Path) -> None:
    (write_epic(tmp_path) / PICKLE).unlink()
    assert not EpicReader(tmp_path).open("P01_01_0").annotation.detections


def test_left_hand_only(tmp_path: Path) -> None:
    write_epic(tmp_path, messages=[epic_message(i, side=0) for i in range(1, EPIC_FRAMES + 1)])
    _, hand, _ = detected_contact(EpicReader(tmp_path).open("P01_01_0").annotation.detections, 31)
    assert hand.side == "left"


ROWS = {"cut off": row()[:7], "no id": row(id=""), "path as video": row(video="../../etc"), "twice": row()}


@pytest.mark.parametrize("kind", ROWS)
def test_malformed_rows_are_listed(tmp_path: Path, kind: str) -> None:
    keys, problems = EpicReader(write_epic(tmp_path, [row(), ROWS[kind]])).keys()
    assert keys == ["P01_01_0"] and len(problems) == 1 and "line 3" in problems[0].problem and problems[0].file.endswith(TABLE)


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"EPIC_100_train\.csv"):
        EpicReader(tmp_path)
    (tmp_path / TABLE).write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match="lacks the column narration_id"):
        EpicReader(tmp_path)


FRAME = "P01/rgb_frames/P01_01/frame_0000000011.jpg"
BAD_ROWS = {"start is no number": row(start="x"), "stop before start": row(stop="3"), "start zero": row(start="0"),
            "no narration": row(text=" "), "time unreadable": row(end="later")}
BAD_FILES = {
    "frame missing": (FRAME, None), "frame truncated": (FRAME, b"\xff\xd8\xff\xe0"),
    "detections truncated": (PICKLE, pickle.dumps([epic_message(1)] * 9)[:40]),
    "detections empty": (PICKLE, pickle.dumps([])), "detections are text": (PICKLE, b"version https://git-lfs"),
    "detections are numbers": (PICKLE, pickle.dumps([1, 2, 3])), "detections end early": (PICKLE, pickle.dumps(messages(1,
                                                                                                                        epic_message(1))[:35])),
    "message damaged": (PICKLE, pickle.dumps(messages(20, epic_message(20)[:-3]))),
    "message of another frame": (PICKLE, pickle.dumps(messages(20, epic_message(21)))),
    "box not finite": (PICKLE, pickle.dumps(messages(20, epic_message(20, left=float("nan"))))),
    "box in pixels": (PICKLE, pickle.dumps(messages(20, epic_message(20, right=300.0)))),
    "state unknown": (PICKLE, pickle.dumps(messages(20, epic_message(20, state=9)))),
    "side unknown": (PICKLE, pickle.dumps(messages(20, epic_message(20, side=5)))),
}


@pytest.mark.parametrize("kind", [*BAD_ROWS, *BAD_FILES])
def test_damage_names_the_file(tmp_path: Path, kind: str) -> None:
    write_epic(tmp_path, [BAD_ROWS[kind]] if kind in BAD_ROWS else None)
    name, content = BAD_FILES.get(kind, (TABLE, b""))
    if kind in BAD_FILES:
        (tmp_path / name).unlink() if content is None else (tmp_path / name).write_bytes(content)
    with pytest.raises(ClipError) as error:
        EpicReader(tmp_path).open("P01_01_0").frames.rgb(0)
    assert error.value.file.endswith(name) and error.value.problem
