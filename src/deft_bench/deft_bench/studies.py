"""The studies: which sessions are run, and which of their results are tried out, for the paper's tables and Figure 4."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import joblib
import yaml

from deft_affordance.network.weights import SHIPPED
from deft_bench.sessions import TRIAL_SEED, Training, fine_tune, fit, held_back, one_core, recommended, successes, try_out
from deft_cem import __version__
from deft_cem.codes import NO_RESIDUAL
from deft_cem.rewards.config import RewardConfig
from deft_cem.search.config import SearchConfig
from deft_cem.summary import write
from deft_core.config import content_hash, default_config_dir, nearest, parse
from deft_core.errors import ConfigError, DeftError
from deft_policy.codes import NOT_FINITE, TOO_FEW
from deft_policy.config import PolicyConfig, PolicyKind
from deft_sim.operator import OperatorConfig

TASKS = ("pick_cup", "pour_cup", "open_drawer", "pick_spoon", "scoop_grape", "stir_spoon")
ABLATED = ("pour_cup", "open_drawer", "pick_spoon")  # the paper's Table 2
OBJECTS = ("train", "test")
NOISE = 0.1  # standard deviation of a person's scores, which go from 0 to 1
SEARCHED = ("scoop_grape", "stir_spoon")  # where the prior neither nearly always nor nearly never succeeds
SEARCHES = ("deft_plus", "deft", "random", "cma", "bo")
NOTHING_LEARNED = (TOO_FEW, NOT_FINITE, NO_RESIDUAL)  # codes: a session that a policy or a residual cannot be had from
# Of what the defaults are chosen by: other seeds and scenes than those that are reported, and train objects only.
DEVELOPMENT_SEED, DEVELOPMENT_SCENES = 100, 2000
POINTS = (10, 20, 30)  # episodes after which Figure 4 tries policies out, and the searches' study what they recommend

GRIP: dict[str, Any] = {"hand_basis": "grip", "bound": (0.08, 0.80, 1.2)}
LED: dict[str, Any] = {"vary_trajectory": True, "trajectory_sigma": 0.015}
# What Algorithm 1 leaves open, one thing at a time and together, beside the defaults of its code
VARIANTS: dict[str, dict[str, Any]] = {
    "wide_joints": {"sigma": (0.025, 0.22, 0.25), "bound": (0.08, 0.80, 1.0)},
    "synergies": {"hand_basis": "synergies"},
    "wide_synergies": {"hand_basis": "synergies", "sigma": (0.025, 0.22, 0.25), "bound": (0.08, 0.80, 1.0)},
    "grip": {**GRIP, "sigma": (0.025, 0.22, 0.40)},
    "near_grip": {**GRIP, "sigma": (0.010, 0.10, 0.40)},
    "nearer_grip": {**GRIP, "sigma": (0.006, 0.06, 0.40)},
    "turning_grip": {**GRIP, "sigma": (0.010, 0.15, 0.15)},
    "led_grip": {**GRIP, "sigma": (0.010, 0.10, 0.40), **LED},
    "led_nearer_grip": {**GRIP, "sigma": (0.006, 0.06, 0.40), **LED},
    "led_plus": {"algorithm": "deft_plus", **GRIP, "sigma": (0.010, 0.10, 0.40), **LED},
    "narrow": {"sigma": (0.015, 0.13, 0.08)},
    "more_elites": {"deft": {"elites": 8}},
    "shrunk": {"deft": {"covariance": "shrunk"}},
}


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        training: name of how its sessions learn (see `trainings`); "" where none do.
        deployed: prior | tuned (what the search recommends) | the name of a policy (see `policies`).
        episodes: that the policy is fitted to or the search was told of; 0 = all of the session.
        objects: that it is tried out with.
    """

    label: str
    training: str
    deployed: str
    episodes: int = 0
    objects: tuple[str, ...] = OBJECTS

    def name(self, session: int) -> str:
        """Of its trials' folder, for a session of so many episodes."""
        return f"{self.deployed}_{self.episodes or session}"


def trainings(checkpoints: dict[str, str]) -> dict[str, Training]:
    """How sessions learn, by name.

    Args:
        checkpoints: paths of the weights of encoders that do not come with DEFT, by their names (resnet18, r3m).
    """
    person = OperatorConfig(resolution=0.05, noise=NOISE, lapse=0.0)
    deft = Training(operator=person)

    def by_pictures(encoder: str) -> Training:
        return replace(deft, rewards=parse(RewardConfig, {"source": "automatic", "encoder": encoder,
                                                          "checkpoint": checkpoints.get(encoder, "")}, "rewards"))

    shipped = _section("deft_cem")["search"]
    found = {"deft": deft, "real_world_only": replace(deft, prior="heuristic", wrist="palm_down"),
             "no_refit": replace(deft, search=SearchConfig(algorithm="random")),
             "defaults": replace(deft, prior=str(_section("deft_affordance")["prior"]),
                                 search=parse(SearchConfig, shipped, "finetune.yaml, search"),
                                 rewards=parse(RewardConfig, _section("deft_cem")["rewards"], "finetune.yaml, rewards")),
             **{search_of(name): replace(deft, search=parse(SearchConfig, {**shipped, "algorithm": name}, "finetune.yaml"))
                for name in SEARCHES},
             "pictures": by_pictures("efficientnet_lite0"),
             **{name: replace(deft, search=parse(SearchConfig, fields, name)) for name, fields in VARIANTS.items()}}
    return found | {encoder: by_pictures(encoder) for encoder in checkpoints}


