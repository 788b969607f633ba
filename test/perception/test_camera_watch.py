"""Frozen cameras and clocks that jump; clicks; pictures of what went wrong."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from deft_core.errors import DeftError
from deft_perception import codes
from deft_perception.camera_watch import CameraWatch
from deft_perception.clicks import LIFETIME, Clicks
from deft_perception.debug_pictures import KEEP, DebugPictures

SECOND = 10**9


def fed(watch: CameraWatch, stamps: list[float], pictures: list[bytes]) -> CameraWatch:
    for stamp, picture in zip(stamps, pictures, strict=True):
        watch.seen(round(stamp * SECOND), received=stamp, depth=picture)
    return watch


def code_of(call) -> int:
    with pytest.raises(DeftError) as caught:
        call()
    return caught.value.code


def test_a_camera_that_lives_is_left_alone():
    fed(CameraWatch(5), [k / 30 for k in range(50)], [bytes([k % 250]) for k in range(50)]).check()


def test_equal_pictures_in_a_row_mean_a_frozen_camera():
    watch = fed(CameraWatch(5), [k / 30 for k in range(4)], [b"same"] * 4)
    watch.check()
    watch.seen(5 * SECOND, 5.0, b"same")
    assert code_of(watch.check) == code_of(watch.check) == codes.CAMERA_FROZEN, "as long as it lasts"
    watch.seen(6 * SECOND, 6.0, b"another")
    watch.check()
    fed(CameraWatch(0), [k / 30 for k in range(99)], [b"same"] * 99).check()


@pytest.mark.parametrize("after", [2.0, 1e6])
def test_a_clock_that_jumps_is_told_once(after):
    watch = fed(CameraWatch(5), [100.0, 100.1], [b"a", b"b"])
    watch.seen(round(after * SECOND), 100.2, b"c")
    assert code_of(watch.check) == codes.CLOCK_JUMP
    watch.check()


def test_a_camera_that_was_away_and_sets_out_of_order_are_no_jump():
    fed(CameraWatch(5), [100.0, 175.0, 174.9, 175.1], [b"a", b"b", b"c", b"d"]).check()


def test_a_click_is_a_pixel_once_and_for_a_minute(robot):
    now = [0.0]
    clicks, camera = Clicks(robot, lambda: now[0]), robot.camera
    k, in_base = camera.intrinsics(), np.array([0.55, -0.05, 0.02])
    pixel = clicks.add(in_base, "base_link", k)
    in_camera = camera.optical_in_base.pose().inverse().apply(in_base)
    assert np.allclose(pixel, k.project(in_camera)) and np.allclose(clicks.add(in_camera, camera.frame, k), pixel)
    assert np.allclose(clicks.pixel(), pixel)
    clicks.used((1.0, 2.0))
    assert clicks.pixel() is not None, "another click was used"
    clicks.used(clicks.pixel())
    assert clicks.pixel() is None
    clicks.add(in_base, "base_link", k)
    now[0] = LIFETIME + 1
    assert clicks.pixel() is None


def test_clicks_that_cannot_be_meant_are_refused(robot):
    clicks, k = Clicks(robot), robot.camera.intrinsics()
    for point, frame in (((0.5, 0.0, 0.0), "map"), ((-3.0, 0.0, 0.0), "base_link"), ((np.nan, 0.0, 0.0), "base_link")):
        assert code_of(lambda point=point, frame=frame: clicks.add(np.array(point), frame, k)) == codes.BAD_INPUT
    assert clicks.pixel() is None


def test_pictures_show_what_was_wrong_and_the_oldest_go(tmp_path):
    rgb, depth = np.full((60, 80, 3), 90, np.uint8), np.full((60, 80), 0.7, np.float32)
    depth[:, :10] = np.nan
    mask = np.zeros((60, 80), bool)
    mask[20:40, 30:50] = True
    pictures = DebugPictures(tmp_path / "deep" / "down")
    path = pictures.save("refused 106", "two candidates are too close to call; click the object", rgb, depth, mask)
    assert path is not None and "refused_106" in path.name
    shown = cv2.imread(str(path))
    assert shown.shape[1] == 160 and shown.shape[0] > 60, "colour beside depth, and a line of text"
    assert (shown == [0, 255, 0]).all(axis=2).sum() > 50, "the outline"
    (path.parent / "holiday.png").write_bytes(b"")
    assert pictures.save("refused 106", "again", rgb, depth, mask) == path, "trouble that lasts"
    for k in range(KEEP + 5):
        pictures.save(f"x{k}", "y", rgb, depth)
    assert len(list(path.parent.glob("*.png"))) == KEEP + 1 and not path.exists()
    assert (path.parent / "holiday.png").exists(), "not ours"


def test_without_a_picture_or_a_disk_the_reason_still_comes_through(tmp_path):
    assert DebugPictures(tmp_path).save("x", "y", None, None) is None
    (tmp_path / "file").write_text("")
    rgb = np.zeros((6, 8, 3), np.uint8)
    assert DebugPictures(tmp_path / "file").save("x", "y", rgb, np.full((6, 8), np.nan, np.float32)) is None
