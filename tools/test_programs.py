"""See that the programs of the system that the tests of the panels need are there: `python3 tools/test_programs.py`.

As root on Debian or Ubuntu what is missing is installed with apt; elsewhere the command to do so is named.
"""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
import sys

PROGRAMS = {"Xvfb": "xvfb", "chromium": "chromium"}
# What Qt's window plugin loads, and what Debian calls it
LIBRARIES = {"xcb-icccm": "libxcb-icccm4", "xcb-keysyms": "libxcb-keysyms1", "xcb-xinerama": "libxcb-xinerama0",
             "xcb-image": "libxcb-image0", "xcb-render-util": "libxcb-render-util0", "xcb-shape": "libxcb-shape0",
             "xcb-randr": "libxcb-randr0", "xcb-xkb": "libxcb-xkb1", "xkbcommon-x11": "libxkbcommon-x11-0",
             "dbus-1": "libdbus-1-3", "GL": "libgl1"}


def missing() -> list[str]:
    """Packages of what is not there."""
    return [package for program, package in PROGRAMS.items() if shutil.which(program) is None] + [
        package for library, package in LIBRARIES.items() if ctypes.util.find_library(library) is None]


def main() -> None:
    packages = missing()
    if not packages:
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"deft tests: installing {' '.join(packages)} with apt ...", flush=True)
        quiet = {"stdout": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
        subprocess.run(["apt-get", "update", "-qq"], check=False, **quiet)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages, "fonts-dejavu-core"],
                       check=False, **quiet)
    if packages := missing():
        sys.exit(f"deft tests: the panels are tested on a virtual screen and in a browser, which need `sudo apt install "
                 f"{' '.join(packages)}`")


if __name__ == "__main__":
    main()