def policies() -> dict[str, PolicyConfig]:
    """Policies by name: each kind, and what DEFT fits by default."""
    return {**{kind.value: PolicyConfig(kind=kind) for kind in PolicyKind},
            "defaults": parse(PolicyConfig, _section("deft_policy")["policy"], "finetune.yaml, policy")}


def _section(node: str) -> dict[str, Any]:
    """A node's parameters as config/finetune.yaml has them."""
    known: dict[str, Any] = yaml.safe_load((default_config_dir() / "finetune.yaml").read_text())[f"/**/{node}"]
    return dict(known["ros__parameters"])


def _first(known: dict[str, Any], wanted: str = "defaults") -> str:
    """The first name of what is wanted: the same sessions and policies, where they are the same."""
    return next(name for name in known if known[name] == known[wanted])


def table1() -> list[Row]:
    """The paper's Table 1, with the control that never refits, and what DEFT does by default, searched by Algorithm 1, too."""
    known, ours = trainings({}), _first(policies())
    return [Row("Real-World Only", "real_world_only", "cvae"), Row("Affordance Only", "", "prior"),
            Row("DEFT (Algorithm 1, cVAE)", "deft", "cvae"), Row("no refit, mean of the best 10", "no_refit", "elite_mean"),
            Row("our defaults, searched by deft", _first(known, search_of("deft")), ours),
            Row("our defaults", _first(known), ours)]


def table2(checkpoints: dict[str, str]) -> list[Row]:
    """The paper's Table 2: rewards from pictures, and other policies."""
    return [*(Row(f"reward: {encoder}", encoder, "cvae") for encoder in checkpoints),
            Row("reward: EfficientNet-Lite0", "pictures", "cvae"), Row("MLP", "deft", "mlp"),
            Row("Transformer", "deft", "transformer"), Row("Direct", "deft", "direct"),
            Row("mean of the best 10", "deft", "elite_mean"), Row("DEFT (Algorithm 1, cVAE)", "deft", "cvae")]


def _points(session: int) -> list[int]:
    """After how many episodes of a session results are tried out."""
    return [*(n for n in POINTS if n < session), session]


def curves(session: int) -> list[Row]:
    """The paper's Figure 4: success on train objects after 10, 20 and 30 episodes."""
    points = _points(session)
    return [*(Row(f"DEFT, {n} episodes", "deft", "cvae", n, ("train",)) for n in points),
            *(Row(f"Real-World Only, {n} episodes", "real_world_only", "cvae", n, ("train",)) for n in points),
            Row("Affordance Only", "", "prior", 0, ("train",))]


def search_of(algorithm: str) -> str:
    """The name of the training with a search in the numbers of finetune.yaml."""
    return f"search_{algorithm}"


def searches(session: int) -> list[Row]:
    """All searches beside each other, in the numbers that sessions begin with: what they recommend after 10, 20 and 30
    episodes, and the prior alone."""
    points, known = _points(session), trainings({})
    return [Row("the prior alone", "", "prior"),
            *(Row(f"{name}, {n} episodes", _first(known, search_of(name)), "tuned", n) for name in SEARCHES for n in points)]


def variants(names: Sequence[str]) -> list[Row]:
    """What Algorithm 1 leaves open, on development seeds and scenes: the mean of the elites after all episodes.

    Raises:
        ConfigError: an unknown name.
    """
    for name in names:
        if name not in VARIANTS:
            raise ConfigError(f"unknown variant '{name}': {nearest(name, VARIANTS)}")
    return [Row("the prior alone", "", "prior", 0, ("train",)),
            *(Row(name, name, "tuned", 0, ("train",)) for name in ("deft", *names))]


@dataclass(frozen=True)
class Study:
    """What is run.

    Attributes:
        seeds: sessions of each training and task, from `first_seed` on.
        scenes: seed of the trials' scenes.
        episodes: of a session; trials: with each set of objects.
        folder: of all sessions; studies share them.
    """

    rows: tuple[Row, ...]
    tasks: tuple[str, ...]
    seeds: int
    episodes: int
    trials: int
    folder: Path
    checkpoints: dict[str, str]
    first_seed: int = 0
    scenes: int = TRIAL_SEED


@dataclass(frozen=True)
class Piece:
    """What one process does at a time: a session and the trials of what came of it. Without a training: the prior's trials."""

    task: str
    training: str
    seed: int
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Outcome:
    """Of a row, on one task, from one session.

    Attributes:
        successes: of the trials, by set of objects; a trial that could not be executed is none.
        held_back: of the trials, those with less than the wanted residual, by set of objects.
        folders: of the trials, by set of objects.
        training: whether each episode of the session succeeded; None where nobody said so.
        why: why nothing could be tried out, "" where it could: that counts as no success.
    """

    row: Row
    task: str
    seed: int
    trials: int
    successes: dict[str, int]
    held_back: dict[str, int]
    folders: dict[str, Path]
    training: tuple[bool | None, ...]
    why: str = ""


