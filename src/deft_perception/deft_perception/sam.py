"""The Segment Anything backend: masks from a pixel or a box, or all masks that stand on the table.

The paper's pipeline cuts objects out with Segment Anything (section 3). Weights are not shipped; see docs/perception.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from deft_core.config import Config, nearest
from deft_core.descriptions import Positive
from deft_core.errors import ConfigError, DeftError
from deft_core.neural import import_torch
from deft_perception import codes
from deft_perception.devices import chosen_device
from deft_perception.scene import Mask, Prompt, TableScene

MODEL_TYPES = ("vit_b", "vit_l", "vit_h")


class SamConfig(Config):
    """`sam.` parameters of the perception node."""

    checkpoint: str = Field(default="", description="path of the weights, e.g. sam_vit_b_01ec64.pth")
    model_type: str = Field(default="vit_b", description="vit_b, vit_l or vit_h, as the weights are")
    device: str = Field(default="auto", description="auto, cpu, cuda or cuda:1...; half precision on CUDA")
    points_per_side: int = Field(default=24, gt=0, description="grid of pixels that automatic masks start from")
    min_height: Positive = Field(default=0.008, description="m above the table that the middle of an automatic mask needs")
    max_share: Positive = Field(default=0.25, description="of the image, larger automatic masks are background")
    min_pixels: int = Field(default=150, gt=0, description="smaller automatic masks are noise")


def load_sam(config: SamConfig) -> Any:
    """The model on its device, ready. Raises ConfigError that says what to install or where to look."""
    if config.model_type not in MODEL_TYPES:
        raise ConfigError(f"unknown sam.model_type '{config.model_type}': {nearest(config.model_type, MODEL_TYPES)}")
    import_torch()
    try:
        import segment_anything
    except ImportError:
        raise ConfigError("backend sam needs the package: pip install segment-anything") from None
    path = Path(config.checkpoint).expanduser()
    if not config.checkpoint or not path.is_file():
        raise ConfigError(f"sam.checkpoint '{config.checkpoint}' is no file; docs/perception.md names the weights of "
                          f"{config.model_type} and the command that fetches them, or use backend tabletop")
    device = chosen_device(config.device, "sam.device")
    try:
        model = segment_anything.sam_model_registry[config.model_type](checkpoint=str(path))
    except Exception as error:  # torch raises what pickle, zipfile or load_state_dict raise
        raise ConfigError(f"sam.checkpoint {path} cannot be loaded as {config.model_type}: {str(error)[:200]}") from None
    return model.to(device).eval()


class SamSegmenter:
    """See Segmenter.

    Args:
        model: as load_sam gives it.
    """

    name = "sam"

    def __init__(self, model: Any, config: SamConfig) -> None:
        self._torch, self._config = import_torch(), config
        from segment_anything import SamAutomaticMaskGenerator, SamPredictor

        self._predictor = SamPredictor(model)
        self._generator = SamAutomaticMaskGenerator(model, points_per_side=config.points_per_side)
        self._half = str(model.device).startswith("cuda")

    def warm_up(self, height: int, width: int) -> None:
        """Run once on an empty picture: the first run allocates, and chooses kernels."""
        self._predict(np.zeros((height, width, 3), np.uint8), Prompt(point=(width / 2, height / 2)))

    def prompted(self, scene: TableScene, prompt: Prompt) -> tuple[Mask, float]:
        """See Segmenter: of the three masks that are offered, the best that stands on the table."""
        masks, scores = self._predict(scene.rgb, prompt)
        scores = scores * [standing_share(scene, mask, 0.0) for mask in masks]
        best = int(np.argmax(scores))
        if scores[best] <= 0.0:
            where = f"pixel {prompt.point}" if prompt.point else f"box {prompt.box}"
            raise DeftError(codes.NO_OBJECT, f"nothing that stands on the table at the prompt {where}; point at the object")
        return masks[best], float(np.clip(scores[best], 0.0, 1.0))

    def _predict(self, rgb: NDArray[np.uint8], prompt: Prompt) -> tuple[list[Mask], NDArray[np.float64]]:
        """Masks (h, w) and their predicted overlaps for a prompt in pixels of this picture."""
        with self._inference():
            self._predictor.set_image(rgb)
            point = None if prompt.point is None else np.array([prompt.point], float)
            masks, scores, _ = self._predictor.predict(
                point_coords=point, point_labels=None if point is None else np.ones(1, int),
                box=None if prompt.box is None else np.array(prompt.box, float), multimask_output=True)
        return list(masks), np.asarray(scores, float)

    def things(self, scene: TableScene) -> list[Mask]:
        """See Segmenter: automatic masks that stand on the table; of nested ones the largest."""
        with self._inference():
            records = self._generator.generate(scene.rgb)
        masks = [record["segmentation"] for record in sorted(records, key=lambda r: -r["area"])]
        limit = self._config.max_share * scene.depth.size
        kept: list[Mask] = []
        for mask in masks:
            pixels = int(mask.sum())
            if not self._config.min_pixels <= pixels <= limit or standing_share(scene, mask, self._config.min_height) < 0.5:
                continue
            if all((mask & other).sum() < 0.5 * pixels for other in kept):
                kept.append(mask)
        return kept

    def refined(self, scene: TableScene, mask: Mask) -> Mask:
        """See Segmenter: the masks are exact already."""
        return mask

    @contextmanager
    def _inference(self) -> Iterator[None]:
        """No gradients; half precision on CUDA, full precision, which is faster there, on the CPU."""
        with self._torch.inference_mode(), self._torch.autocast("cuda", self._torch.float16, enabled=self._half):
            yield


def standing_share(scene: TableScene, mask: Mask, min_height: float) -> float:
    """Share of a mask's pixels with depth that are in the object region and more than `min_height` (m) above the table."""
    coarse = mask[::scene.step, ::scene.step]
    known = coarse & np.isfinite(scene.height)
    if not known.any():
        return 0.0
    return float((scene.inside[known] & (scene.height[known] > min_height)).mean())
