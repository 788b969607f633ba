"""A stand-in for the rest of the graph, so that sessions and the loop are tested without robot and ROS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from deft_cem.asking import Asking
from deft_cem.control import SessionControl
from deft_cem.loop import FineTuningLoop
from deft_cem.methods import SearchMethod
from deft_cem.rewards.config import RewardConfig
from deft_cem.rewards.desk import Answer, RewardDesk
from deft_cem.search import make_search
from deft_cem.search.basis import make_basis
from deft_cem.search.config import SearchConfig
from deft_cem.search.deft import DeftConfig
from deft_cem.session import Session, SessionSpec
from deft_cem.skills import Look, Outcome
from deft_core.config import default_config_dir
from deft_core.errors import DeftError
from deft_core.types import GraspParameters

JOINTS = tuple(f"j{i}" for i in range(16))
CONFIG = SearchConfig(deft=DeftConfig(warmup=3, elites=2))
SPACE = CONFIG.space(JOINTS)
XI = GraspParameters(np.array([0.5, 0.0, 0.05]), np.zeros(3), JOINTS, np.zeros(16), "hand")


def spec(episodes: int = 8, seed: int = 5, **changes: Any) -> SessionSpec:
    values = {"task": "t", "method": "deft", "episodes": episodes, "seed": seed, "object_set": "train", "config_hash": "h",
              "calibration_hash": "c", "residual_names": SPACE.names, "resolved": {"search": {"sigma": [1, 2, 3]}}}
    return SessionSpec(**{**values, **changes})


def method(config: SearchConfig = CONFIG, seed: int = 5, recheck_every: int = 0) -> SearchMethod:
    basis = make_basis(config, JOINTS, "hand", default_config_dir())
    return SearchMethod(make_search(config, basis, seed), basis, seed, config.max_draws, config.prior_every, recheck_every,
                        config.next_sample == "policy")


class StandInGraph:
    """Perception to motion as a function: the reward follows from what was executed."""

    def __init__(self, desk: RewardDesk, failures: dict | None = None, die_after: int | None = None,
                 answers: Callable[[Any, StandInGraph], None] | None = None) -> None:
        self.desk, self.failures, self.die_after = desk, failures or {}, die_after
        self.executed, self.last, self.asked, self.steps = [], None, [], 0
        self._answers = answers
        self.proposed, self.on_proposal = [], None
        self.contacts: dict[int, np.ndarray] = {}
        self.fits: list[int] = []  # how many episodes were scored at each fit
        self.fits_when_asked: list[int] = []  # of the policy's residuals, how many fits there had been

    def _step(self, name):
        self.steps += 1
        if self.die_after is not None and self.steps > self.die_after:
            raise KeyboardInterrupt
        queue = self.failures.get(name, [])
        if queue and (error := queue.pop(0)):
            raise DeftError(error, f"{name} failed on purpose")

    def observe(self, task):
        self._step("observe")
        return Look(None, {})

    def predict(self, look, task, seed):
        self._step("predict")
        return XI

    def check(self, grasp, look, task):
        self._step("check")

    def execute(self, grasp, look, task, seed, on_phase):
        self._step("execute")
        self.last = grasp
        self.executed.append(SPACE.between(XI, grasp))
        return Outcome(grasp, 0.0, "", [("hold", 1.0, 2.0)])

    def residual(self, look, xi, seed):
        self._step("residual")
        self.fits_when_asked.append(len(self.fits))
        return np.clip(0.5 * np.random.default_rng(seed).standard_normal(SPACE.size), -1.0, 1.0) * SPACE.sigma

    def fit_policy(self, seed, on_progress):
        self._step("fit_policy")
        self.fits.append(len(self.session.scored()))
        return "policy fitted"

    def park(self, seed):
        self._step("park")

    def propose(self, proposal):
        self.proposed.append(proposal)
        if proposal is not None and proposal.needs_answer and self.on_proposal is not None:
            self.on_proposal(proposal)

    def final_picture(self, episode, attempt):
        if self.last is None:
            return None
        return np.full((4, 4, 3), int(255 * quality(self.last.contact)), np.uint8)

    def ask(self, request):
        if request is None:
            return
        self.asked.append(request)
        self._step("ask")
        if self._answers is not None:
            self._answers(request, self)
            return
        self.answer(request)

    def answer(self, request):
        """As an attentive operator would."""
        if request.outcome is None:
            self.desk.submit("", -1, Answer(0.0, True, None, ""))
            return
        self.contacts[request.episode] = np.array(request.outcome["executed"]["contact"])
        reward = quality(self.contacts[request.episode])
        comparison = ""
        if request.comparison is not None:
            other = quality(self.contacts[request.comparison.other])
            comparison = "better" if reward > other else "worse" if reward < other else "equal"
        self.desk.submit("", request.episode, Answer(reward, False, reward > 0.5, "", comparison))


def quality(contact: np.ndarray) -> float:
    """0..1, how near a contact comes to the best."""
    return round(float(np.exp(-20 * np.linalg.norm(contact - XI.contact))), 3)


class Brightness:
    """A judge: the brighter the picture, the better."""

    def value(self, picture):
        return float(picture.mean()) - 1000.0


def run(folder, graph_options=None, episodes=8, cancelled=lambda: False, config=CONFIG, rewards=None, judge=None,
        on_progress=lambda progress, control: None, on_executed=lambda state: None, fit_policy=False, made=None, **changes):
    """A session to its end, its folder released."""
    rewards = rewards or RewardConfig()
    session = Session(folder, spec(episodes, **changes))
    desk = RewardDesk()
    graph, control = StandInGraph(desk, **(graph_options or {})), SessionControl(session, desk)
    graph.control, graph.session = control, session
    asking = Asking(session, desk, graph, control, rewards, judge, cancelled)
    loop = FineTuningLoop(session, made or method(config, recheck_every=rewards.recheck_every), SPACE, graph, asking, control,
                          lambda p: on_progress(p, control), on_executed, lambda s: None, cancelled, reset_first=False,
                          fit_policy=fit_policy)
    try:
        loop.run()
    finally:
        session.close()
    return session, graph
