"""What a goal asks for: which session, in which folder, by which method."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deft_cem import __version__, codes
from deft_cem.methods import FixedMethod, Method, PolicyMethod, SearchMethod
from deft_cem.rewards.config import RewardConfig
from deft_cem.search import make_search
from deft_cem.search.basis import Basis
from deft_cem.search.config import SearchConfig
from deft_cem.session import SessionSpec
from deft_cem.summary import read, tuned_of
from deft_core.config import content_hash
from deft_core.descriptions import HandConfig, RobotConfig, TaskConfig, load_task
from deft_core.errors import ConfigError, DeftError
from deft_core.types import Pose

OBJECT_SETS = ("train", "test")
EVALUATIONS = ("prior", "tuned", "policy", "versus")
CALIBRATION_DIGITS = 5  # m and rad, of a camera that tf2 places: what a message's rounding changes is no other calibration


@dataclass(frozen=True)
class Job:
    """A goal, understood: what to run and how.

    Attributes:
        policy_file: of the policy that is asked for residuals; "" without one.
    """

    spec: SessionSpec
    task: TaskConfig
    folder: Path
    method: Method
    force: bool
    policy_file: str


class Jobs:
    """Makes jobs for one robot, hand and configuration.

    Args:
        sessions_dir: where sessions without a folder of their own are put.
        camera_pose: where the camera is now, for the calibration's hash; raises LookupError where it is not known.
    """

    def __init__(self, config_dir: Path, robot: RobotConfig, hand: HandConfig, search: SearchConfig, rewards: RewardConfig,
                 basis: Basis, sessions_dir: Path, camera_pose: Callable[[], Pose]) -> None:
        self._config_dir, self._robot, self._hand = config_dir, robot, hand
        self._search, self._rewards, self._basis, self._sessions_dir = search, rewards, basis, sessions_dir
        self._camera_pose = camera_pose

    def fine_tuning(self, task: str, episodes: int, seed: int, object_set: str, folder: str, force: bool) -> Job:
        """A session that learns. Raises DeftError BAD_GOAL."""
        search = self._search
        method = SearchMethod(make_search(search, self._basis, seed), self._basis, seed, search.max_draws, search.prior_every,
                              self._rewards.recheck_every, asks_policy=search.next_sample == "policy")
        return self._job(task, method, episodes, seed, object_set, folder, force)

    def evaluation(self, task: str, name: str, source: str, policy_file: str, trials: int, seed: int, object_set: str,
                   folder: str) -> Job:
        """Trials without learning.

        Args:
            name: prior, tuned, policy or versus.
            source: folder of the session whose residual or policy is tried.
            policy_file: a policy.yaml in place of the session's.

        Raises:
            DeftError: BAD_GOAL, SESSION_MISMATCH (another hand or task), NO_RESIDUAL.
        """
        if name not in EVALUATIONS:
            raise DeftError(codes.BAD_GOAL, f"unknown method '{name}'; valid: {', '.join(EVALUATIONS)}")
        if policy_file and name not in ("policy", "versus"):
            raise DeftError(codes.BAD_GOAL, f"method {name} asks no policy; say policy or versus, or leave the policy out")
        if name != "prior" and not (source or policy_file):
            raise DeftError(codes.BAD_GOAL, f"method {name} needs the folder of a session, or a policy where it asks one")
        size, session = self._basis.space.size, Path(source).expanduser()
        policy = ""
        if name == "prior":
            method = FixedMethod(name, size, None)
        elif name == "policy" or policy_file:
            method = PolicyMethod(name, size)
            policy = str(Path(policy_file).expanduser() if policy_file else session / "policy.yaml")
            self._refuse_another(Path(policy), task)
        else:
            method = FixedMethod(name, size, tuned_of(read(session), session, task, self._basis.space.names))
        return self._job(task, method, trials * (2 if name == "versus" else 1), seed, object_set, folder, policy_file=policy)

    def _refuse_another(self, policy: Path, task: str) -> None:
        """Raises DeftError SESSION_MISMATCH: of another task or hand. One that cannot be read is refused when it is asked."""
        try:
            origin = yaml.safe_load(policy.read_text())["origin"]
            found = {"task": origin["task"], "hand": origin["hand"]}
        except (OSError, yaml.YAMLError, TypeError, KeyError):
            return
        for what, wanted in (("task", task), ("hand", self._hand.name)):
            if found[what] != wanted:
                raise DeftError(codes.SESSION_MISMATCH, f"{policy} is a policy of the {what} {found[what]}, not of {wanted}")

    def _job(self, task_name: str, method: Method, episodes: int, seed: int, object_set: str, folder: str,
             force: bool = False, policy_file: str = "") -> Job:
        try:
            task = load_task(self._config_dir, task_name)
        except ConfigError as error:
            raise DeftError(codes.BAD_GOAL, str(error)) from None
        if episodes < 1:
            raise DeftError(codes.BAD_GOAL, f"a session needs at least one episode, not {episodes}")
        if object_set not in OBJECT_SETS:
            raise DeftError(codes.BAD_GOAL, f"unknown object set '{object_set}'; valid: {', '.join(OBJECT_SETS)}")
        robot = self._robot.model_dump(mode="json")
        camera = robot.pop("camera") | self._placed()
        tuned = method.result([]) if isinstance(method, FixedMethod) else None
        resolved = {"software_version": __version__, "task": task.model_dump(mode="json"), "robot": robot,
                    "calibration": camera, "hand": self._hand.model_dump(mode="json"),
                    "residual_sigma": self._basis.space.sigma.tolist(),
                    "search": self._search.model_dump(mode="json"), "rewards": self._rewards.model_dump(mode="json"),
                    "tuned": None if tuned is None else tuned.tolist(), "policy": _policy_hash(policy_file),
                    "method": method.name, "seed": seed, "episodes": episodes, "object_set": object_set}
        hashed = {key: resolved[key] for key in ("task", "robot", "hand", "search", "rewards", "tuned", "policy")}
        spec = SessionSpec(task.name, method.name, episodes, seed, object_set, content_hash(hashed), content_hash(camera),
                           self._basis.space.names, resolved, self._rewards.calibration_episodes)
        stamp = f"{datetime.datetime.now():%Y-%m-%d_%H-%M-%S}"
        path = Path(folder).expanduser() if folder else self._sessions_dir / task.name / f"{method.name}_{stamp}"
        return Job(spec, task, path, method, force, policy_file)

    def _placed(self) -> dict[str, Any]:
        """Where a camera is that tf2 places, in place of what the robot's YAML says. Raises DeftError BAD_GOAL."""
        if not self._robot.camera.tf:
            return {}
        try:
            pose = self._camera_pose()
        except LookupError as error:
            raise DeftError(codes.BAD_GOAL, f"{error}; the session notes the calibration that it was made with") from None
        turn = pose.rotation.as_euler("xyz")
        return {"optical_in_base": {"xyz": pose.position.round(CALIBRATION_DIGITS).tolist(),
                                    "rpy": turn.round(CALIBRATION_DIGITS).tolist()}}


def _policy_hash(policy_file: str) -> str | None:
    """Of a policy.yaml, which says what its weights are; None without one. Raises DeftError NO_RESIDUAL."""
    if not policy_file:
        return None
    try:
        return content_hash(Path(policy_file).read_text())
    except OSError as error:
        raise DeftError(codes.NO_RESIDUAL, f"there is no policy at {policy_file} ({error.strerror}); make one with "
                        "`deft fit --session FOLDER`") from None
