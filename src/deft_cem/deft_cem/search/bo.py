"""Bayesian optimisation with a Gaussian process (BoTorch) behind our ask and tell."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from pydantic import Field

from deft_cem.search.gaussian import Gaussian, best
from deft_cem.search.search import Search
from deft_core.config import Config
from deft_core.neural import import_torch, one_thread
from deft_core.types import Array

MONTE_CARLO = 32    # samples of the acquisition function
ITERATIONS = 30      # of the optimiser, each start
STEP_ASIDE = 0.2    # first sigmas, length of each step away from a sample that the robot could not execute


class BoConfig(Config):
    """BoTorch's own defaults stand but for these."""

    warmup: int = Field(default=10, ge=2, description="episodes drawn from the first distribution before the model is asked")
    box: float = Field(default=2.0, gt=0.0,
                       description="the model looks for samples within this many first sigmas of the prior")
    restarts: int = Field(default=2, ge=1, description="starts of each optimisation of the acquisition function")
    raw_samples: int = Field(default=64, ge=8, description="points tried to find those starts")


class BoSearch(Search):
    """SingleTaskGP on the scores, noisy log expected improvement for the next sample.

    The result is the best posterior mean over the box, as is usual under noise.
    """

    name = "bo"

    def __init__(self, size: int, seed: int, config: BoConfig) -> None:
        super().__init__(size, seed)
        self._config = config
        self._learned: Any = None

    @property
    def leads_from(self) -> int:
        """See Search."""
        return self._config.warmup

    def _learn(self) -> None:
        self._learned = None

    def ask(self, episode: int, draw: int) -> Array:
        """See Search. A sample that was refused is followed by draws around the model's choice."""
        if episode < self._config.warmup or len(self._scored) < self._config.warmup:
            return Gaussian.standard(self.size).sample(self._rng(episode, draw))
        torch = import_torch()
        from botorch.acquisition.logei import qLogNoisyExpectedImprovement
        from botorch.sampling.normal import SobolQMCNormalSampler

        def improvement(model: Any) -> Any:
            samples = SobolQMCNormalSampler(torch.Size([MONTE_CARLO]), seed=episode)
            return qLogNoisyExpectedImprovement(model, model.train_inputs[0], sampler=samples)

        chosen = self._optimum(improvement, episode)
        if draw == 0:
            return chosen
        return chosen + STEP_ASIDE * draw / self.size**0.5 * self._rng(episode, draw).standard_normal(self.size)

    def spread(self, episode: int) -> Gaussian:
        """See Search. Bayesian optimisation has no distribution; this is the first one around the best sample so far."""
        top = best(self._scored, 1) if episode >= self._config.warmup else []
        return Gaussian(top[0].z if top else np.zeros(self.size), np.eye(self.size))

    def result(self) -> Array | None:
        """See Search."""
        if len(self._scored) < self._config.warmup:
            return None
        import_torch()  # before BoTorch does
        from botorch.acquisition.analytic import PosteriorMean

        return self._optimum(PosteriorMean, 0)

    def _fitted(self) -> Any:
        """A process with what was fitted once after each `tell`: a fresh one, since what was asked of one before, and is
        cached in it, changes the last digits of what it answers."""
        import_torch()
        from botorch import fit_gpytorch_mll
        from gpytorch.mlls.exact_marginal_log_likelihood import ExactMarginalLogLikelihood

        model = self._process()
        if self._learned is None:
            with one_thread(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # scores may all be equal
                fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model),
                                 optimizer_kwargs={"options": {"maxiter": ITERATIONS}})
            self._learned = model.state_dict()
            model = self._process()
        model.load_state_dict(self._learned)
        return model.eval()

    def _process(self) -> Any:
        """A process that has not been fitted."""
        torch = import_torch()
        from botorch.models import SingleTaskGP
        from botorch.models.transforms.outcome import Standardize

        unit = torch.tensor(np.array([s.z for s in self._scored]) / (2 * self._config.box) + 0.5)
        scores = torch.tensor([[s.reward] for s in self._scored], dtype=torch.double)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # samples may lie outside the box
            return SingleTaskGP(unit, scores, outcome_transform=Standardize(1))

    def _optimum(self, function: Callable[[Any], Any], episode: int) -> Array:
        """z (size,) in the box where an acquisition function, made of the fitted process, is greatest."""
        torch = import_torch()
        from botorch.optim.optimize import optimize_acqf

        with one_thread(), warnings.catch_warnings(), torch.random.fork_rng():
            warnings.simplefilter("ignore")
            torch.manual_seed(int(np.random.SeedSequence([self._seed, episode]).generate_state(1)[0]))
            box = torch.stack([torch.zeros(self.size), torch.ones(self.size)]).double()
            unit, _ = optimize_acqf(function(self._fitted()), box, q=1, num_restarts=self._config.restarts,
                                    raw_samples=self._config.raw_samples, options={"seed": episode, "maxiter": ITERATIONS})
        return (unit[0].numpy() - 0.5) * 2 * self._config.box
