"""PyTorch after a picture was rendered: in a process of its own, because a failure would end it."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import mujoco
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><light pos='0 0 2'/><geom size='.1'/></worldbody></mujoco>")
data = mujoco.MjData(model)
renderer = mujoco.Renderer(model, 48, 64)
mujoco.mj_forward(model, data)
renderer.update_scene(data)
renderer.render()
from deft_core.neural import import_torch
torch = import_torch()
layer = torch.nn.Linear(2, 1)
optimiser = torch.optim.AdamW(layer.parameters())
layer(torch.ones(2)).sum().backward()
optimiser.step()
print("learned")
"""


def test_a_network_learns_in_the_process_of_the_renderer():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0 and done.stdout.strip() == "learned", done.stderr[-2000:]
