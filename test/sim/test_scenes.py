"""The nine tasks: what stands on the table, that it can be done, and that scores say how well."""

from __future__ import annotations

import sys
import textwrap
import types

import numpy as np
import pytest
from support import CONFIG

from deft_bench.sim_robot import SimRobot
from deft_bringup.rehearsal import lay
from deft_core.config import parse
from deft_core.descriptions import Waypoint, load_task
from deft_core.errors import DeftError
from deft_core.residual import ResidualSpace
from deft_sim import demonstration
from deft_sim.config import SceneConfig
from deft_sim.controller import JointTrajectory
from deft_sim.oracle import candidates, competent_grasp
from deft_sim.scenes import SCENES, Via, scene_module, things_by_name
from deft_sim.scoring import distance_to_line, ramp
from deft_sim.world import SimWorld

MAX_TRIES = 12  # of the oracle, in tests; benchmarks/tasks.py gives it 200


@pytest.fixture(scope="module", params=SCENES)
def rig(request, robot, hand) -> SimRobot:
    return SimRobot(robot, hand, load_task(CONFIG, request.param), seed=4)


def wait(world: SimWorld, seconds: float) -> None:
    """Let physics run with the arm commanded to stay."""
    here = np.vstack([world.joint_state()[0][:7]] * 2)
    world.command_arm(JointTrajectory(world.robot.joint_names, np.array([0.0, seconds]), here, np.zeros((2, 7)), world.clock))
    end = world.clock + seconds
    while world.clock < end:
        world.tick()


def solve(rig, episode=0, object_set="train"):
    """The oracle's first grasp that succeeds; None without one."""
    rig.world.reset(object_set, episode)
    for goal in [rig.goal_of_truth(grasp) for grasp in candidates(rig.world, MAX_TRIES, 0)]:
        lay(rig, object_set, episode)
        try:
            done, verdict = rig.run(goal)
        except DeftError:
            continue
        if verdict.success:
            return goal.grasp, done, verdict
    return None


def test_every_task_has_a_scene_and_every_scene_a_task():
    assert {p.stem for p in (CONFIG / "tasks").glob("*.yaml")} == set(SCENES)
    for name in SCENES:
        assert (CONFIG / load_task(CONFIG, name).goal_image).is_file()


def test_things_are_put_where_the_robot_may_reach_and_the_camera_looks(rig):
    config = parse(SceneConfig, rig.task.sim, rig.task.name)
    region, workspace = rig.robot.object_region, rig.robot.workspace
    for corner in (config.position_lower, config.position_upper):
        for box in (region, workspace):
            assert all(low <= v <= high for low, v, high in zip(box.lower, corner, box.upper, strict=False))
    for episode in range(8):
        x, y = rig.world._spot(np.random.default_rng(episode)).at()[:2]
        assert config.position_lower[0] <= x <= config.position_upper[0]
        assert config.position_lower[1] <= y <= config.position_upper[1]


def test_object_sets_are_large_and_share_nothing(rig):
    config = parse(SceneConfig, rig.task.sim, rig.task.name)
    train, test = config.objects["train"], config.objects["test"]
    assert len(train) >= 6 and len(test) >= 6 and not set(train) & set(test)
    things = things_by_name(rig.world.scene)
    shapes = [repr(things[name])[len(name):] for name in (*train, *test)]
    colours = [(thing[0] if isinstance(thing, tuple) else thing).rgb for thing in (things[n] for n in (*train, *test))]
    assert len(set(shapes)) == len(shapes) and len(set(colours)) == len(colours)


def test_things_stand_still(rig):
    for object_set in ("train", "test"):
        for episode in range(3):
            rig.world.reset(object_set, episode)
            first = rig.world.history.moments[0]
            wait(rig.world, 0.3)
            later = rig.world.history.moments[-1]
            assert later.time > first.time and np.abs(later.positions - first.positions).max() < 2e-3
            assert np.isfinite(later.positions).all() and first.bottom > -2e-3


def test_a_competent_grasp_succeeds_and_nearly_nothing_scores_less(rig):
    solved = solve(rig)
    assert solved is not None, "no grasp of the oracle succeeded"
    grasp, done, verdict = solved
    assert verdict.score > 0.6 and done.stop_reason == ""
    assert max(m.penetration for m in rig.world.history.moments) < 0.012
    space = ResidualSpace.by_group(rig.hand.joint_names, (0.01, 0.1, 0.1), (1.0, 3.0, 3.0))
    missed = space.apply(grasp, np.array([0.0, 0.0, 0.09] + [0.0] * 19))
    rig.world.reset("train", 0)
    try:
        _, miss = rig.run(rig.goal_of_truth(missed))
    except DeftError:
        return  # so far up, this one cannot be reached at all
    assert miss.score < verdict.score - 0.2 and not miss.success
    assert miss.score > 0.0, "a miss is graded by how near it came"


