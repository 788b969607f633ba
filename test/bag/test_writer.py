"""A session's bag: any tool can open it, and a killed process loses nothing that was flushed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ament_index_python.packages import get_package_share_directory
from bag.records import EPISODE_TOPIC, JOINT_TOPIC, STATUS_TOPIC, Written, bag, record, status
from mcap.reader import make_reader
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import Reader

from deft_bag.definitions import EPISODE, definition
from deft_bag.reader import Bag
from deft_bag.salvage import is_whole
from deft_bag.writer import BagWriter


def test_other_tools_open_it(tmp_path):
    """rosbags reads the folder by its metadata, the MCAP library each file; both find what was written."""
    folder = bag(tmp_path / "bag", [0.2, 0.9], moved=True)
    with Reader(folder) as reader:
        topics = {c.topic: (c.msgtype, c.msgcount) for c in reader.connections}
        assert reader.message_count == sum(1 for _ in reader.messages())
        assert topics["/deft/episode"] == (EPISODE, 4) and topics["/joint_states"][1] == 120
        latched = next(c for c in reader.connections if c.topic == "/deft/episode")
        assert latched.ext.offered_qos_profiles[0].durability.name == "TRANSIENT_LOCAL"
    file = next(folder.glob("*.mcap"))
    with file.open("rb") as opened:
        summary = make_reader(opened).get_summary()
    assert summary.statistics.message_count == 2 + 4 + 120 + 6
    schema = next(s for s in summary.schemas.values() if s.name == EPISODE)
    assert schema.encoding == "ros2msg" and b"MSG: deft_msgs/GraspParameters" in schema.data
    information = yaml.safe_load((folder / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert information["storage_identifier"] == "mcap" and information["relative_file_paths"] == [file.name]


def test_types_have_the_hashes_that_ros_gives_them():
    """REP 2016: a player that compares them finds the type that is installed."""
    share = Path(get_package_share_directory("deft_msgs")) / "msg"
    for file in share.glob("*.json"):
        name = f"deft_msgs/msg/{file.stem}"
        wanted = {h["type_name"]: h["hash_string"] for h in json.loads(file.read_text())["type_hashes"]}
        assert definition(name)[1] == wanted[name]


def test_each_opening_begins_another_file(tmp_path):
    folder = bag(tmp_path / "bag", [0.5])
    again = Written(folder)
    again.episode(1, 0.7)
    again.writer.complete()
    again.episode(2, 0.8)  # writing goes on after the bag was made whole
    again.writer.complete()
    assert [f.name for f in sorted(folder.glob("*.mcap"))] == ["bag_0.mcap", "bag_1.mcap", "bag_2.mcap"]
    with Reader(folder) as reader:
        assert reader.message_count == 4 + 2 + 2


def test_nothing_is_written_for_nothing(tmp_path):
    writer = BagWriter(tmp_path / "bag")
    writer.complete()
    assert list((tmp_path / "bag").iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from bag.records import EPISODE_TOPIC, JOINT_TOPIC, Written, record
from sensor_msgs.msg import JointState
w = Written(Path(sys.argv[1]))
for k in range(5):
    w.add(JOINT_TOPIC, JointState(name=["a"], position=[float(k)]))
    w.add(EPISODE_TOPIC, record(k, 0.1 * k, seen=True), flush=True)
w.add(JOINT_TOPIC, JointState(name=["a"], position=[9.0]))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_loses_nothing_that_was_flushed(tmp_path):
    folder = tmp_path / "bag"
    environment = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent.parent}:{os.environ.get('PYTHONPATH', '')}"}
    dead = subprocess.run([sys.executable, "-c", KILLED, str(folder)], env=environment, check=False)
    assert dead.returncode == -signal.SIGKILL and not is_whole(folder / "bag_0.mcap")
    with Bag(folder) as opened:  # while nobody has mended it
        assert sum(1 for _ in opened.messages([EPISODE])) == 5 and "has no end" in opened.lost[0]
    writer = BagWriter(folder)
    assert "has no end" in writer.mended[0] and is_whole(folder / "bag_0.mcap") and not list(folder.glob("*.torn"))
    writer.write(EPISODE_TOPIC, serialize_message(record(5, 0.5)), 1)
    writer.complete()
    with Reader(folder) as reader:
        assert [c.msgcount for c in reader.connections if c.msgtype == EPISODE] == [6]
        assert [c.msgcount for c in reader.connections if c.topic == JOINT_TOPIC.name] == [5], "one behind the last flush"


def test_a_file_torn_inside_a_record_is_mended_and_kept(tmp_path):
    folder = bag(tmp_path / "bag", [0.2, 0.4, 0.6], complete=False)
    file = folder / "bag_0.mcap"
    data = file.read_bytes()
    file.write_bytes(data[:-30])
    writer = BagWriter(folder)
    assert "breaks off" in writer.mended[0]
    assert (folder / "bag_0.torn").read_bytes() == data[:-30]
    assert is_whole(file)


def test_an_unknown_type_is_refused(tmp_path):
    writer = BagWriter(tmp_path / "bag")
    with pytest.raises(KeyError):
        writer.write(type(STATUS_TOPIC)("/x", "other_msgs/msg/Odd"), serialize_message(status({})), 1)
