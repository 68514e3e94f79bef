"""A network with branches in the pipeline: the integers of the reference, and boxes of all its levels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from branched_networks import small_branched
from moving_square import moving_square, play

from regionmask_ros.backends import choose_backend, open_backend
from regionmask_ros.core.frame import resize_frame
from regionmask_ros.core.look import Look, LookOutput
from regionmask_ros.detection.events import decode_head
from regionmask_ros.detection.heads import decode_looks
from regionmask_ros.engine.branched.reference import ReferenceBranches
from regionmask_ros.engine.reference import ReferenceEncoder
from regionmask_ros.errors import UserError
from regionmask_ros.network.chain import Network
from regionmask_ros.pipeline.pipeline import Pipeline
from regionmask_ros.pipeline.settings import PipelineSettings


@pytest.fixture(scope="module")
def network():
    return small_branched()


@pytest.mark.parametrize("arithmetic", ["carry", "lava", "snap"])
def test_the_pipeline_equals_the_reference_implementation_under_a_mask(network, half_mask, arithmetic):
    settings = PipelineSettings(mask="static", static_mask=half_mask, refresh_period=3, arithmetic=arithmetic,
                                score_threshold=0.1)
    pipeline, frames = Pipeline(network, settings), moving_square(6, (96, 64))
    encoder = ReferenceEncoder((64, 96, 3), network.encoder_threshold)
    reference = ReferenceBranches(network.graph, (96, 64), arithmetic)
    held = np.zeros((64, 96), bool)
    held[:, :48] = True
    for number, frame in enumerate(frames):
        (result,) = pipeline.process(frame)
        image = resize_frame(frame, (96, 64))
        value = np.stack([network.input_table[image[..., c], c] for c in range(3)], axis=2)
        expected = reference.step(encoder.step(value.astype(np.int64), None if number % 3 == 0 else held))
        for head, wanted in zip(result.head, expected, strict=True):
            np.testing.assert_array_equal(head, wanted)
        assert result.counts.synops == tuple(reference.synops.values())
        assert result.counts.layer_events == tuple(reference.events.values())
    assert len(result.detections), "its boxes are random, but there are some"


def test_heads_are_decoded_as_an_onnx_network_s_output(network):
    """Levels one after the other, heads side by side, with biases and sigmoids."""
    pipeline = Pipeline(network, PipelineSettings())
    (result,) = play(pipeline, moving_square(1, (96, 64)))
    values = dict(zip(network.graph.outputs, result.head, strict=True))
    cells = []
    for level in network.head.levels:
        real = [values[part.name] / 2.0**part.scale + np.array(part.bias) for part in level]
        real = [1 / (1 + np.exp(-one)) if part.is_score else one for one, part in zip(real, level)]
        cells.append(np.concatenate(real, axis=2).reshape(-1, 7))
    output = np.concatenate(cells)[None].astype(np.float32)
    look = Look((0.0, 0.0, 192.0, 128.0), (96, 64))
    expected = decode_looks([LookOutput(look, (output,))], network.head.spec, (192, 128), 0.1, 0.5).found
    found = decode_head(result.head, network.head, (192, 128), 0.1, 0.5)
    assert len(found) and len(found) == len(expected)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=1e-3)
    np.testing.assert_array_equal(found.class_ids, expected.class_ids)


def test_a_preset_tracks_what_such_a_network_finds(network):
    pipeline = Pipeline(network, PipelineSettings(preset="balanced", score_threshold=0.3))
    results = play(pipeline, moving_square(12, (96, 64)))
    assert pipeline.settings.arithmetic == "carry" and pipeline.settings.thresholds == "trained"
    assert max(result.mask.masked_share for result in results) > 0


def test_a_reset_returns_to_the_initial_state(network):
    pipeline, frames = Pipeline(network, PipelineSettings()), moving_square(3, (96, 64))
    first = [result.head for result in play(pipeline, frames)]
    pipeline.reset()
    for one, other in zip(first, (result.head for result in play(pipeline, frames)), strict=True):
        for head, again in zip(one, other, strict=True):
            np.testing.assert_array_equal(head, again)


@pytest.mark.parametrize("backend", ["lava_sim", "loihi2"])
def test_what_lava_lacks_is_named_in_one_line(network, backend):
    for refuse in (lambda: choose_backend(backend, network), lambda: open_backend(backend, network, (96, 64)),
                   lambda: Pipeline(network, PipelineSettings(backend=backend))):
        with pytest.raises(UserError, match="max pooling, selection of channels, several heads") as caught:
            refuse()
        assert "\n" not in str(caught.value)
    assert choose_backend("auto", network) == "cpu" and isinstance(network, Network)


def test_classes_that_do_not_fit_the_channels_are_one_line(network):
    spec = replace(network.head.spec, num_classes=1)
    other = replace(network, labels=("one",), head=replace(network.head, spec=spec))
    with pytest.raises(UserError, match="do not fit its head"):
        Pipeline(other, PipelineSettings()).process(moving_square(1, (96, 64))[0])
