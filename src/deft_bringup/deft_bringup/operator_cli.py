"""`deft panel | report`: the operator's windows, and what a session did as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deft_bringup.exits import EXIT_FAILED, EXIT_USAGE, explained, fail
from deft_bringup.ros_client import ros


def panel(web: Annotated[bool, typer.Option("--web", help="serve the panel as a web page, for a tablet")] = False,
          robot: Annotated[str, typer.Option(help="name of a file in config/robots: whose camera is shown")] = "xarm7_sim",
          host: Annotated[str, typer.Option(help="with --web: address to listen on; another than this machine's own needs the "
                                            "token that is printed")] = "127.0.0.1",
          port: Annotated[int, typer.Option(min=1, max=65535, help="with --web")] = 8350,
          token: Annotated[str, typer.Option(help="with --web: a token of your own; empty: a new one each time")] = "") -> None:
    """Open the operator's panel: watch, approve and score grasps."""
    from deft_core.config import default_config_dir, find, load
    from deft_core.descriptions import RobotConfig

    with explained():
        camera = load(RobotConfig, find(default_config_dir(), "robots", robot)).camera
    if web:
        from deft_operator.web.access import Access, is_local, new_token
        from deft_operator.web.app import serve

        access = Access(token if token or is_local(host) else new_token())
        query = f"?token={access.token}" if access.token else ""
        Console().print(f"http://{host}:{port}/{query}", highlight=False, soft_wrap=True)
        with ros():
            try:
                serve(camera, host, port, access)
            except SystemExit:  # uvicorn has said why
                fail(f"port {port} of {host} cannot be used; choose another with --port", EXIT_FAILED)
        return
    try:
        from deft_operator.panel.app import show
    except ImportError as error:
        fail(f"Qt cannot be loaded ({error}); on a robot: `sudo apt install python3-pyqt5`, or use `deft panel --web`",
             EXIT_FAILED)
    with ros():
        status = show(camera)
    raise typer.Exit(status)


def report(sessions: Annotated[list[Path], typer.Argument(help="folders of sessions or evaluations", exists=True,
                                                          file_okay=False)],
           out: Annotated[Path | None, typer.Option(help="HTML to write; default: report.html in the session's folder, of "
                                                    "several comparison.html here")] = None,
           elites: Annotated[int, typer.Option(min=1, help="how many of the best episodes are marked")] = 5) -> None:
    """Write one self-contained HTML file of a session, or of several beside each other."""
    if out is not None and out.suffix.lower() not in (".html", ".htm"):
        fail(f"--out needs a name that ends in .html, not {out.name}", EXIT_USAGE)
    target = out or (sessions[0] / "report.html" if len(sessions) == 1 else Path("comparison.html"))
    with explained():
        write_report(sessions, target, elites)
    Console().print(str(target), highlight=False, soft_wrap=True)


def write_report(folders: list[Path], target: Path, elites: int = 5) -> None:
    """Read sessions and write their report. Raises DeftError BAD_GOAL: a folder holds no session of today's schema; OSError."""
    from deft_cem import codes
    from deft_cem.journal import peek
    from deft_cem.summary import SCHEMA_VERSION, read
    from deft_core.errors import DeftError
    from deft_operator.report.record import Event, SessionRecord, small_pictures
    from deft_operator.report.report import write

    records = []
    for folder in folders:
        summary = read(folder)
        if summary.get("schema_version") != SCHEMA_VERSION:
            raise DeftError(codes.BAD_GOAL, f"{folder} has a summary of another version of DEFT; run `deft finetune` with it "
                            "to have it written anew")
        events = [Event(r.time, r.kind, r.data) for r in peek(folder / "journal.jsonl")]
        attempts = {e["episode"]: e["attempt"] for e in summary["episodes"]}
        records.append(SessionRecord(str(folder.resolve()), summary, events,
                                     small_pictures(folder / "pictures", attempts)))
    write(records, target, elites)
