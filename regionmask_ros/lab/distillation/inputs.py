"""What a network sees of pictures. Needs torch."""

from __future__ import annotations

import numpy as np
import torch

from ...network.dense import Preprocessing


def to_input(images: np.ndarray, preprocessing: Preprocessing) -> torch.Tensor:
    """Preprocessed pictures: float32 [n, 3, height, width], from uint8 [n, height, width, 3], RGB."""
    # The channels stay beside each other in memory, which torch computes faster on a CPU.
    values = np.ascontiguousarray(images[..., ::-1] if preprocessing.order == "bgr" else images)
    mean, deviation = (torch.tensor(numbers, dtype=torch.float32) for numbers in
                       (preprocessing.mean, preprocessing.deviation))
    return torch.from_numpy(values).float().sub_(mean).div_(deviation).permute(0, 3, 1, 2)
