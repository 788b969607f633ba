"""A person at the desk: five episodes scored in the Qt panel on a virtual screen, against the real graph."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from graph_support import SUCCEEDED, domain, graph_with, wait_for
from operator_desks import display, for_docs, qt_panel

pytestmark = pytest.mark.graph
EPISODES = 5
KEYS = ("3", "7", "X", "0", "5")
REWARDS = [0.3, 0.7, 1.0, 0.0, 0.5]


def asked(panel, words: str, seconds: float = 90) -> dict:
    """The state once the panel asks something that contains these words."""
    state: dict = {}

    def there() -> bool:
        state.update(panel.state())
        return state["asks"] and words in state["question"]

    wait_for(there, seconds, f"the panel to ask '{words}'")
    return state


def test_five_episodes_are_scored_with_one_key_and_enter(tmp_path):
    with display() as screen, graph_with(4, operator="none") as tester, qt_panel(screen, domain(4)) as panel:
        handle = tester.send(tmp_path, episodes=EPISODES)
        asked(panel, "Make the scene ready")
        tester.put_object(0)
        panel.say("key", "Return")
        actions = []
        for episode in range(EPISODES):
            state = asked(panel, f"grasp of episode {episode + 1},")
            assert {"before", "end", "after", "proposal"} <= set(state["pictures"]), "pictures are there when it is scored"
            if episode + 1 < EPISODES:
                tester.put_object(episode + 1)
            if episode == 0:  # Enter alone counts nothing: nobody has set a score
                panel.say("key", "Return")
                wait_for(lambda: "Set a score first" in panel.state()["question"], 5)
                assert tester.pending() is not None
            if episode == 3:
                panel.say("grab", str(for_docs("panel.png", tmp_path)))
            before = len(actions)
            for key in (KEYS[episode], "Return"):
                panel.say("key", key)
                actions.append(key)
            assert len(actions) - before == 2
            if episode == 1:
                pause_and_go_on(panel)
        status, result = tester.result(handle)
        assert status == SUCCEEDED and result.scored == EPISODES
        wait_for(lambda: len(panel.state()["rows"]) == EPISODES, 10)
        shown = {int(row[0]): float(row[2]) for row in panel.state()["rows"]}
        assert "curve" in panel.state()["pictures"] and "residuals" in panel.state()["pictures"]
    episodes = json.loads((tmp_path / "summary.json").read_text())["episodes"]
    assert [e["reward"] for e in episodes] == REWARDS == [shown[k + 1] for k in range(EPISODES)]


def pause_and_go_on(panel) -> None:
    """P asks for a pause, which begins after the episode; G ends it."""
    panel.say("key", "P")
    wait_for(lambda: re.search("paus", panel.state()["status"]), 60)
    panel.say("key", "G")
    wait_for(lambda: "goes on" in panel.state()["reply"], 10)


def test_stop_in_the_panel_stops_the_robot(tmp_path: Path):
    with display() as screen, graph_with(5, operator="none") as tester, qt_panel(screen, domain(5)) as panel:
        wait_for(lambda: "idle" in panel.state()["status"], 20)
        panel.say("key", "Escape")
        wait_for(lambda: "stopped" in panel.state()["reply"], 10)
        handle = tester.send(tmp_path, episodes=1)
        asked(panel, "Make the scene ready")
        panel.say("key", "Return")
        _, result = tester.result(handle)
        assert "stop" in result.error_msg and result.scored == 0
        panel.say("click", "Rearm")
        wait_for(lambda: "armed" in panel.state()["reply"], 10)