def test_misses_are_graded_by_distance(robot, hand):
    """Never one flat value: the further the hand closes from the cup, the less it scores."""
    rig = SimRobot(robot, hand, load_task(CONFIG, "pick_cup"), seed=4)
    scores = []
    for away in (0.08, 0.11, 0.14):
        rig.world.reset("train", 1)
        grasp = competent_grasp(rig.world)
        space = ResidualSpace.by_group(hand.joint_names, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
        _, verdict = rig.run(rig.goal_of_truth(space.apply(grasp, np.array([0.0, -away, 0.0] + [0.0] * 19))))
        scores.append(verdict.score)
    assert scores[0] > scores[1] > scores[2] > 0.0 and scores[0] < 0.4


def test_the_demonstration_is_that_of_the_scene_with_human_errors(rig):
    shown, meant = rig.task.trajectory, scene_module(rig.task.name).SHOWN
    assert shown[0].xyz == (0.0, 0.0, 0.0) and shown[0].rotvec == (0.0, 0.0, 0.0)
    off = np.linalg.norm(np.subtract(shown[-1].xyz, meant[-1].xyz))
    assert 1e-4 < off < 0.02, "imprecise, but the same motion"
    assert 0.7 * meant[-1].t < shown[-1].t < 1.4 * meant[-1].t


def test_recording_repeats_with_its_seed_only():
    shown = (Via(0.0), Via(1.0, (0.0, 0.0, 0.1)))
    a, b, c = (demonstration.record(shown, seed)[1] for seed in (1, 1, 2))
    assert np.array_equal(a, b) and not (a.shape == c.shape and np.allclose(a, c))


def test_oracle_candidates_start_with_the_competent_grasp_and_vary(robot, hand, task):
    world = SimWorld(robot, hand, task, 0)
    first, *others = candidates(world, 20, 0)
    assert np.array_equal(first.contact, competent_grasp(world).contact)
    spread = np.std([g.contact for g in others], axis=0)
    assert len(others) == 19 and (spread > 0.003).all() and (spread < 0.03).all()


def test_scoring_pieces():
    line = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    assert distance_to_line(np.array([0.3, 0.0, 0.5]), line) == pytest.approx(0.3)
    assert distance_to_line(np.array([0.0, 0.0, 1.4]), line) == pytest.approx(0.4)
    assert distance_to_line(np.array([1.0, 0.0, 0.0]), np.zeros((2, 3))) == pytest.approx(1.0), "a line may be a point"
    assert [ramp(v, 2.0, 1.0) for v in (0.5, 1.5, 3.0)] == [0.0, 0.5, 1.0]


def test_a_soft_hand_presses_less(robot, hand, task):
    """The same competent grasp with allegro_soft: it still lifts the cup, at a lower force."""
    from deft_core.config import find, load
    from deft_core.descriptions import HandConfig

    soft = load(HandConfig, find(CONFIG, "hands", "allegro_soft"))
    assert soft.name == "allegro_soft" and soft.joint_names == hand.joint_names
    forces = {}
    for which in (hand, soft):
        rig = SimRobot(robot, which, task, seed=4)
        force = forces[which.name] = []
        with rig.world.watched(lambda rig=rig, force=force: force.append(rig.world.robot_contact_force())):
            assert rig.run(rig.goal_of_truth(competent_grasp(rig.world)))[1].success
    median = {name: np.median([f for f in force if f > 0.5]) for name, force in forces.items()}
    assert median["allegro_soft"] < 0.9 * median["allegro_right"]


def test_the_tenth_task_of_contributing_runs_as_it_stands_there(robot, hand, task, monkeypatch):
    text = (CONFIG.parents[2] / "CONTRIBUTING.md").read_text()
    block = text.split("```python\n")[1].split("```")[0]
    module = types.ModuleType("deft_sim.scenes.lift_lid")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(textwrap.dedent(block), "CONTRIBUTING.md", "exec"), module.__dict__)
    monkeypatch.setattr("deft_sim.scenes.SCENES", (*SCENES, "lift_lid"))
    sets = {which: [thing.name for thing in things] for which, things in module.OBJECTS.items()}
    sim = {"scene": "lift_lid", "position_lower": [0.52, -0.1], "position_upper": [0.56, 0.0], "yaw": [0.0, 0.0],
           "objects": sets, "score": {"full_lift": 0.1}}
    shown = tuple(Waypoint(t=via.t, xyz=via.xyz, rotvec=via.rotvec) for via in module.SHOWN)
    rig = SimRobot(robot, hand, task.model_copy(update={"name": "lift_lid", "trajectory": shown, "sim": sim}), seed=0)
    solved = solve(rig)
    assert solved is not None and solved[2].note == "lifted"