def pieces(study: Study) -> list[Piece]:
    """The study's work, the same task together, so that a process finds its scenes known."""
    names = dict.fromkeys(row.training for row in study.rows)
    return [Piece(task, name, seed, tuple(row for row in study.rows if row.training == name))
            for task in study.tasks for k in range(study.seeds) for name in names if name or not k
            for seed in [study.first_seed + k]]


def run(study: Study, jobs: int) -> Iterator[list[Outcome]]:
    """Do the pieces, `jobs` processes at a time; what each came to, as it is done. What was done before is read.

    Raises:
        ConfigError: a folder holds sessions of other settings.
        DeftError: a session could not be run to its end; run again to go on with it.
    """
    known = trainings(study.checkpoints)
    _note_settings(study, known)
    todo = pieces(study)
    parallel = joblib.Parallel(n_jobs=jobs, batch_size=1, return_as="generator_unordered")
    yield from parallel(joblib.delayed(do)(study, piece, known.get(piece.training, Training())) for piece in todo)


def ordered(study: Study, outcomes: Iterable[Outcome]) -> list[Outcome]:
    """In the study's order, however the processes came to an end: the same study is reported in the same words."""
    return sorted(outcomes, key=lambda o: (study.tasks.index(o.task), o.seed, study.rows.index(o.row)))


def _note_settings(study: Study, known: dict[str, Training]) -> None:
    """Write beside the sessions how they are made. Raises ConfigError: they were made otherwise."""
    study.folder.mkdir(parents=True, exist_ok=True)
    made = {"scenes": study.scenes, "software": __version__, "prior_weights": content_hash(SHIPPED.read_bytes()),
            "policies": {name: config.model_dump(mode="json") for name, config in policies().items()}}
    _note(study.folder / "made.json", made)
    for name in {row.training for row in study.rows} - {""}:
        if name not in known:
            raise ConfigError(f"the rewards of {name} need its checkpoint")
        t = known[name]
        weights = Path(t.rewards.checkpoint)
        _note(study.folder / f"{name}.json", {
            "prior": t.prior, "wrist": t.wrist, "search": t.search.model_dump(mode="json"),
            "rewards": t.rewards.model_dump(mode="json", exclude={"checkpoint"}),
            "checkpoint": content_hash(weights.read_bytes()) if t.rewards.checkpoint else "",
            "operator": t.operator.model_dump(mode="json"), "episodes": study.episodes})


def _note(file: Path, now: dict[str, Any]) -> None:
    """Write down settings, or compare them with those that are written down. Raises ConfigError: they differ."""
    if not file.exists():
        write(file, now)
        return
    try:
        before = json.loads(file.read_text())
    except ValueError:
        raise ConfigError(f"{file} cannot be read; use another --out") from None
    if before != now:
        differ = [key for key in now if before.get(key) != now[key]]
        raise ConfigError(f"what is in {file.parent} was made with another {', '.join(differ)} ({file.name}); use another "
                          "--out")


def do(study: Study, piece: Piece, training: Training) -> list[Outcome]:
    """One piece, in the process that calls. Raises DeftError, ConfigError."""
    one_core()
    if not piece.training:
        folder = study.folder / piece.task / "prior"
        return [_tried(study, piece, row, training, "prior", None, folder, ()) for row in piece.rows]
    folder = study.folder / piece.task / piece.training / f"seed_{piece.seed}"
    summary = fine_tune(piece.task, training, piece.seed, study.episodes, folder)
    learned, known = tuple(e["success"] for e in summary["episodes"]), policies()
    found = []
    for row in piece.rows:
        trials = folder / "trials" / row.name(study.episodes)
        try:
            n = row.episodes or study.episodes
            if row.deployed == "tuned":
                deployed, source = "tuned", recommended(folder, training, n)
            else:
                deployed, source = "policy", fit(folder, training, row.deployed, known[row.deployed], n)
            found.append(_tried(study, piece, row, training, deployed, source, trials, learned))
        except DeftError as error:
            if error.code not in NOTHING_LEARNED:
                raise
            none = dict.fromkeys(row.objects, 0)
            found.append(Outcome(row, piece.task, piece.seed, study.trials, none, none, {}, learned, error.message))
    return found


def _tried(study: Study, piece: Piece, row: Row, training: Training, deployed: str, source: Path | None, folder: Path,
           learned: Sequence[bool | None]) -> Outcome:
    """The trials of a row. Raises DeftError."""
    folders = {objects: folder / objects for objects in row.objects}
    summaries = {objects: try_out(piece.task, training, deployed, objects, study.trials, source, where, study.scenes)
                 for objects, where in folders.items()}
    return Outcome(row, piece.task, piece.seed, study.trials,
                   {objects: successes(s, study.trials) for objects, s in summaries.items()},
                   {objects: held_back(s, study.trials) for objects, s in summaries.items()}, folders, tuple(learned))
