"""The session's bag and its policy through the real graph: recorded, fitted live and from the bag alone, asked, rolled out."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest
from deft_msgs.action import FitPolicy, Rollout
from deft_msgs.msg import ObjectObservation
from deft_msgs.srv import PredictResidual
from graph_support import ABORTED, SUCCEEDED, wait_for
from rosbags.rosbag2 import Reader

from deft_bag.episodes import read_session
from deft_cem.search.gaussian import Scored, best
from deft_core.residual import SHARES
from deft_core.ros import conversions as conv
from deft_core.ros import names
from deft_core.ros.action_client import ActionClient
from deft_policy.config import PolicyConfig
from deft_policy.fitting import Features, fit_policy
from deft_policy.storage import restore, store

pytestmark = pytest.mark.graph
EPISODES = 5


@pytest.fixture(scope="module")
def fitted(scripted, tmp_path_factory):
    """A finished session, its result, and the states that it went through."""
    folder = tmp_path_factory.mktemp("sessions") / "five"
    scripted.statuses.clear()
    status, result = scripted.result(scripted.send(folder, episodes=EPISODES, seed=2), 180)
    assert status == SUCCEEDED, result.error_msg
    return folder, result, {s.state for s in scripted.statuses}


def action(tester, kind: type, name: str, goal) -> tuple[int, object]:
    client = ActionClient(tester.node, kind, name)
    try:
        assert client.wait_for_server(20)
        sent = client.send_goal_async(goal)
        wait_for(sent.done, 20)
        return tester.result(sent.result())
    finally:
        client.destroy()


def test_a_session_ends_with_a_policy(fitted):
    folder, result, states = fitted
    assert "fitting_policy" in states and result.policy_file == str(folder / "policy.yaml")
    policy = restore(folder)
    assert policy.provenance.task == "pick_cup" and policy.provenance.session == result.session
    assert policy.kind.value == "elite_mean" and not policy.sees, "the default"


def test_the_bag_holds_everything_and_opens_elsewhere(fitted):
    folder, result, _ = fitted
    with Reader(folder / "bag") as reader:
        topics = {c.topic: (c.msgtype, c.msgcount) for c in reader.connections}
    assert topics["/deft/session_config"][1] >= 1 and topics["/deft/session_status"][1] > EPISODES
    assert topics["/deft/reward_request"][1] >= result.scored
    assert topics["/joint_states"][1] > 100 and topics["/camera/camera/color/image_raw/compressed"][1] >= result.scored
    session = read_session(folder)
    summary = json.loads((folder / "summary.json").read_text())
    assert session.warnings == () and session.text == "pick up the cup"
    for mine, theirs in zip(session.episodes, summary["episodes"], strict=True):
        assert (mine.episode, mine.status) == (theirs["episode"], theirs["status"])
        assert mine.eps.tolist() == theirs["eps"] and mine.xi.contact.tolist() == theirs["xi"]["contact"]
        if mine.status == "scored":
            assert mine.reward == theirs["reward"] and mine.success is theirs["success"] and mine.crop is not None
            assert mine.executed.joints.tolist() == theirs["executed"]["joints"] and mine.phases[-1][0] == "park"
    scored = [Scored(e["episode"], np.zeros(1), e["reward"]) for e in summary["episodes"] if e["reward"] is not None]
    assert [e.episode for e in session.elites(3)] == [s.episode for s in best(scored, 3)], "the search's elites"


def test_the_bag_alone_gives_the_same_policy(fitted, tmp_path):
    folder = fitted[0]
    session = read_session(folder / "bag")
    again = store(fit_policy(session, PolicyConfig(), session.seed), tmp_path)
    assert again.read_bytes() == (folder / "policy.yaml").read_bytes()
    weights = next(tmp_path.glob("*.safetensors"))
    assert weights.read_bytes() == (folder / weights.name).read_bytes()


def test_the_policy_node_answers_as_the_policy_does(fitted, scripted, tmp_path):
    """A policy that sees: the paper's, fitted by the node from the session's bag."""
    session, folder = read_session(fitted[0]), tmp_path
    status, result = action(scripted, FitPolicy, names.FIT_POLICY,
                            FitPolicy.Goal(session_dir=str(fitted[0]), policy="cvae", out_dir=str(folder)))
    assert status == SUCCEEDED and restore(folder).sees, result.error_msg
    episode = next(e for e in session.episodes if e.crop is not None)
    seen = ObjectObservation()
    seen.rgb_crop = conv.image_to_msg(episode.crop, "rgb8", seen.header)

    def ask(**fields) -> PredictResidual.Response:
        request = PredictResidual.Request(**{"observation": seen, "xi": conv.grasp_to_msg(episode.xi), "seed": 7,
                                             "policy_file": str(folder / "policy.yaml"), **fields})
        return scripted.call(PredictResidual, names.PREDICT_RESIDUAL, request)

    answer, policy = ask(), restore(folder)
    assert answer.error_code == 0, answer.error_msg
    wanted = policy.residual(Features(policy.config)(episode.crop), episode.xi, 7)
    assert np.allclose(answer.residual.values, wanted) and list(answer.residual.names) == list(policy.space.names)
    R = PredictResidual.Request
    assert ask(policy_file="").error_code == R.NO_POLICY and ask(policy_file="/nowhere.yaml").error_code == R.NO_POLICY
    assert ask(observation=ObjectObservation()).error_code == R.BAD_INPUT
    assert ask(xi=type(answer.residual and conv.grasp_to_msg(episode.xi))()).error_code == R.BAD_INPUT


def test_bad_goals_are_refused_with_their_codes(fitted, scripted, tmp_path):
    G = FitPolicy.Goal
    for fields, code in (({"session_dir": str(tmp_path / "nowhere")}, G.BAD_GOAL), ({"session_dir": str(tmp_path)}, G.BAD_BAG),
                         ({"session_dir": str(fitted[0]), "policy": "oracle"}, G.BAD_GOAL),
                         ({"session_dir": str(fitted[0]), "session": "another"}, G.BAD_BAG)):
        status, result = action(scripted, FitPolicy, names.FIT_POLICY, G(**fields))
        assert (status, result.error_code) == (ABORTED, code), result.error_msg
    status, result = action(scripted, Rollout, names.ROLLOUT, Rollout.Goal(task="juggle"))
    assert (status, result.error_code) == (ABORTED, Rollout.Goal.BAD_GOAL) and "pick_cup" in result.error_msg
    status, result = action(scripted, Rollout, names.ROLLOUT, Rollout.Goal(task="pick_cup", policy_file="/nowhere.yaml"))
    assert (status, result.error_code) == (ABORTED, PredictResidual.Request.NO_POLICY)


def test_another_kind_is_fitted_by_name(fitted, scripted, tmp_path):
    status, result = action(scripted, FitPolicy, names.FIT_POLICY, FitPolicy.Goal(
        session_dir=str(fitted[0] / "bag"), policy="elite_mean", out_dir=str(tmp_path)))
    assert status == SUCCEEDED and result.policy_file == str(tmp_path / "policy.yaml")
    assert len(result.elites) == min(5, fitted[1].scored) and np.isfinite(result.elite_mean_error)


def test_a_rollout_executes_the_policys_grasp(fitted, scripted):
    scripted.put_object(50)
    status, result = action(scripted, Rollout, names.ROLLOUT, Rollout.Goal(
        task="pick_cup", policy_file=str(fitted[0] / "policy.yaml"), seed=3))
    assert status == SUCCEEDED, result.error_msg
    assert result.executed.hand == "allegro_right" and len(result.residual.values) == 25
    assert result.fell_back_to_prior == (not any(result.residual.values))


def test_trials_of_a_policy_are_journalled_and_scored(fitted, scripted, tmp_path):
    status, result = scripted.result(scripted.send_evaluation(tmp_path, method="policy", trials=2,
                                                              source_session_dir=str(fitted[0])), 120)
    assert status == SUCCEEDED and result.trials + result.infeasible == 2, result.error_msg
    policy = restore(fitted[0])
    for e in read_session(tmp_path).episodes:
        whole = policy.scale.mean * policy.space.sigma if not policy.provenance.steps else None
        if whole is not None and e.status == "scored":
            assert any(np.allclose(e.eps, share * whole) for share in SHARES)
    nothing = scripted.send_evaluation(tmp_path / "none", method="policy", source_session_dir=str(tmp_path))
    status, result = scripted.result(nothing)
    assert status == ABORTED and result.error_code == 706 and "deft fit" in result.error_msg


def test_an_answer_that_is_changed_later_wins_in_the_bag(fitted, tmp_path):
    """`deft amend --session`, `deft fit --bag`: as a person would, after the session."""
    folder = fitted[0]
    before = read_session(folder)
    last = before.elites(1)[0].episode
    subprocess.run(["deft", "amend", str(last), "0.0", "--note", "it slipped", "--session", str(folder)], check=True)
    after = read_session(folder)
    changed = next(e for e in after.episodes if e.episode == last)
    assert (changed.reward, changed.note, changed.revision) == (0.0, "it slipped", 1) and changed.crop is not None
    assert after.elites(1)[0].episode != last
    made = subprocess.run(["deft", "fit", "--bag", str(folder / "bag"), "--policy", "elite_mean", "--out", str(tmp_path)],
                          check=True, capture_output=True, text=True)
    assert "elite_mean policy of pick_cup" in made.stdout
    assert restore(tmp_path).provenance.elites[0] != last
