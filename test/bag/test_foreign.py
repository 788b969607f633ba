"""Bags as `ros2 bag record` makes them: MCAP and sqlite3, several files, compressed, interrupted, a little out of order."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import zstandard
from bag.records import JOINT_TOPIC, record, status
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from sensor_msgs.msg import JointState

from deft_bag.definitions import EPISODE, JOINT_STATE, STATUS, installed
from deft_bag.episodes import read_session
from deft_core.errors import DeftError

REWARDS = [0.3, 0.8, 0.5, 0.1]


def recorded(folder: Path, plugin: StoragePlugin, compression: CompressionMode = CompressionMode.NONE, shuffled: bool = False,
             rewards: list[float] = REWARDS, first: int = 0, topic: str = "/robot/deft/episode") -> Path:
    """A bag written by rosbags, which has ROS's own storage formats."""
    writer = Writer(folder, version=9, storage_plugin=plugin)
    writer.set_compression(compression, CompressionFormat.ZSTD)
    with writer:
        episodes = writer.add_connection(topic, EPISODE, typestore=installed())
        statuses = writer.add_connection("/robot/deft/session_status", STATUS, typestore=installed())
        joints = writer.add_connection(JOINT_TOPIC.name, JOINT_STATE, typestore=installed())
        messages = []
        for k, reward in enumerate(rewards, first):
            messages += [(joints, JointState(name=["a"], position=[0.0])), (episodes, record(k, status="executed", seen=True)),
                         (episodes, record(k, 0.0)), (episodes, record(k, reward, revision=1))]
        messages.append((statuses, status(dict(enumerate(rewards, first)))))
        if shuffled:  # neighbours change places, as topics of several publishers do
            messages[1::2], messages[2::2] = messages[2::2] + messages[-1:] * (len(messages) % 2 == 0), messages[1:-1:2] \
                if len(messages) % 2 == 0 else messages[1::2]
        for time, (connection, message) in enumerate(messages, 1):
            writer.write(connection, time * 10**6, serialize_message(message))
    return folder


FORMS = [(plugin, mode) for plugin in (StoragePlugin.MCAP, StoragePlugin.SQLITE3)
         for mode in (CompressionMode.NONE, CompressionMode.FILE, CompressionMode.MESSAGE)]


@pytest.mark.parametrize(("plugin", "mode"), FORMS, ids=lambda v: v.name.lower())
def test_every_form_gives_the_same_session(plugin, mode, tmp_path):
    session = read_session(recorded(tmp_path / "bag", plugin, mode))
    assert [e.reward for e in session.episodes] == REWARDS, "the amended ones"
    assert all(e.crop is not None for e in session.episodes) and session.warnings == ()
    assert [e.episode for e in session.elites(2)] == [1, 2]


@pytest.mark.parametrize("plugin", [StoragePlugin.MCAP, StoragePlugin.SQLITE3], ids=lambda v: v.name.lower())
def test_order_within_the_bag_does_not_matter(plugin, tmp_path):
    session = read_session(recorded(tmp_path / "bag", plugin, shuffled=True))
    assert [e.reward for e in session.episodes] == REWARDS and all(e.crop is not None for e in session.episodes)


@pytest.mark.parametrize("plugin", [StoragePlugin.MCAP, StoragePlugin.SQLITE3], ids=lambda v: v.name.lower())
def test_several_files_without_metadata(plugin, tmp_path):
    """As a recording that was split by size and interrupted: no metadata.yaml, files in the order of their numbers."""
    folder = tmp_path / "bag"
    folder.mkdir()
    for k, reward in enumerate(REWARDS):
        part = recorded(tmp_path / f"part{k}", plugin, rewards=[reward], first=k)
        file = next(p for p in part.iterdir() if p.suffix in (".mcap", ".db3"))
        file.rename(folder / f"rosbag2_{k}{file.suffix}")
    assert [e.reward for e in read_session(folder).episodes] == REWARDS


