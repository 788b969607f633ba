"""Parameters of the search: what Algorithm 1 leaves open, each with its default. The reasons are in docs/search.md."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from deft_cem.search.bo import BoConfig
from deft_cem.search.cma_es import CmaConfig
from deft_cem.search.deft import DeftConfig
from deft_cem.search.deft_plus import DeftPlusConfig, Groups
from deft_core.config import Config
from deft_core.residual import ResidualSpace


class SearchConfig(Config):
    """Which search, where it looks, and the parameters of each."""

    algorithm: Literal["deft", "deft_plus", "cma", "bo", "random"] = Field(
        default="deft", description="deft (Algorithm 1) | deft_plus | cma | bo | random (the control: no refit)")
    sigma: Groups = Field(default=(0.025, 0.22, 0.125),
                          description="first standard deviation: contact m, wrist rad, joints rad")
    bound: Groups = Field(default=(0.08, 0.80, 0.50), description="eps is clipped to this: contact m, wrist rad, joints rad")
    hand_basis: Literal["joints", "synergies", "grip"] = Field(
        default="joints", description="in what the hand is varied: each joint; the synergies of human grasps "
        "(config/synergies); or how far fingers and thumb close, along the `squeeze` of its YAML")
    synergies: int = Field(default=4, ge=1, description="how many of them")
    vary_trajectory: bool = Field(default=False, description="whether eps also shifts the trajectory tau")
    trajectory_sigma: float = Field(default=0.03, gt=0.0, description="first standard deviation of that, m")
    trajectory_bound: float = Field(default=0.10, gt=0.0, description="and what it is clipped to, m")
    max_draws: int = Field(default=20, ge=1, description="samples tried when the robot cannot execute one")
    prior_every: int = Field(default=0, ge=0,
                             description="every so many episodes the prior alone is executed, to measure whether the "
                             "search is better; 0 = never")
    next_sample: Literal["distribution", "policy"] = Field(
        default="distribution", description="what draws the samples once the search leads: its distribution, or the residual "
        "policy, fitted again after every episode")
    deft: DeftConfig = Field(default=DeftConfig(), description="Algorithm 1; warmup and elites hold for random, too")
    deft_plus: DeftPlusConfig = Field(default=DeftPlusConfig(), description="rank regression")
    cma: CmaConfig = Field(default=CmaConfig(), description="CMA-ES")
    bo: BoConfig = Field(default=BoConfig(), description="Bayesian optimisation")

    def space(self, joint_names: tuple[str, ...]) -> ResidualSpace:
        """The residual space of a hand."""
        space = ResidualSpace.by_group(joint_names, self.sigma, self.bound)
        return space.with_trajectory(self.trajectory_sigma, self.trajectory_bound) if self.vary_trajectory else space
