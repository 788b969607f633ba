"""`deft hand`: look at a robot hand's retargeting, check it, and fit its thumb. Needs neither ROS nor a robot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from deft_bringup.exits import EXIT_USAGE, explained, fail
from deft_core.config import default_config_dir, find, load
from deft_core.descriptions import HandConfig
from deft_core.errors import ConfigError

app = typer.Typer(help="Retarget human hands to a robot hand: check, draw, fit.", no_args_is_help=True)

SEED, SEQUENCES, FRAMES = 5, 10, 100  # natural poses that `check` retargets


Name = Annotated[str, typer.Argument(help="name of a file in config/hands, e.g. leap_right")]
Directory = Annotated[Path | None, typer.Option("--config-dir", help="folder with hands/; default: deft_bringup's")]
ManoFile = Annotated[Path | None, typer.Option("--mano-file", help="your licensed MANO_RIGHT.pkl in place of the free hand")]


@app.command()
def check(name: Name, config_dir: Directory = None, mano_file: ManoFile = None) -> None:
    """Load hand NAME, retarget 1000 natural poses by every method, and say how well that went."""
    from deft_retarget.kinematics import model_is_there
    from deft_retarget.motions import natural_poses
    from deft_retarget.retargeter import METHODS, Retargeter

    console = Console()
    with explained():
        hand, skeleton = _hand(name, config_dir), _skeleton(mano_file)
        poses = natural_poses(skeleton, SEQUENCES, FRAMES, SEED).reshape(-1, 45)
        model = "its own URDF" if model_is_there(hand) else "the table in its YAML (the URDF is not on this machine)"
        console.print(f"{hand.name}: {hand.side} hand, {len(hand.joint_names)} joints, {len(hand.motors)} motors; "
                      f"kinematics from {model}", highlight=False, soft_wrap=True)
        table = Table("method", "fingertip error, mm: median by finger", "joints at a limit", "not converged", box=None)
        for method in METHODS:
            retargeter = Retargeter(hand, method, skeleton)
            found = retargeter.batch(poses)
            errors = 1e3 * np.nanmedian(found.fingertip_errors, axis=0)
            busiest = found.saturated.mean(axis=0)
            worst = int(busiest.argmax())
            table.add_row(method, ", ".join(f"{f} {e:.0f}" for f, e in zip(retargeter.fingers, errors, strict=True)),
                          f"{100 * found.saturated.mean():.1f} % (most: {hand.joint_names[worst]}, "
                          f"{100 * busiest[worst]:.0f} %)",
                          f"{(~found.converged).sum()} of {len(poses)}")
        console.print(table)


@app.command()
def picture(name: Name, out: Annotated[Path, typer.Option(help="PNG to write")],
            gestures: Annotated[str, typer.Option(help="which, with commas; `deft hand gestures` lists them")
                                ] = "flat,half_closed,pinch,fist",
            pose: Annotated[Path | None, typer.Option(help="in place of gestures: a .npy of MANO poses (45,) or (N, 45), rad, "
                                                      "flat hand = 0", exists=True, dir_okay=False)] = None,
            method: Annotated[str | None, typer.Option(help="axis, vector or dexpilot; default: the hand's own")] = None,
            left: Annotated[bool, typer.Option("--left", help="the poses are of MANO's left hand")] = False,
            mean_hand: Annotated[bool, typer.Option("--mean-hand", help="the poses are relative to MANO's mean hand, "
                                                    "flat_hand_mean false; needs --mano-file")] = False,
            config_dir: Directory = None, mano_file: ManoFile = None) -> None:
    """Draw the human skeleton and robot hand NAME side by side."""
    from deft_core.config import nearest
    from deft_retarget.motions import GESTURES, gesture
    from deft_retarget.pictures import compare
    from deft_retarget.retargeter import Retargeter
    from deft_retarget.skeleton import mirrored

    if out.suffix.lower() != ".png":
        fail(f"--out needs a name that ends in .png, not {out.name}", EXIT_USAGE)
    if not out.absolute().parent.is_dir():
        fail(f"--out: there is no folder '{out.parent}'", EXIT_USAGE)
    side: Literal["left", "right"] = "left" if left else "right"
    with explained():
        skeleton = _skeleton(mano_file)
        if pose:
            rows = np.atleast_2d(skeleton.flat_pose(_poses(pose), not mean_hand, side))
            if not len(rows):
                raise ConfigError(f"'{pose}' holds no pose")
            poses = [(f"{pose.name}, pose {i}", row) for i, row in enumerate(rows)]
        else:
            for wanted in gestures.split(","):
                if wanted not in GESTURES:
                    raise ConfigError(f"unknown gesture '{wanted}': {nearest(wanted, GESTURES)}")
            shown = mirrored if left else np.asarray  # gestures are of a right hand
            poses = [(wanted, shown(gesture(skeleton, wanted))) for wanted in gestures.split(",")]
        compare(Retargeter(_hand(name, config_dir), method, skeleton), poses, out, side)
    Console().print(str(out), highlight=False, soft_wrap=True)


@app.command()
def gestures() -> None:
    """List the gestures that `picture` knows."""
    from deft_retarget.motions import GESTURES

    Console().print("\n".join(GESTURES))


@app.command("fit-thumb")
def fit(name: Name, config_dir: Directory = None, mano_file: ManoFile = None) -> None:
    """Print rows for the thumb in `retarget.joints` of hand NAME, fitted to what the optimiser finds on natural poses."""
    from deft_retarget.fit_thumb import fit_thumb

    with explained():
        found = fit_thumb(_hand(name, config_dir), _skeleton(mano_file))
    for joint, row in found.rows.items():
        print(f'    "{joint}": {{{", ".join(f"{key}: {value}" for key, value in row.items())}}}')
    Console(stderr=True).print(f"median error of the thumb's tip: {1e3 * found.before:.0f} mm with the present rows, "
                               f"{1e3 * found.after:.0f} mm with these, {1e3 * found.optimiser:.0f} mm by the optimiser",
                               highlight=False, soft_wrap=True)


@app.command("synergies")
def find_hand_synergies(name: Name,
                        labels: Annotated[list[Path], typer.Option(help="folder of grasp labels, from `deft extract` or `deft "
                                                                   "synthesize-labels`; may be repeated")],
                        out: Annotated[Path | None, typer.Option(help="YAML to write; default: synergies/NAME.yaml of the "
                                                                 "configuration")] = None,
                        config_dir: Directory = None, mano_file: ManoFile = None) -> None:
    """Find the synergies of hand NAME in human grasps, for `search.hand_basis: synergies`."""
    import yaml

    from deft_affordance.training.rows import read_rows
    from deft_retarget.retargeter import Retargeter
    from deft_retarget.synergies import find_synergies

    with explained():
        hand = _hand(name, config_dir)
        poses = np.array([row.hand for row in read_rows(labels)])
        found = find_synergies(Retargeter(hand, None, _skeleton(mano_file)), hand.motors, poses)
    path = out or (config_dir or default_config_dir()) / "synergies" / f"{name}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {"hand": name, "poses": found.poses, "joint_names": list(hand.motors),
            "explained": [round(float(x), 4) for x in found.explained],
            "components": [[round(float(x), 4) for x in row] for row in found.components]}
    path.write_text(f"# Synergies of human grasps on this hand: `deft hand synergies {name} --labels ...`. Components in rad, "
                    "one\n# standard deviation each, the largest first; explained: share of the poses' variance.\n"
                    + yaml.safe_dump(data, sort_keys=False, default_flow_style=None, width=120))
    Console().print(f"{path}: {found.poses} poses; the first four explain {100 * found.explained[:4].sum():.0f} %",
                    highlight=False, soft_wrap=True)


def _hand(name: str, config_dir: Path | None) -> HandConfig:
    return load(HandConfig, find(config_dir or default_config_dir(), "hands", name))


def _skeleton(mano_file: Path | None):  # type: ignore[no-untyped-def]
    from deft_retarget.mano_file import skeleton_of

    return skeleton_of(mano_file)


def _poses(path: Path) -> np.ndarray:
    try:
        poses = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ConfigError(f"'{path}' is no .npy of numbers: {error}") from None
    if not isinstance(poses, np.ndarray):
        raise ConfigError(f"'{path}' holds several arrays: save one as .npy")
    return poses
