"""Sessions of a study: deft_cem's own loop, journal and summary, on the simulated robot in this process."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from deft_bag.episodes import RecordedEpisode, RecordedSession
from deft_bench.sim_robot import SimRobot
from deft_bench.skills import BenchSkills, Table, crop_of, never
from deft_cem import codes
from deft_cem.asking import Asking
from deft_cem.control import SessionControl
from deft_cem.jobs import Job, Jobs
from deft_cem.loop import FineTuningLoop, recorded_grasp
from deft_cem.rewards.automatic import make_judge
from deft_cem.rewards.config import RewardConfig
from deft_cem.rewards.desk import RewardDesk
from deft_cem.search import make_search
from deft_cem.search.basis import Basis, make_basis
from deft_cem.search.config import SearchConfig
from deft_cem.search.gaussian import Scored
from deft_cem.session import Session
from deft_cem.summary import read, summarise, write
from deft_core.config import default_config_dir, find, load
from deft_core.descriptions import HandConfig, RobotConfig, load_task
from deft_core.errors import DeftError
from deft_core.neural import import_torch
from deft_core.residual import ResidualSpace
from deft_core.types import GraspParameters
from deft_policy.config import Encoder, PolicyConfig, PolicyKind
from deft_policy.fitting import Features, fit_policy
from deft_policy.storage import restore, store
from deft_sim.operator import OperatorConfig

ROBOT, HAND = "xarm7_sim", "allegro_right"
TRIAL_SEED = 1000  # of the scenes of all trials, as `deft evaluate` has it


@dataclass(frozen=True)
class Training:
    """How a session learns.

    Attributes:
        prior: learned | heuristic.
        wrist: the heuristic's wrist, whatever the task names; "" = the task's.
        operator: how the scripted person scores.
    """

    prior: str = "learned"
    wrist: str = ""
    search: SearchConfig = field(default_factory=SearchConfig)
    rewards: RewardConfig = field(default_factory=RewardConfig)
    operator: OperatorConfig = field(default_factory=lambda: OperatorConfig(resolution=0.05, noise=0.0, lapse=0.0))


def one_core() -> None:
    """Let this process use one core: studies run one process a core."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import_torch().set_num_threads(1)


@lru_cache(maxsize=1)
def _described() -> tuple[RobotConfig, HandConfig]:
    folder = default_config_dir()
    return load(RobotConfig, find(folder, "robots", ROBOT)), load(HandConfig, find(folder, "hands", HAND))


@lru_cache(maxsize=2)
def _table(task: str, seed: int, prior: str, wrist: str) -> Table:
    """Robot and table, kept for the next session on the same task."""
    described = load_task(default_config_dir(), task)
    described = described.model_copy(update={"heuristic_wrist": wrist}) if wrist else described
    rig = SimRobot(*_described(), described, seed, prior)
    rig.retargeter.warm_up()
    return Table(rig)


def _basis(training: Training) -> Basis:
    """Where its search works."""
    hand = _described()[1]
    return make_basis(training.search, hand.motors, hand.name, default_config_dir())


def _jobs(training: Training) -> tuple[Jobs, ResidualSpace]:
    folder, (robot, hand), basis = default_config_dir(), _described(), _basis(training)
    return Jobs(folder, robot, hand, training.search, training.rewards, basis, folder,
                robot.camera.optical_in_base.pose), basis.space


def fine_tune(task: str, training: Training, seed: int, episodes: int, folder: Path) -> dict[str, Any]:
    """A session that learns, run to its end; its summary. One that was interrupted goes on, a finished one is read.

    Raises:
        DeftError: as Session and FineTuningLoop. ConfigError: an unknown task, or an encoder without its checkpoint.
    """
    jobs, space = _jobs(training)
    return _run(jobs.fine_tuning(task, episodes, seed, "train", str(folder), force=False), space, training, seed)


def try_out(task: str, training: Training, deployed: str, objects: str, trials: int, source: Path | None,
            folder: Path, scenes: int = TRIAL_SEED) -> dict[str, Any]:
    """Trials without learning on scenes that are the same for all; their summary.

    Args:
        training: of the session in `source`, whose prior is used.
        deployed: prior | tuned | policy.
        objects: train | test.
        source: of tuned the session's folder, of policy that of its policy.yaml.
        scenes: their seed.
    """
    alike = replace(training, rewards=RewardConfig())
    jobs, space = _jobs(alike)
    file = str(source / "policy.yaml") if deployed == "policy" and source else ""
    session = "" if file or source is None else str(source)
    return _run(jobs.evaluation(task, deployed, session, file, trials, scenes, objects, str(folder)), space, alike,
                scenes)


def _run(job: Job, space: ResidualSpace, training: Training, seed: int) -> dict[str, Any]:
    """Run a session to its end, where it has not ended yet."""
    session = Session(job.folder, job.spec, job.force)
    try:
        if session.next_episode() is not None or not (job.folder / "summary.json").exists():
            _go_through(session, _loop(session, job, space, training, seed))
            write(job.folder / "summary.json", summarise(session, job.method))
        return read(job.folder)
    finally:
        session.close()


