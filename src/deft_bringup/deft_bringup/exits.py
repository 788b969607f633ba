"""How `deft` and its subcommands end: one sentence on stderr and an exit status."""

from __future__ import annotations

import typer
from rich.console import Console

EXIT_FAILED, EXIT_USAGE, EXIT_CANCELLED = 1, 2, 130


def fail(message: str, code: int) -> None:
    """Print the message and end the command. Raises typer.Exit."""
    Console(stderr=True).print(f"deft: {message}", style="red", highlight=False, soft_wrap=True)
    raise typer.Exit(code)
