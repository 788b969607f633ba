"""How sessions and trials use the residual policy: at their end, for their samples, and when it is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from cem.stand_in import CONFIG, SPACE, method, run, spec

from deft_cem import codes
from deft_cem.methods import FixedMethod, PolicyMethod
from deft_cem.session import Session
from deft_core.errors import DeftError
from deft_core.residual import SHARES

UNREACHABLE, STOPPED = 401, 406
EPS = 0.5 * SPACE.sigma


def test_a_session_ends_with_the_fit_of_its_policy(tmp_path):
    told = []
    _, graph = run(tmp_path, fit_policy=True, on_progress=lambda p, _: told.append((p.state, p.message)))
    assert graph.fits == [8] and ("fitting_policy", "") in told
    assert told[-1] == ("done", "all episodes are finished; policy fitted")


def test_a_policy_that_cannot_be_fitted_spoils_no_session(tmp_path):
    told = []
    session, _ = run(tmp_path, {"failures": {"fit_policy": [802]}}, fit_policy=True,
                     on_progress=lambda p, _: told.append(p.message))
    assert told[-1] == "all episodes are finished; no policy was fitted: fit_policy failed on purpose"
    assert len(session.scored()) == 8


def test_trials_fit_nothing(tmp_path):
    _, graph = run(tmp_path, fit_policy=True, made=FixedMethod("prior", SPACE.size, None), episodes=2)
    assert graph.fits == []


def test_the_policy_draws_the_samples_once_the_search_leads(tmp_path):
    """As in one version of Algorithm 1; resumed anywhere, the same samples follow."""
    config = CONFIG.model_copy(update={"next_sample": "policy"})
    session, graph = run(tmp_path / "whole", config=config)
    leads = method(config).leads_from
    plain, _ = run(tmp_path / "plain")
    same = [np.array_equal(session.episodes[k].eps, plain.episodes[k].eps) for k in range(8)]
    assert same == [k < leads for k in range(8)]
    assert graph.fits == list(range(leads, 9)), "before each sample that it draws, with all the scores so far"
    for steps in range(0, 60, 7):
        folder = tmp_path / f"killed{steps}"
        with pytest.raises(KeyboardInterrupt):
            run(folder, {"die_after": steps}, config=config)
        again, resumed = run(folder, config=config)
        assert all(resumed.fits_when_asked), "a process that was started again fits before it asks"
        assert [again.episodes[k].eps for k in range(8)] == [session.episodes[k].eps for k in range(8)]


def test_where_no_policy_can_be_fitted_the_distribution_draws(tmp_path):
    """Too little was scored, or the bag is gone: the session goes on, and its samples are those of the search."""
    config = CONFIG.model_copy(update={"next_sample": "policy"})
    session, graph = run(tmp_path / "policy", {"failures": {"fit_policy": [802] * 99}}, config=config)
    plain, _ = run(tmp_path / "plain")
    assert graph.fits == [] and [session.episodes[k].eps for k in range(8)] == [plain.episodes[k].eps for k in range(8)]


def test_a_policy_that_is_refused_gives_way_to_the_distribution(tmp_path):
    config = CONFIG.model_copy(update={"next_sample": "policy"})
    session, _ = run(tmp_path, {"failures": {"residual": [codes.POLICY_REFUSED] * 99}}, config=config)
    assert len(session.scored()) == 8


def jobs(tmp_path):
    from support import CONFIG as FOLDER

    from deft_cem.jobs import Jobs
    from deft_cem.rewards.config import RewardConfig
    from deft_cem.search.basis import make_basis
    from deft_core.config import find, load
    from deft_core.descriptions import HandConfig, RobotConfig

    robot = load(RobotConfig, find(FOLDER, "robots", "xarm7_sim"))
    hand = load(HandConfig, find(FOLDER, "hands", "allegro_right"))
    return Jobs(FOLDER, robot, hand, CONFIG, RewardConfig(), make_basis(CONFIG, hand.motors, hand.name, FOLDER), tmp_path,
                robot.camera.optical_in_base.pose)


@pytest.mark.parametrize(("fields", "code", "says"), [
    ({"name": "prior", "policy_file": "p.yaml"}, codes.BAD_GOAL, "asks no policy"),
    ({"name": "tuned", "source": "x", "policy_file": "p.yaml"}, codes.BAD_GOAL, "asks no policy"),
    ({"name": "policy"}, codes.BAD_GOAL, "needs the folder of a session"),
    ({"name": "oracle"}, codes.BAD_GOAL, "valid: prior, tuned, policy, versus"),
    ({"name": "policy", "source": "nowhere"}, codes.NO_RESIDUAL, "deft fit"),
    ({"name": "policy", "policy_file": "{of_pour}"}, codes.SESSION_MISMATCH, "the task pour_cup, not of pick_cup"),
    ({"name": "versus", "policy_file": "{of_left}"}, codes.SESSION_MISMATCH, "the hand allegro_left, not of allegro_right")])
def test_trials_that_cannot_be_meant_are_refused(fields, code, says, tmp_path):
    for name, task, hand in (("of_pour", "pour_cup", "allegro_right"), ("of_left", "pick_cup", "allegro_left")):
        (tmp_path / f"{name}.yaml").write_text(f"origin: {{task: {task}, hand: {hand}}}")
    made = {"name": "", "source": "", "policy_file": "", **fields}
    made["policy_file"] = made["policy_file"].format(of_pour=tmp_path / "of_pour.yaml", of_left=tmp_path / "of_left.yaml")
    with pytest.raises(DeftError, match=says) as refusal:
        jobs(tmp_path).evaluation("pick_cup", trials=1, seed=0, object_set="test", folder="", **made)
    assert refusal.value.code == code


def test_what_was_seen_is_told_before_the_journal_knows_that_it_was_executed(tmp_path):
    known = []

    def told(state):
        kinds = [json.loads(line)["kind"] for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
        known.append((state.episode, state.awaiting, kinds[-1]))

    run(tmp_path, on_executed=told, episodes=3)
    assert known == [(k, True, "sampled") for k in range(3)]


def shares(refused: int, made) -> list[float]:
    """What is tried while the first `refused` draws cannot be executed, as shares of EPS."""
    return [float(made.sample(1, draw, [], lambda _: EPS).eps[0] / EPS[0]) for draw in range(refused + 1)]


@pytest.mark.parametrize("made", [FixedMethod("tuned", SPACE.size, EPS), PolicyMethod("policy", SPACE.size),
                                  FixedMethod("versus", SPACE.size, EPS), PolicyMethod("versus", SPACE.size)],
                         ids=lambda m: f"{type(m).__name__} {m.name}")
def test_as_much_of_a_residual_is_tried_as_the_robot_can_execute(made):
    assert made.max_draws == len(SHARES) and np.allclose(shares(4, made), SHARES)
    assert made.sample(1, 0, [], lambda _: EPS).fallback == ""
    assert "50% of the residual" in made.sample(1, 2, [], lambda _: EPS).fallback
    assert "the prior is executed alone" in made.sample(1, 4, [], lambda _: EPS).fallback
    assert made.sample(0, 0, [], lambda _: EPS).control == (made.name == "versus")


def test_trials_execute_the_largest_share_and_the_journal_says_so(tmp_path):
    failures = {"check": [UNREACHABLE, UNREACHABLE, 0, 0]}
    session, graph = run(tmp_path, {"failures": failures}, made=PolicyMethod("policy", SPACE.size), episodes=2)
    first, second = session.episodes[0], session.episodes[1]
    assert "50% of the residual" in first.fallback and second.fallback == "" and first.status == "scored"
    whole = np.clip(0.5 * np.random.default_rng(seed_of(0)).standard_normal(SPACE.size), -1.0, 1.0) * SPACE.sigma
    assert np.allclose(first.eps, 0.5 * whole) and np.allclose(graph.executed[0], first.eps)
    again = Session(tmp_path, spec(2, method="deft"))
    assert again.episodes[0].fallback == first.fallback
    again.close()


def seed_of(episode: int) -> int:
    return int(np.random.SeedSequence([5, episode, 2]).generate_state(1)[0])


def test_what_the_policy_node_refuses_gives_way_to_the_prior(tmp_path):
    session, graph = run(tmp_path, {"failures": {"residual": [codes.POLICY_REFUSED]}}, made=PolicyMethod("policy", SPACE.size),
                         episodes=1)
    assert np.allclose(graph.executed[0], 0.0) and session.episodes[0].fallback == "residual failed on purpose"


def test_a_policy_that_is_gone_is_no_reason_to_execute_the_prior():
    def gone(draw):
        raise DeftError(851, "no policy")

    with pytest.raises(DeftError, match="no policy"):
        PolicyMethod("policy", SPACE.size).sample(0, 0, [], gone)


def test_a_stopped_robot_ends_trials_without_shrinking_anything(tmp_path):
    with pytest.raises(DeftError):
        run(tmp_path, {"failures": {"check": [STOPPED]}}, made=FixedMethod("tuned", SPACE.size, EPS), episodes=1)

