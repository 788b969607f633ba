"""Data sets for other tools: whole, with the session's numbers, and opened by their own readers."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from bag.records import EPISODE_TOPIC, NAMES, Written, bag, record
from sensor_msgs.msg import JointState
from std_msgs.msg import Header

from deft_bag.definitions import JOINT_STATE
from deft_bag.episodes import read_session
from deft_bag.export.lerobot import CAMERA, write_lerobot
from deft_bag.export.table import write_table
from deft_bag.writer import Topic
from deft_core.errors import DeftError
from deft_core.ros import conversions as conv

REWARDS = [0.2, 0.9, 0.6]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    return bag(tmp_path_factory.mktemp("recorded") / "bag", REWARDS, moved=True)


def test_a_table_has_a_row_an_episode_with_the_sessions_numbers(recorded, tmp_path):
    assert write_table(recorded, tmp_path / "t.parquet") == 3
    table = pq.read_table(tmp_path / "t.parquet")
    session = read_session(recorded)
    assert b"metres" in table.schema.metadata[b"deft"] or b"in m" in table.schema.metadata[b"deft"]
    rows = table.to_pylist()
    for row, e in zip(rows, session.episodes, strict=True):
        assert (row["episode"], row["reward"], row["status"]) == (e.episode, e.reward, "scored")
        assert [row[f"eps_{name}"] for name in NAMES] == e.eps.tolist()
        assert [row[f"xi_contact_{axis}"] for axis in "xyz"] == e.xi.contact.tolist()
        assert row["seconds_executing"] == 2.5


def test_what_was_not_scored_has_no_reward_in_the_table(tmp_path):
    written = Written(tmp_path / "bag")
    written.add(EPISODE_TOPIC, record(0, 0.5))
    written.add(EPISODE_TOPIC, record(1, status="infeasible"))
    written.writer.complete()
    write_table(tmp_path / "bag", tmp_path / "t.parquet")
    assert pq.read_table(tmp_path / "t.parquet").column("reward").to_pylist() == [0.5, None]


READ = """
import json, sys
sys.modules["triton"] = None
from lerobot.datasets.lerobot_dataset import LeRobotDataset, LeRobotDatasetMetadata
data = LeRobotDataset("local/deft", root=sys.argv[1])
rows = [{k: v.tolist() for k, v in data.hf_dataset[i].items()} for i in (0, len(data) - 1)]
print(json.dumps({"length": len(data), "episodes": data.num_episodes, "fps": data.fps, "version": str(data.meta._version),
                  "tasks": list(data.meta.tasks.index), "cameras": data.meta.camera_keys, "rows": rows,
                  "spans": [[e["dataset_from_index"], e["dataset_to_index"]] for e in data.meta.episodes],
                  "mean": data.meta.stats["observation.state"]["mean"].tolist()}))
"""


def test_the_official_reader_opens_the_dataset(recorded, tmp_path):
    """LeRobot's own reader checks version, files and columns. Its decoder of videos needs FFmpeg, ours does not."""
    written = write_lerobot(recorded, tmp_path / "set", fps=10)
    assert (written.episodes, written.frames) == (3, 90)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    done = subprocess.run([sys.executable, "-c", READ, str(tmp_path / "set")], env=environment, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    assert (seen["length"], seen["episodes"], seen["fps"], seen["cameras"]) == (90, 3, 10, [CAMERA])
    assert seen["version"] in ("3.0", "v3.0") and seen["tasks"] == ["pick up the cup"]
    assert seen["spans"] == [[0, 30], [30, 60], [60, 90]]
    first, last = seen["rows"]
    assert first["next.reward"] == 0.0 and first["frame_index"] == 0 and not first["next.done"]
    assert last["next.reward"] == pytest.approx(0.6) and last["next.done"] and last["episode_index"] == 2
    assert np.allclose(last["residual"], read_session(recorded).episodes[2].eps, atol=1e-6)
    assert np.allclose(first["observation.state"], [0.0, 0.0], atol=0.06)
    assert np.allclose(first["action"], [0.1, 0.0], atol=0.06)
    assert np.isclose(seen["mean"][1], 1.0)


def test_the_video_has_a_frame_for_every_row(recorded, tmp_path):
    """The newest picture at each time; brightness tells which it is."""
    write_lerobot(recorded, tmp_path / "set", fps=10)
    with av.open(str(tmp_path / "set" / "videos" / CAMERA / "chunk-000" / "file-000.mp4")) as film:
        frames = [f.to_ndarray(format="rgb24").mean() for f in film.decode(video=0)]
    assert len(frames) == 90
    wanted = [40 * (i // 30) + 20 * int((i % 30) / 10 + 1e-9) for i in range(90)]
    off = np.abs(np.array(frames) - wanted)
    assert off.max() < 6.0, (off.argmax(), frames[off.argmax()], wanted[off.argmax()])


def test_arm_and_hand_on_topics_of_their_own(tmp_path):
    """As drivers publish them beside the merged joint states: the fullest topic is taken."""
    written = Written(tmp_path / "bag")
    for t in np.arange(0.0, 3.0, 0.05):
        stamp = conv.stamp_msg(round((1.0 + t) * 1e9))
        for name, joints in (("/arm", ["a"]), ("/joint_states", ["a", "b", "c"]), ("/hand", ["b", "c"])):
            written.add(Topic(name, JOINT_STATE), JointState(header=Header(stamp=stamp), name=joints,
                                                             position=[float(t)] * len(joints)))
    written.episode(0, 0.7)
    written.writer.complete()
    assert write_lerobot(tmp_path / "bag", tmp_path / "set").frames == 30
    names = json.loads((tmp_path / "set/meta/info.json").read_text())["features"]["observation.state"]["names"]
    assert names == ["a.pos", "b.pos", "c.pos"]


def test_a_dataset_is_whole_or_not_there(tmp_path):
    without = bag(tmp_path / "bag", [0.5], moved=False)
    with pytest.raises(DeftError, match="joint states"):
        write_lerobot(without, tmp_path / "set")
    assert not (tmp_path / "set").exists() and [p.name for p in tmp_path.iterdir()] == ["bag"]
    (tmp_path / "there").mkdir()
    with pytest.raises(DeftError, match="is there already"):
        write_lerobot(without, tmp_path / "there")
