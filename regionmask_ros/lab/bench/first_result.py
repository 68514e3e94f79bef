"""The first result in a process of its own: ``python -m regionmask_ros.lab.bench.first_result NETWORK STARTED``.

STARTED: the reading of the monotonic clock when this process was asked for. Prints how long it took, as JSON: wall_s,
and cpu_s of this process's threads.
"""

from __future__ import annotations

import json
import sys
import time

IMAGE_WH = (1280, 720)


def main(network_file: str, started: float) -> None:
    # Imports are part of what is measured.
    import numpy as np

    from ...core.frame import Frame
    from ...network.files import find_network, load_network
    from ...pipeline.pipeline import Pipeline
    from ...pipeline.settings import PipelineSettings

    width, height = IMAGE_WH
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    pipeline = Pipeline(load_network(find_network(network_file)), PipelineSettings())
    pipeline.process(Frame(pixels, "bgr", 0, "camera"))
    elapsed = {"wall_s": time.monotonic() - started, "cpu_s": time.process_time(), "path": pipeline.kernels}
    print(json.dumps(elapsed))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
