"""The set on which a hand is filmed: table, thing, clutter, light, skin, and a camera on the head. MuJoCo renders it."""

from __future__ import annotations

import cv2
import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from deft_core.types import Array, Intrinsics, Pose
from deft_human_video.hand_mesh import HandMesh
from deft_human_video.synthetic.motion import Shot
from deft_human_video.synthetic.split import Split, cells
from deft_human_video.synthetic.things import Thing

TEXTURE = 256             # pixels
NOISE_TILE = 64           # pixels by which the sensor's noise is moved about from frame to frame
SHADE = 0.25               # share by which the colours of surfaces in neighbouring cells of a split differ
FOREARM = 0.24            # m
AWAY = np.array([0.0, 0.0, -3.0])  # m, where what is not to be seen is put
DEPTH_NOISE = 0.0012      # m at 1 m, growing with the square of distance, as a stereo camera's does
SKINS = ((0.96, 0.80, 0.69), (0.90, 0.71, 0.58), (0.80, 0.60, 0.46), (0.66, 0.46, 0.33), (0.50, 0.33, 0.23), (0.36, 0.23, 0.16))
# (3, 3): the optical frame's axes (x right, y down, z ahead) in MuJoCo's camera frame (x right, y up, z behind)
OPTICAL = np.diag([1.0, -1.0, -1.0])


