"""The moveit_py backend: MoveItPy in a process of its own, which dies when it likes (a stand-in with the documented calls)."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import standins

from deft_core.errors import DeftError
from deft_core.hardware import MoveItConfig
from deft_core.types import Pose
from deft_motion import codes
from deft_motion.executor import Cancelled
from deft_motion.kinematics import ArmHandModel
from deft_motion.moveit.moveit_py import MoveItPyPlanner


@pytest.fixture(scope="module")
def model(robot, hand):
    return ArmHandModel(robot, hand)


@pytest.fixture
def make(model, tmp_path, monkeypatch):
    """A planner whose MoveItPy has some faults."""
    monkeypatch.syspath_prepend(str(Path(standins.__file__).parent / "moveit_py"))  # the process that is spawned takes it over
    made = []

    def planner(faults: str = "", cancelled=lambda: False, parameters: bool = True) -> MoveItPyPlanner:
        file = tmp_path / "moveit.yaml"
        file.write_text(f"standin: {{{faults}}}\n")
        settings = MoveItConfig(group="xarm7", link="link7", attempts=1, parameters=str(file) if parameters else "")
        made.append(MoveItPyPlanner(settings, model, cancelled))
        return made[-1]

    yield planner
    for one in made:
        one.close()


@pytest.fixture
def ends(robot):
    return np.array(robot.park), np.array(robot.ready)


def test_it_plans_and_the_object_goes_with_the_hand(make, model, ends):
    planner = make()
    path = planner.plan(*ends, np.zeros(16), 0)
    np.testing.assert_allclose(path.positions[[0, -1]], ends, atol=1e-9)
    palm = model.grasp_pose(ends[1])
    rows = planner.straight([palm, Pose(palm.position + np.array([0, 0, 0.05]), palm.rotation)], ends[1])
    np.testing.assert_allclose(rows[0], ends[1])
    model.set_object(palm.position, np.full(3, 0.05))
    planner.grasped(ends[1])
    planner.released()


def test_its_error_codes_and_exceptions_are_told(make, ends):
    with pytest.raises(DeftError, match="the goal touches something") as caught:
        make("code: -12").plan(*ends, np.zeros(16), 0)
    assert caught.value.code == codes.COLLISION
    assert make("code: -1").straight([Pose.identity()], ends[0]) is None
    with pytest.raises(DeftError, match="moveit_py: RuntimeError: no robot model"):
        make("raises: no robot model").plan(*ends, np.zeros(16), 0)
    with pytest.raises(DeftError, match=r"moveit\.parameters in the robot's YAML"):
        make(parameters=False).plan(*ends, np.zeros(16), 0)


def test_a_process_that_has_died_is_started_again(make, ends):
    planner = make("dies_at: 2")
    planner.plan(*ends, np.zeros(16), 0)
    with pytest.raises(DeftError, match="has died") as caught:
        planner.plan(*ends, np.zeros(16), 0)
    assert caught.value.code == codes.PLANNING_FAILED
    planner.plan(*ends, np.zeros(16), 0)


def test_a_cancelled_plan_is_not_waited_for_and_its_answer_is_dropped(make, ends):
    stop = threading.Event()
    planner = make(cancelled=stop.is_set)
    stop.set()
    with pytest.raises(Cancelled):
        planner.plan(*ends, np.zeros(16), 0)
    stop.clear()
    path = planner.plan(ends[1], ends[0], np.zeros(16), 0)  # not the answer to the one before
    np.testing.assert_allclose(path.positions[0], ends[1], atol=1e-9)


def test_without_moveit_py_it_names_the_package(model, ends, tmp_path):
    assert "moveit" not in sys.modules
    planner = MoveItPyPlanner(MoveItConfig(group="xarm7", link="link7", parameters=str(tmp_path / "x")), model)
    with pytest.raises(DeftError, match="ros-jazzy-moveit-py"):
        planner.plan(*ends, np.zeros(16), 0)
    planner.close()