def test_an_interrupted_sqlite3_recording_with_its_log(tmp_path):
    """Killed recorders leave what was not yet checkpointed in the write-ahead log."""
    whole = next(recorded(tmp_path / "whole", StoragePlugin.SQLITE3).glob("*.db3"))
    folder = tmp_path / "bag"
    folder.mkdir()
    live = folder / "bag_0.db3"
    connection = sqlite3.connect(live)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    source = sqlite3.connect(whole)
    for name, create in source.execute("SELECT name, sql FROM sqlite_master WHERE type='table' AND name NOT LIKE 'sqlite_%'"):
        connection.execute(create)
        for row in source.execute(f"SELECT * FROM {name}"):
            connection.execute(f"INSERT INTO {name} VALUES ({','.join('?' * len(row))})", row)
    connection.commit()
    copy = tmp_path / "killed"
    copy.mkdir()
    for file in folder.iterdir():  # as it lies on the disk while the recorder holds it
        (copy / file.name).write_bytes(file.read_bytes())
    connection.close()
    assert (copy / "bag_0.db3-wal").stat().st_size > 0
    assert [e.reward for e in read_session(copy).episodes] == REWARDS


def test_a_cut_sqlite3_file_gives_what_is_left_or_says_why_not(tmp_path):
    whole = next(recorded(tmp_path / "whole", StoragePlugin.SQLITE3).glob("*.db3")).read_bytes()
    for k, share in enumerate((0.3, 0.6, 0.9)):
        folder = tmp_path / str(k)
        folder.mkdir()
        (folder / "bag_0.db3").write_bytes(whole[:int(share * len(whole))])
        try:
            session = read_session(folder)
        except DeftError as error:
            assert "bag_0.db3" in error.message or "no topic" in error.message
            continue
        assert session.warnings and all(e.reward in (0.0, *REWARDS) for e in session.episodes if e.status == "scored")


def test_a_file_that_was_packed_only_in_part(tmp_path):
    part = recorded(tmp_path / "bag", StoragePlugin.MCAP)
    file = next(part.glob("*.mcap"))
    packed = zstandard.compress(file.read_bytes())
    file.unlink()
    (part / f"{file.name}.zstd").write_bytes(packed[:int(0.8 * len(packed))])
    with pytest.raises(DeftError, match=r"nothing in|no topic|none of it"):
        read_session(part)


def test_missing_topics_are_named(tmp_path):
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        joints = writer.add_connection("/joint_states", JOINT_STATE, typestore=installed())
        writer.write(joints, 1, serialize_message(JointState()))
    with pytest.raises(DeftError, match=r"no topic of type deft_msgs/msg/Episode .*it has /joint_states; record it with"):
        read_session(tmp_path / "bag")


def test_several_sessions_are_told_apart(tmp_path):
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        episodes = writer.add_connection("/deft/episode", EPISODE, typestore=installed())
        for k, name in enumerate(("one", "two", "one")):
            writer.write(episodes, k + 1, serialize_message(record(k, 0.1 * k, session=name)))
    with pytest.raises(DeftError, match=r"several sessions, name one \(--session-id\): one, two"):
        read_session(tmp_path / "bag")
    with pytest.raises(DeftError, match="no session 'three'"):
        read_session(tmp_path / "bag", "three")
    session = read_session(tmp_path / "bag", "one")
    assert [e.episode for e in session.episodes] == [0, 2] and "no record of episodes 1" in session.warnings[1]


def test_a_topic_with_a_definition_of_another_kind_does_no_harm(tmp_path):
    """rosbag2 writes IDL where a package has no .msg; nothing of it is needed."""
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        episodes = writer.add_connection("/deft/episode", EPISODE, typestore=installed())
        idl = "=" * 80 + "\nIDL: odd_msgs/msg/Odd\nmodule odd_msgs {};"
        odd = writer.add_connection("/odd", "odd_msgs/msg/Odd", msgdef=idl, rihs01="RIHS01_0")
        writer.write(episodes, 1, serialize_message(record(0, 0.5)))
        writer.write(odd, 2, b"\x00\x01\x00\x00")
    assert read_session(tmp_path / "bag").episodes[0].reward == 0.5
