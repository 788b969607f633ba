"""Every core module works where ROS is not: all are imported with rclpy and the messages made unimportable."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SRC = Path(__file__).resolve().parent.parent.parent / "src"
# Thin ROS layers; everything else is core.
ROS_SIDE = ("/ros/", "node.py", "graph_skills.py", "robot_port.py", "deft_operator/client.py", "deft_operator/progress.py",
            "deft_operator/graph_link.py", "deft_operator/panel/",
            "deft_operator/web/app.py", "deft_operator/web/server.py", "markers.py",
            "deft_motion/watch.py", "deft_motion/commands.py", "deft_motion/planners.py", "moveit/scene.py",
            "moveit/move_group.py", "deft_drivers/fault_word.py",
            "deft_bringup/xarm_launching.py", "deft_bringup/allegro_launching.py", "deft_bringup/launching.py",
            "deft_bringup/graph.py", "setup.py", "episode_records.py", "deft_cem/recorder.py", "deft_cem/policy_client.py")

ALSO = {"deft_human_video": ("deft_perception", "deft_retarget"), "deft_cem": ("deft_bag",), "deft_policy": ("deft_bag",)}

CHECK = """
import importlib, importlib.abc, sys
class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split('.')[0] in ('rclpy', 'deft_msgs', 'sensor_msgs', 'geometry_msgs', 'rosgraph_msgs', 'std_msgs',
                                  'visualization_msgs'):
            raise ImportError(f'{name} is blocked')
sys.meta_path.insert(0, Blocked())
for name in sys.argv[1:]:
    importlib.import_module(name)
"""


def core_modules() -> list[str]:
    modules = []
    for file in sorted(SRC.glob("deft_*/deft_*/**/*.py")):
        relative = file.relative_to(SRC).as_posix()
        if not any(part in relative for part in ROS_SIDE):
            modules.append(".".join(file.relative_to(SRC).with_suffix("").parts[1:]).removesuffix(".__init__"))
    return modules


def test_core_imports_without_ros():
    modules = core_modules()
    assert {"deft_core.types", "deft_cem.loop", "deft_motion.gate", "deft_sim.world", "deft_retarget.axis_mapping",
            "deft_perception.observation", "deft_affordance.heuristic"} <= set(modules)
    result = subprocess.run([sys.executable, "-c", CHECK, *modules], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[-2000:]


def test_packages_do_not_import_each_other():
    """Only the rooms above all others (bringup, and the studies) may see more than deft_core and deft_msgs; the
    human videos, which nothing below bringup needs, may see how pictures are segmented and what a human hand is, and
    who writes or fits sessions may see what a bag is."""
    for file in SRC.glob("deft_*/deft_*/**/*.py"):
        package = file.relative_to(SRC).parts[0]
        if package in ("deft_bringup", "deft_bench"):
            continue
        for line in file.read_text().splitlines():
            words = line.split()
            if words[:1] in (["from"], ["import"]) and len(words) > 1 and words[1].startswith("deft_"):
                assert words[1].split(".")[0] in (package, "deft_core", "deft_msgs", *ALSO.get(package, ())), \
                    f"{file}: {line}"
