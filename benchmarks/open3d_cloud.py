"""Open3D's side of benchmarks/perception.py, run by the python of the peers' environment: DEPTH.npy fx fy cx cy -> JSON."""

import ctypes
import json
import sys

import numpy as np
from timing import median_ms

try:
    import libusb_package  # Open3D links to libusb for its own cameras; this brings it where the system has none

    ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
except ImportError:
    pass
import open3d as o3d

REPEATS = 30


def main() -> None:
    depth = np.load(sys.argv[1])
    fx, fy, cx, cy = map(float, sys.argv[2:6])
    height, width = depth.shape
    extrinsic = np.eye(4)
    extrinsic[:3, 3] = 0.1, 0.2, 0.3
    legacy_image = o3d.geometry.Image(depth)
    legacy_camera = o3d.camera.PinholeCameraIntrinsic(width, height, fx, fy, cx, cy)
    tensor_image = o3d.t.geometry.Image(depth)
    tensor_camera = o3d.core.Tensor(np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]))
    tensor_extrinsic = o3d.core.Tensor(extrinsic)
    print(json.dumps({
        "legacy": median_ms(lambda: o3d.geometry.PointCloud.create_from_depth_image(
            legacy_image, legacy_camera, extrinsic, depth_scale=1000.0, depth_trunc=10.0), REPEATS),
        "tensor": median_ms(lambda: o3d.t.geometry.PointCloud.create_from_depth_image(
            tensor_image, tensor_camera, tensor_extrinsic, depth_scale=1000.0, depth_max=10.0), REPEATS)}))


if __name__ == "__main__":
    main()
