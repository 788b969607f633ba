"""A person with a tablet: five episodes approved and scored on the web page in Chromium, against the real graph."""

from __future__ import annotations

import json

import pytest
from deft_msgs.msg import RewardRequest, SessionStatus
from graph_support import SUCCEEDED, domain, graph_with
from operator_desks import browser, for_docs, web_panel

from deft_bringup.operator_cli import write_report
from deft_core.ros import names
from deft_core.ros.qos import LATCHED

pytestmark = pytest.mark.graph
EPISODES = 5
KEYS, REWARDS = ("2", "6", "9", "1", "x"), [0.2, 0.6, 0.9, 0.1, 1.0]


def ask(page, words: str, seconds: float = 90) -> None:
    """Wait until the page asks something that contains these words."""
    page.wait_for_function("words => document.getElementById('question').textContent.includes(words)", arg=words,
                           timeout=1000 * seconds)


def test_five_episodes_are_approved_and_scored_in_the_browser(tmp_path):
    overrides = {"deft_cem": {"require_approval": True}}
    with graph_with(6, operator="none", overrides=overrides) as tester, web_panel(domain(6)) as panel, browser() as page:
        page.goto(panel.address)
        page.wait_for_selector("#status.idle")
        handle = tester.send(tmp_path, episodes=EPISODES)
        ask(page, "Make the scene ready")
        tester.put_object(0)
        page.keyboard.press("Enter")
        for episode in range(EPISODES):
            page.wait_for_selector("#decisions:not([hidden])", timeout=90000)
            if episode == 1:  # the first draw is not wanted: another one is proposed
                before = page.text_content("#proposal-words")
                page.keyboard.press("r")
                page.wait_for_function("before => { const now = document.getElementById('proposal-words').textContent;"
                                       " return now !== before && now.startsWith('Episode 2, draw 2'); }", arg=before)
                page.wait_for_selector("#decisions:not([hidden])")
                page.screenshot(path=str(for_docs("approval.png", tmp_path)))
            page.keyboard.press("a")
            ask(page, f"grasp of episode {episode + 1},")
            for name in ("before", "end", "after"):
                page.wait_for_function("id => document.getElementById(id).naturalWidth > 0", arg=name)
            if episode + 1 < EPISODES:
                tester.put_object(episode + 1)
            if episode == 3:
                page.wait_for_function("() => document.getElementById('curve').naturalWidth > 0")
                page.screenshot(path=str(for_docs("web_panel.png", tmp_path)), full_page=True)
            page.keyboard.press(KEYS[episode])
            page.keyboard.press("Enter")
        status, result = tester.result(handle)
        assert status == SUCCEEDED and result.scored == EPISODES
        page.wait_for_function(f"() => document.querySelectorAll('#rows tr').length === {EPISODES}")
        outside = [address for address in page.asked if not address.startswith((panel.address, "data:", "blob:"))]
        assert not outside, "a page load asks nobody but the panel"
        report_opens_offline(page, tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert [e["reward"] for e in summary["episodes"]] == REWARDS
    assert [len(e["rejected"]) for e in summary["episodes"]] == [0, 1, 0, 0, 0]
    second = summary["episodes"][1]
    assert summary["totals"]["rejected_samples"] == 1 and second["rejected"][0]["eps"] != second["eps"]


def report_opens_offline(page, folder) -> None:
    """The session's report, as a browser shows the file: with its pictures and plots, and asking for nothing else."""
    write_report([folder], folder / "report.html")
    page.goto("about:blank")  # the panel's page asks no more
    page.asked.clear()
    page.goto((folder / "report.html").as_uri())
    assert page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert page.locator(".try img").count() == 3 * EPISODES and page.locator("svg").count() >= 4
    assert [address for address in page.asked if not address.startswith("data:")] == [(folder / "report.html").as_uri()]
    page.screenshot(path=str(for_docs("report.png", folder)))


def test_what_the_graph_says_is_shown_as_text(ros_tester):
    """Nobody who publishes in the domain, or writes a remark, can put a script into the page."""
    node, number = ros_tester
    evil = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    statuses = node.create_publisher(SessionStatus, names.SESSION_STATUS, LATCHED)
    requests = node.create_publisher(RewardRequest, names.REWARD_REQUEST, LATCHED)
    status = SessionStatus(session=evil, task=evil, method=evil, state="awaiting_reward", message=evil, episodes=3,
                           finished_episodes=[0], statuses=[evil], rewards=[0.5], successes=[2])
    requests.publish(RewardRequest(session=evil, reason=evil, stop_reason=evil, task=evil))
    with web_panel(domain(number)) as panel, browser() as page:
        node.create_timer(0.3, lambda: statuses.publish(status))
        page.goto(panel.address)
        ask(page, evil, 30)
        page.wait_for_function("() => document.querySelectorAll('#rows tr').length === 1")
        page.keyboard.press("5")
        page.keyboard.press("Enter")  # nobody answers the service: the page says so
        page.wait_for_function("() => document.getElementById('reply').textContent.includes('does not answer')", timeout=20000)
        assert page.title() == "DEFT operator"
        assert page.locator("img[src='x']").count() == 0 and page.locator("main script").count() == 0


def test_a_panel_beyond_this_machine_needs_its_token(ros_tester):
    _, number = ros_tester
    with web_panel(domain(number), "--host", "0.0.0.0", "--token", "s3cret") as panel:
        assert panel.address.endswith("?token=s3cret")
        for path in ("/", "/panel.js", "/api/view", "/api/events", "/api/picture/camera", "/api/plot/curve"):
            assert panel.request(path)[0] == 401, path
        answer = {"kind": "reward", "session": "s", "episode": 0, "attempt": 0, "reward": 1.0}
        for path, body in (("/api/control", {"command": "stop"}), ("/api/answer", answer)):
            assert panel.request(path, body)[0] == 401, path
        assert panel.request("/api/view", Authorization="Bearer wrong")[0] == 401
        assert panel.request("/api/view", Authorization="Bearer s3cret")[0] == 200
        with browser() as page:
            page.goto(f"http://127.0.0.1:{panel.port}/?token=s3cret")
            page.wait_for_selector("#status.lost")
            assert "token" not in page.url, "it moved into a cookie"
            assert all(c["httpOnly"] and c["sameSite"] == "Strict" for c in page.context.cookies())


def test_a_panel_of_this_machine_refuses_others_and_forms(ros_tester):
    _, number = ros_tester
    with web_panel(domain(number)) as panel:
        assert panel.request("/api/view", Host=f"evil.example:{panel.port}")[0] == 403, "a name pointed at this machine"
        assert panel.request("/api/view", Host=f"localhost:{panel.port}")[0] == 200
        assert panel.request("/api/control", {"command": "stop"}, **{"Content-Type": "text/plain"})[0] == 415
        for body in ({"command": "explode"}, {}, {"command": "stop", "more": 1}):
            assert panel.request("/api/control", body)[0] == 422
        status, answer = panel.request("/api/answer", {"kind": "reward", "session": "s", "episode": 0, "attempt": 0,
                                                       "reward": 7.0})
        assert status == 422 and b"less than or equal to 1" in answer


@pytest.fixture
def ros_tester():
    """A node in a domain where no graph runs, spun, and the domain's number."""
    import os

    import rclpy

    from deft_core.ros.spun_node import SpunNode

    os.environ["ROS_DOMAIN_ID"] = domain(7)
    rclpy.init()
    try:
        with SpunNode("tester") as node:
            yield node, 7
    finally:
        rclpy.try_shutdown()