def _go_through(session: Session, loop: FineTuningLoop) -> None:
    """Run a loop to its end: an episode that the robot failed at three times is one that failed, and the next one's turn."""
    while True:
        done = len(session.finished())
        try:
            loop.run()
            return
        except DeftError as error:
            if error.code != codes.PIPELINE_FAILED or len(session.finished()) == done:
                raise


def _loop(session: Session, job: Job, space: ResidualSpace, training: Training, seed: int) -> FineTuningLoop:
    """The loop of a session, with the robot parked."""
    table, desk = _table(job.task.name, seed, training.prior, training.wrist), RewardDesk()
    policy = restore(Path(job.policy_file)) if job.policy_file else None
    features = _features(policy.config.encoder, policy.config.checkpoint) if policy is not None and policy.sees else None
    skills = BenchSkills(table, job.spec.object_set, desk, training.operator, seed, job.folder / "crops", policy, features)
    goal = default_config_dir() / job.task.goal_image if job.task.goal_image else None
    by_picture = training.rewards.source in ("suggested", "automatic")
    judge = make_judge(training.rewards, goal, job.task.text) if by_picture else None
    skills.wants_final_picture = judge is not None
    control = SessionControl(session, desk)
    asking = Asking(session, desk, skills, control, training.rewards, judge, never)
    table.rig.world.push_back()
    table.lay(job.spec.object_set, 0)  # what happened in another session's scenes is forgotten
    return FineTuningLoop(session, job.method, space, skills, asking, control, lambda _: None, lambda _: None, lambda _: None,
                          never, reset_first=True)


# -- what a session came to -------------------------------------------------------------------------------


def successes(summary: dict[str, Any], trials: int) -> int:
    """Of the first trials; one that could not be executed is none."""
    return sum(e["success"] is True for e in summary["episodes"] if e["episode"] < trials)


def held_back(summary: dict[str, Any], trials: int) -> int:
    """Of the first trials, those in which less than the wanted residual was executed, down to the prior alone."""
    return sum(bool(e["fallback"]) for e in summary["episodes"] if e["episode"] < trials)


def recommended(folder: Path, training: Training, episodes: int) -> Path:
    """A folder with the session's summary as it stood after its first episodes, and what the search recommended then."""
    out, summary = folder / "recommended" / str(episodes), read(folder)
    if not (out / "summary.json").exists():
        known = [e for e in summary["episodes"] if e["episode"] < episodes]
        basis = _basis(training)
        search = make_search(training.search, basis, summary["seed"])
        search.tell([Scored(e["episode"], basis.to_z(np.array(e["eps"])), e["reward"]) for e in known
                     if e["status"] == "scored" and not e["control"]])
        z = search.result()
        out.mkdir(parents=True, exist_ok=True)
        write(out / "summary.json", summary | {"episodes": known, "tuned": None if z is None else basis.to_eps(z).tolist()})
    return out


def recorded(folder: Path, summary: dict[str, Any], space: ResidualSpace, text: str, episodes: int) -> RecordedSession:
    """The first episodes of a session as its bag would give them."""
    known = tuple(_episode(folder / "crops", e) for e in summary["episodes"] if e["episode"] < episodes)
    return RecordedSession(summary["session"], summary["task"], text, summary["object_set"], summary["seed"], HAND, ROBOT, "",
                           space, known, ())


def grasp_of(record: dict[str, Any] | None) -> GraspParameters | None:
    """A grasp as summaries write it; None where there is none."""
    return recorded_grasp(record, HAND, _described()[0].base_frame) if record else None


def _episode(crops: Path, e: dict[str, Any]) -> RecordedEpisode:
    xi = grasp_of(e["xi"])
    reward = np.nan if e["reward"] is None else e["reward"]
    return RecordedEpisode(e["episode"], e["attempt"], 0, e["status"], reward, e["reward_source"], e["success"], e["control"],
                           e["repeat_of"], e["note"], xi, None, np.array(e["eps"] or []), crop_of(crops, e["episode"]), (), {})


@lru_cache(maxsize=4)
def _features(encoder: Encoder, checkpoint: str) -> Features:
    """The encoder, loaded once a process."""
    return Features(PolicyConfig(kind=PolicyKind.cvae, encoder=encoder, checkpoint=checkpoint))


def fit(folder: Path, training: Training, name: str, config: PolicyConfig, episodes: int) -> Path:
    """Fit a policy to the first episodes of a finished session; the folder that its policy.yaml is in.

    Args:
        name: of the policy among those of the session.

    Raises:
        DeftError: TOO_FEW, NOT_FINITE.
    """
    out = folder / "policies" / f"{name}_{episodes}"
    if not (out / "policy.yaml").exists():
        summary = read(folder)
        text = load_task(default_config_dir(), summary["task"]).text
        known = recorded(folder, summary, _basis(training).space, text, episodes)
        features = None if config.kind is PolicyKind.elite_mean else _features(config.encoder, config.checkpoint)
        store(fit_policy(known, config, summary["seed"], features), out)
    return out
