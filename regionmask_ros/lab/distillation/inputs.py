"""What a network sees of pictures. Needs torch."""

from __future__ import annotations

import numpy as np
import torch

from ...network.dense import Preprocessing


def to_input(images: np.ndarray, preprocessing: Preprocessing) -> torch.Tensor:
    """Preprocessed pictures: float32 [n, 3, height, width], from uint8 [n, height, width, 3], RGB."""
    values = images[..., ::-1] if preprocessing.order == "bgr" else images
    mean, deviation = (np.array(numbers, np.float32) for numbers in (preprocessing.mean, preprocessing.deviation))
    shifted = (values.astype(np.float32) - mean) / deviation
    return torch.from_numpy(np.ascontiguousarray(shifted.transpose(0, 3, 1, 2)))
