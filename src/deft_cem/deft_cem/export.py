"""A session's tuned residual as a file of its own, with what is known of its worth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from deft_cem import codes
from deft_cem.summary import read
from deft_core.errors import DeftError

UNMEASURED = "not measured against the prior"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        better: the residual's success rate is above the prior's by more than chance (95 %).
        words: the comparison in one line.
        advice: what to do where it is not.
    """

    better: bool
    words: str
    advice: str


def exported(session: Path, evaluation: Path | None, out: Path) -> Exported:
    """Write the YAML.

    Args:
        session: of a fine-tuning.
        evaluation: of `deft evaluate --method versus`, in place of what the session itself measured.

    Raises:
        DeftError: BAD_GOAL (no such summaries), NO_RESIDUAL, SESSION_MISMATCH (the evaluation is of another residual).
    """
    summary = read(session)
    if not summary.get("tuned"):
        raise DeftError(codes.NO_RESIDUAL, f"{session} holds too few scored episodes for a residual")
    gate = summary.get("gate")
    if evaluation is not None:
        trials = read(evaluation)
        if trials["method"] != "versus" or trials["tuned"] != summary["tuned"]:
            raise DeftError(codes.SESSION_MISMATCH, f"{evaluation} is no evaluation of {session} against the prior; make one "
                            f"with `deft evaluate {summary['task']} --method versus --from {session}`")
        gate = trials["gate"]
    words = gate["words"] if gate else UNMEASURED
    better = gate is not None and gate["verdict"] == "better"
    data = {"task": summary["task"], "session": summary["session"], "method": summary["method"],
            "config_hash": summary["config_hash"], "calibration_hash": summary["calibration_hash"],
            "shown_better_than_prior": better, "gate": words,
            "residual": dict(zip(summary["residual_names"], summary["tuned"], strict=True))}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("# eps: added to every grasp of the prior; contact and tau in metres, wrist and joints in rad\n"
                   + yaml.safe_dump(data, sort_keys=False))
    return Exported(better, words, "The prior alone may do as well. Measure both on the robot, in turns, before you rely on "
                    f"it: deft evaluate {summary['task']} --method versus --from {session}, then deft export --evaluation")