def surface(rng: np.random.Generator, split: Split = Split.all) -> NDArray[np.uint8]:
    """(TEXTURE, TEXTURE, 3) uint8: grain, tiles, weave or spots of a table or wall, of the split. It repeats."""
    while True:
        base = np.clip(rng.uniform(0.15, 0.8) + rng.uniform(0.0, 0.12) * np.array([1.0, 0.15, -0.7]) + rng.normal(0, 0.03, 3),
                       0.1, 0.9)
        other = rng.uniform(-0.14, 0.14) + rng.uniform(-0.03, 0.03, 3)
        kind = int(rng.integers(4))
        if split.has("surface", [kind, *cells(base, SHADE)]):
            break
    stretch = {0: (1.5, 24.0), 1: (3.0, 3.0), 2: (6.0, 6.0), 3: (1.0, 1.0)}[kind]
    grain = gaussian_filter(rng.standard_normal((TEXTURE, TEXTURE)), stretch, mode="wrap")
    pattern = grain / grain.std()
    if kind == 2:
        lines = np.arange(TEXTURE) % (TEXTURE // int(rng.choice([2, 4, 8]))) < 4
        pattern = 0.3 * pattern + 1.5 * (lines[:, None] | lines[None])
    spots = gaussian_filter(rng.standard_normal((TEXTURE, TEXTURE)), 2.0, mode="wrap")
    colour = base + 0.5 * other * pattern[..., None] + 0.25 * other[::-1] * (spots / spots.std())[..., None]
    return np.asarray(np.clip(colour, 0.02, 0.98) * 255, np.uint8)


def skin_texture(rng: np.random.Generator, hand: HandMesh) -> tuple[NDArray[np.uint8], Array]:
    """The skin's colour (n, n, 3) uint8 and where each vertex finds its own in it, (V, 2): mottled, redder at the knuckles."""
    tone = np.array(SKINS[int(rng.integers(len(SKINS)))]) * rng.uniform(0.92, 1.06)
    size = hand.vertices.max(axis=0) - hand.vertices.min(axis=0)
    place = (hand.vertices - hand.vertices.min(axis=0)) / size
    mottle = gaussian_filter(rng.standard_normal((TEXTURE, TEXTURE)), 4.0)
    image = tone + 0.03 * (mottle / mottle.std())[..., None] * np.array([0.6, 1.0, 1.0])
    x = (hand.skeleton.joints[1:] - hand.vertices.min(axis=0)) / size * (TEXTURE - 1)
    v, u = np.mgrid[:TEXTURE, :TEXTURE]
    for joint in x:
        near = np.exp(-((u - joint[0]) ** 2 + (v - joint[2]) ** 2) / (2 * 7.0**2))
        image = image - near[..., None] * np.array([0.02, 0.07, 0.07])
    return np.asarray(np.clip(image, 0.02, 0.98) * 255, np.uint8), place[:, [0, 2]]


def _material(spec: mujoco.MjSpec, name: str, pixels: NDArray[np.uint8], repeat: float = 1.0, shine: float = 0.1) -> str:
    spec.add_texture(name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=pixels.shape[1], height=pixels.shape[0], nchannel=3,
                     data=pixels.ravel())
    material = spec.add_material(name=name, specular=shine, shininess=0.3, texrepeat=[repeat, repeat])
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    return name


class Film:
    """Renders shots of one scene. Use from one thread, and close it (OpenGL)."""

    def __init__(self, thing: Thing, hand: HandMesh, intrinsics: Intrinsics, rng: np.random.Generator,
                 split: Split = Split.all) -> None:
        self._intrinsics = intrinsics
        spec = mujoco.MjSpec()
        spec.visual.global_.offwidth, spec.visual.global_.offheight = intrinsics.width, intrinsics.height
        spec.visual.quality.shadowsize, spec.visual.quality.offsamples = 512, 0
        spec.visual.map.znear, spec.stat.extent, spec.stat.center = 0.02, 1.0, [0, 0, 0]
        self._noise = np.random.default_rng(rng.integers(2**63))
        self._grain = np.round(2.0 * self._noise.standard_normal(
            (intrinsics.height + NOISE_TILE, intrinsics.width + NOISE_TILE, 3), np.float32)).astype(np.int16)
        self._add_room(spec, rng, split)
        self._add_thing(spec, thing)
        self._add_clutter(spec, rng)
        self._add_hand(spec, hand, rng)
        camera = spec.worldbody.add_body(name="head", mocap=True)
        camera.add_camera(name="camera", fovy=float(np.degrees(2 * np.arctan(intrinsics.height / 2 / intrinsics.fy))))
        self._hand = hand
        self._model = spec.compile()
        self._data = mujoco.MjData(self._model)
        self._slots = {name: int(self._model.body(name).mocapid[0]) for name in
                       ("head", "thing", "forearm", *(f"joint{j}" for j in range(16)))}
        self._renderer = mujoco.Renderer(self._model, intrinsics.height, intrinsics.width)
        self._thing_geoms = [g for g in range(self._model.ngeom)
                             if self._model.body(self._model.geom_bodyid[g]).name in ("thing", "fixed")]

    def close(self) -> None:
        self._renderer.close()

    def place(self, shot: Shot, fixed: Pose) -> None:
        """Put everything where the shot has it. `fixed` is where the thing's fixed parts stay (world)."""
        body = self._model.body("fixed").id
        self._model.body_pos[body], self._model.body_quat[body] = fixed.position, fixed.rotation.as_quat(scalar_first=True)
        self._put("head", Pose(shot.camera.position, shot.camera.rotation * Rotation.from_matrix(OPTICAL)))
        self._put("thing", shot.thing)
        if shot.wrist is None:
            for name in ("forearm", *(f"joint{j}" for j in range(16))):
                self._put(name, Pose(AWAY, Rotation.identity()))
        else:
            turns, positions = self._hand.joint_frames(shot.mano_pose)
            for j in range(16):
                self._put(f"joint{j}", shot.wrist @ Pose(positions[j], Rotation.from_matrix(turns[j])))
            self._put("forearm", Pose(shot.wrist.position, _z_along(shot.elbow)))
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_camlight(self._model, self._data)

    def rgb(self) -> NDArray[np.uint8]:
        """The camera's picture (h, w, 3), with a sensor's noise."""
        self._renderer.update_scene(self._data, "camera")
        clean = cv2.GaussianBlur(self._renderer.render(), (3, 3), 0.6).astype(np.int16)  # a lens; it also hides jagged edges
        u, v = self._noise.integers(NOISE_TILE, size=2)
        noise = self._grain[v:v + clean.shape[0], u:u + clean.shape[1]]
        return np.asarray(np.clip(clean + noise, 0, 255), np.uint8)

    def depth(self) -> NDArray[np.uint16]:
        """(h, w) mm along the optical axis with a stereo camera's noise; 0 = none."""
        self._renderer.enable_depth_rendering()
        self._renderer.update_scene(self._data, "camera")
        z = self._renderer.render().astype(np.float32)
        self._renderer.disable_depth_rendering()
        coarse = self._noise.standard_normal((z.shape[0] // 8 + 1, z.shape[1] // 8 + 1), np.float32)
        noisy = z + DEPTH_NOISE * z * z * cv2.resize(coarse, z.shape[::-1], interpolation=cv2.INTER_LINEAR)
        edge = np.maximum(np.abs(np.gradient(z, axis=0)), np.abs(np.gradient(z, axis=1))) > 0.03
        return np.where(edge | (z > 3.0), 0, np.round(1000 * noisy)).astype(np.uint16)

    def segments(self) -> NDArray[np.uint8]:
        """(h, w): 1 where the thing is seen, 2 where the hand is, else 0."""
        self._renderer.enable_segmentation_rendering()
        self._renderer.update_scene(self._data, "camera")
        ids, kinds = np.moveaxis(self._renderer.render(), -1, 0)
        self._renderer.disable_segmentation_rendering()
        thing = (kinds == int(mujoco.mjtObj.mjOBJ_GEOM)) & np.isin(ids, self._thing_geoms)
        return np.where(thing, 1, np.where(kinds == int(mujoco.mjtObj.mjOBJ_SKIN), 2, 0)).astype(np.uint8)

    def _put(self, name: str, pose: Pose) -> None:
        slot = self._slots[name]
        self._data.mocap_pos[slot], self._data.mocap_quat[slot] = pose.position, pose.rotation.as_quat(scalar_first=True)

    def _add_room(self, spec: mujoco.MjSpec, rng: np.random.Generator, split: Split) -> None:
        world = spec.worldbody
        half = [rng.uniform(0.6, 0.9), rng.uniform(0.45, 0.7), 0.02]
        world.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=half, pos=[0, 0.15, -0.02], contype=0, conaffinity=0,
                       material=_material(spec, "table", surface(rng, split), rng.uniform(1.0, 3.0)))
        world.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[3, 3, 0.1], pos=[0, 0, -0.75], contype=0, conaffinity=0,
                       material=_material(spec, "floor", surface(rng, split), 8.0, 0.0))
        world.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=[3, 0.02, 2], pos=[0, rng.uniform(0.9, 1.6), 0], contype=0,
                       conaffinity=0, material=_material(spec, "wall", surface(rng, split), 4.0, 0.0))
        spec.visual.headlight.ambient, spec.visual.headlight.diffuse = [rng.uniform(0.25, 0.45)] * 3, [rng.uniform(0.1,
                                                                                                                   0.3)] * 3
        spec.visual.headlight.specular = [0.05] * 3
        for k in range(int(rng.integers(1, 3))):
            towards = rng.uniform([-0.7, -0.5, 0.8], [0.7, 0.7, 1.4])
            warm = rng.uniform(0.9, 1.1)
            world.add_light(pos=list(1.3 * towards), dir=list(-towards), castshadow=k == 0,
                            diffuse=list(rng.uniform(0.25, 0.5) * np.array([warm, 1.0, 2 - warm])), specular=[0.15] * 3)

    @staticmethod
    def _add_thing(spec: mujoco.MjSpec, thing: Thing) -> None:
        bodies = (spec.worldbody.add_body(name="thing", mocap=True), spec.worldbody.add_body(name="fixed"))
        for body, parts in zip(bodies, (thing.moving, thing.fixed), strict=True):
            for k, (solid, rgb) in enumerate(parts):
                spec.add_material(name=f"{body.name}{k}", rgba=[*rgb, 1.0], specular=0.3, shininess=0.5)
                solid.draw(spec, body, f"{body.name}{k}")

    @staticmethod
    def _add_clutter(spec: mujoco.MjSpec, rng: np.random.Generator) -> None:
        """Blocks and tins behind and beside the thing, where no hand passes."""
        for k in range(int(rng.integers(0, 4))):
            side = -1.0 if rng.random() < 0.7 else 1.0
            at = [side * rng.uniform(0.26, 0.42), rng.uniform(0.05, 0.4)] if rng.random() < 0.7 else [
                rng.uniform(-0.3, 0.3), rng.uniform(0.34, 0.5)]
            wide, deep, high = rng.uniform(0.02, 0.05, 3)
            tin = rng.random() < 0.5
            spec.add_material(name=f"clutter{k}", rgba=[*rng.uniform(0.05, 0.95, 3), 1.0])
            spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_CYLINDER if tin else mujoco.mjtGeom.mjGEOM_BOX,
                                    size=[wide, high, 0] if tin else [wide, deep, high], pos=[*at, high],
                                    quat=Rotation.from_euler("z", rng.uniform(0, 3)).as_quat(scalar_first=True),
                                    material=f"clutter{k}", contype=0, conaffinity=0)

    @staticmethod
    def _add_hand(spec: mujoco.MjSpec, hand: HandMesh, rng: np.random.Generator) -> None:
        for j in range(16):
            spec.worldbody.add_body(name=f"joint{j}", mocap=True)
        pixels, coordinates = skin_texture(rng, hand)
        used = [np.flatnonzero(hand.weights[:, j] > 1e-4) for j in range(16)]
        skin = spec.add_skin(name="hand", material=_material(spec, "skin", pixels, 1.0, 0.15))
        skin.vert, skin.face, skin.texcoord = hand.vertices.ravel(), hand.faces.ravel(), coordinates.ravel()
        skin.bodyname = [f"joint{j}" for j in range(16)]
        skin.bindpos, skin.bindquat = hand.skeleton.joints.ravel(), np.tile([1.0, 0, 0, 0], 16)
        skin.vertid = [rows.tolist() for rows in used]
        skin.vertweight = [hand.weights[rows, j].tolist() for j, rows in enumerate(used)]
        arm = spec.worldbody.add_body(name="forearm", mocap=True)
        bare = rng.random() < 0.5
        rgb = pixels.reshape(-1, 3).mean(axis=0) / 255 if bare else rng.uniform(0.05, 0.9, 3)
        spec.add_material(name="forearm", rgba=[*rgb, 1.0], specular=0.05)
        size = hand.skeleton.length * (0.13 if bare else 0.17)
        arm.add_geom(type=mujoco.mjtGeom.mjGEOM_CAPSULE, size=[size, 0, 0], material="forearm", contype=0, conaffinity=0,
                     fromto=[0, 0, size * (0.35 if bare else 0.9), 0, 0, FOREARM])


def _z_along(direction: Array) -> Rotation:
    """A rotation whose z axis points this way."""
    return Rotation.align_vectors(direction[None], [[0.0, 0.0, 1.0]])[0]
