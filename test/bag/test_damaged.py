"""Bags that were cut or altered: every complete episode before the damage comes back, and what was lost is said."""

from __future__ import annotations

import random
import shutil

import pytest
from bag.records import bag
from hypothesis import given
from hypothesis import strategies as st

from deft_bag.episodes import read_session
from deft_bag.reader import Bag
from deft_core.errors import DeftError

REWARDS = [0.1, 0.9, 0.4, 0.7, 0.3, 0.8, 0.2, 0.6]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return bag(tmp_path_factory.mktemp("whole") / "bag", REWARDS, moved=True)


@pytest.fixture(scope="module")
def ends(whole, tmp_path_factory):
    """Where in the file each episode's last record is complete: the least cut that keeps it."""
    data = (whole / "bag_0.mcap").read_bytes()
    found = []
    for k in range(len(REWARDS)):
        low, high = 0, len(data)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if scored(cut(tmp_path_factory.mktemp("cut"), data, middle), k) else (middle, high)
        found.append(high)
    return found


def cut(folder, data, at):
    (folder / "bag_0.mcap").write_bytes(data[:at])
    return folder


def scored(folder, k):
    try:
        return any(e.episode == k and e.status == "scored" for e in read_session(folder).episodes)
    except DeftError:
        return False


def test_every_complete_episode_before_a_cut_is_recovered(whole, ends, tmp_path):
    """At 50 random offsets. Chunks end with every answer, so that an episode is there as soon as its bytes are."""
    assert ends == sorted(ends)
    data = (whole / "bag_0.mcap").read_bytes()
    rng = random.Random(0)
    for n in range(50):
        at = rng.randrange(ends[0], len(data))
        folder = tmp_path / str(n)
        folder.mkdir()
        session = read_session(cut(folder, data, at))
        complete = [k for k, end in enumerate(ends) if end <= at]
        assert [e.episode for e in session.episodes if e.status == "scored"] == complete, at
        assert [e.reward for e in session.episodes if e.status == "scored"] == [REWARDS[k] for k in complete]
        assert all(e.crop is not None for e in session.episodes if e.status == "scored")
        assert any("has no end" in w or "breaks off after" in w for w in session.warnings), "what was lost is said"


def test_a_copy_without_metadata_is_read(whole, tmp_path):
    shutil.copy(whole / "bag_0.mcap", tmp_path)
    session = read_session(tmp_path)
    assert [e.reward for e in session.episodes] == REWARDS and session.warnings == ()


def test_a_missing_file_is_named(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "bag")
    text = (tmp_path / "bag" / "metadata.yaml").read_text()
    more = text.replace("relative_file_paths:\n", "relative_file_paths:\n  - bag_7.mcap\n")
    (tmp_path / "bag" / "metadata.yaml").write_text(more)
    assert any("bag_7.mcap" in w for w in read_session(tmp_path / "bag").warnings)


@given(st.data())
def test_altered_bytes_never_give_altered_rewards(whole, tmp_path_factory, data):
    """Chunks carry checksums: what is damaged is left out and said, or the bag is refused; nothing is made up."""
    content = bytearray((whole / "bag_0.mcap").read_bytes())
    for _ in range(3):
        place = data.draw(st.integers(8, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
    folder = cut(tmp_path_factory.mktemp("altered"), bytes(content), len(content) - 8 * data.draw(st.integers(0, 1)))
    try:
        session = read_session(folder)
    except DeftError:
        return
    for e in session.episodes:
        assert e.status != "scored" or e.reward == REWARDS[e.episode]


@pytest.mark.parametrize("content", [b"", b"\x89MCAP0\r\n", b"not a bag at all", b"\x89MCAP0\r\n" + b"\xff" * 100])
def test_what_is_no_bag_is_refused(content, tmp_path):
    (tmp_path / "bag_0.mcap").write_bytes(content)
    with pytest.raises(DeftError, match=r"no topic|nothing in"):
        read_session(tmp_path)


def test_a_folder_without_a_bag_says_what_one_is(tmp_path):
    with pytest.raises(DeftError, match=r"no bag in .*\.mcap, \.db3"):
        Bag(tmp_path)
    with pytest.raises(DeftError, match="there is no bag at"):
        Bag(tmp_path / "nowhere")
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(DeftError, match="no file of a bag"):
        Bag(tmp_path / "x.txt")
