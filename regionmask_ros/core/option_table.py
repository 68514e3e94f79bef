"""The one table of options: names, defaults, ranges, choices, texts, and when each can change.

The command line, the ROS parameters, config/detector.yaml and docs/PARAMETERS.md are made from it, and the settings
classes take their defaults and checks from it. After a change, run ``python -m regionmask_ros.pipeline.option_docs``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from .options import ChangePolicy, Group, Option, Range

MAX_INT = 2**31 - 1
USE_PRESET = -1
"""In an option that replaces a value of a preset: the preset's own value."""

_FRAMES = Range(1, MAX_INT)
_COUNT = Range(0, MAX_INT)
_SHARE = Range(0.0, 1.0)
_FACTOR = Range(0.0, 1e6)

_ROWS = (
    Option(
        "network_file", "", Group.NETWORK,
        "The trained network: street, yolo_kp, the name of one that was imported or made here, or a file (ONNX, "
        "chain.npz, or of lava-dl). Empty: street; but yolo_kp for the backends lava_sim and loihi2, if arithmetic or "
        "thresholds are given, and where the kernels for street were not compiled. docs/NETWORKS.md has the commands "
        "for other networks.",
        changeable=ChangePolicy.START, metavar="NAME|FILE", short="--network"),
    Option(
        "backend", "auto", Group.NETWORK,
        "What computes the network. auto: cpu for a sigma-delta network, and for an imported ONNX network whose "
        "quantized form agrees with it; for other ONNX networks openvino, or onnxruntime if that is not installed. "
        "cpu: our engines on this computer, of events for a sigma-delta network, of tiles for an imported ONNX "
        "network. lava_sim: Lava's simulator, with the same integers as the chip, a few "
        "frames per second, and results 11 frames late. loihi2: the chip, not yet run on "
        "hardware, see docs/LOIHI2.md. openvino, onnxruntime: ONNX networks, after make runtimes. While the node runs, "
        "the new backend opens beside the old one and takes over when it is ready. If it cannot be opened, the old one "
        "stays and this parameter is set back.",
        choices=("auto", "cpu", "lava_sim", "loihi2", "openvino", "onnxruntime")),
    Option(
        "arithmetic", "", Group.NETWORK,
        "Integer rule of the neurons. carry: no drift. lava: integer for integer as Lava computes; it drifts. snap: as "
        "carry, and silent neurons take back the activation that they still hold. Empty: the rule of the tuned "
        "thresholds if they are used, otherwise the default of the backend.",
        choices=("", "carry", "lava", "snap")),
    Option(
        "thresholds", "", Group.NETWORK,
        "The change that a neuron must reach before it sends an event. trained: as the network was trained. tuned: "
        "found by tune_thresholds, fewer events, for yolo_kp on the backend cpu only. Empty: tuned for a preset with "
        "yolo_kp on the backend cpu if arithmetic is empty, otherwise trained.",
        choices=("", "trained", "tuned")),
    Option(
        "input_size", "auto", Group.NETWORK,
        "Size of the network's input. auto: the shape of the camera image within max_pixels. WxH, such as 448x448: "
        "this size, both multiples of 32. A larger input finds smaller objects and costs more.", metavar="auto|WxH"),
    Option(
        "max_pixels", 307_200, Group.NETWORK,
        "Largest number of pixels of an automatic input size.", Range(32 * 32, 1 << 26)),
    Option(
        "max_image_pixels", 1 << 26, Group.NETWORK,
        "Largest number of pixels of an image in a file or message. The header of a larger one is all that is read of "
        "it: a few bytes can claim many gigabytes. Pixels with 16-bit colors count twice.", Range(1, 1 << 30)),
    Option(
        "image_bit_depth", "auto", Group.NETWORK,
        "Bits that 16-bit samples of images hold, a text such as '12'. auto: those of the first image; more as soon as "
        "a later one holds more, never fewer, and the log says so. So a 12-bit camera is not shown nearly black.",
        choices=("auto", "8", "10", "12", "14", "16")),
    Option(
        "restart_period", 0, Group.NETWORK,
        "Number of frames after which the detector is reset, which ends the drift of arithmetic lava. On lava_sim a "
        "reset takes one or two seconds. 0: never.", _COUNT),
    Option(
        "mask_mode", "preset", Group.MASK,
        "What selects the observed regions. preset: the schedule that the option preset names. none: all regions are "
        "observed. static: the regions of the static mask. adaptive: a static mask that is learned while the camera "
        "runs. dynamic: the dynamic mask. preset+static, preset+adaptive, static+dynamic, adaptive+dynamic: the "
        "regions of either. A preset's refresh period also applies to a mask that is combined with it.",
        choices=("preset", "preset+static", "none", "static", "adaptive", "dynamic", "static+dynamic",
                 "adaptive+dynamic", "preset+adaptive"), metavar="MODE", short="--mask"),
    Option(
        "preset", "balanced", Group.MASK,
        "Schedule of mask_mode preset. It tracks objects, moves their boxes while their regions are not observed, and "
        "has its own refresh period. careful loses the least accuracy, fast saves the most work. The preset_ options "
        "change single values.", choices=("careful", "balanced", "fast")),
    Option(
        "schedule", "auto", Group.MASK,
        "For ONNX networks on a runtime: form of the preset. burst: the whole image in every Nth frame, nothing in "
        "between. rolling: a tile of the image in each frame, at full resolution, or the whole image made small. auto: "
        "rolling for large inputs, otherwise burst.", choices=("auto", "burst", "rolling")),
    Option(
        "tiles", "auto", Group.MASK,
        "For ONNX networks on a runtime: columns and rows of the tiles of schedule rolling, such as 3x2. auto: as the "
        "preset has it.", metavar="auto|CxR"),
    Option(
        "static_mask", "", Group.MASK,
        "File of the static mask. A .png, bright where observed, as large as the camera image or one pixel per region; "
        "or an .npz from calibrate or save_static_mask. An adaptive mask starts from it, if it is set.",
        metavar="FILE"),
    Option(
        "dynamic_mask", "tracking", Group.MASK,
        "Kind of the dynamic mask. tracking: the boxes of the last result, widened by one region. mgnet: the same, and "
        "the regions in which a small mask network finds objects, so that new objects are found sooner.",
        choices=("tracking", "mgnet"), short="--dynamic"),
    Option(
        "mgnet_weights", "", Group.MASK,
        "File of the mask network for dynamic_mask mgnet, written by train_mgnet. Empty: the one of the package.",
        metavar="FILE"),
    Option(
        "refresh_period", 8, Group.MASK,
        "Number of frames from one refresh frame, in which all regions are observed, to the next. A smaller period "
        "finds new objects sooner and costs more. 0: only the first frame is one. A preset uses preset_refresh_period "
        "instead.", _COUNT),
    Option(
        "target_masked", 0.0, Group.MASK,
        "Share of the regions to be masked, on average over all frames, refresh frames included. The masks are reduced "
        "or extended to it: regions of objects come first, then the regions where a static or adaptive mask expects "
        "most, then those around objects. A preset masks at least this share. 0: no target.",
        Range(0.0, 1.0, below=True)),
    Option(
        "adaptive_half_life", 8.0, Group.MASK,
        "Number of refresh frames after which an observation counts half in an adaptive mask. A smaller number adapts "
        "sooner to a moved camera, a larger one remembers rare objects longer.", Range(0.1, 1e6)),
    Option(
        "adaptive_cover", 0.99, Group.MASK,
        "Share of the learned object heat map that an adaptive mask covers, and the mask of the service "
        "save_static_mask, with the fewest regions. A smaller share masks more.", Range(0.0, 1.0, above=True)),
    Option(
        "adaptive_ring", 1, Group.MASK,
        "Number of regions by which an adaptive mask widens each box, as room for movement between two refresh frames.",
        Range(0, 100)),
    Option(
        "score_threshold", 0.4, Group.DETECTION,
        "Lowest score of a reported detection. A lower threshold finds more objects and more false ones.", _SHARE),
    Option(
        "nms_iou", 0.45, Group.DETECTION,
        "Non-maximum suppression: of two boxes of a class whose intersection over union is larger, the one with the "
        "lower score is removed. A larger value keeps more boxes on one object.", _SHARE),
    Option(
        "classes", (), Group.DETECTION,
        "Names of the classes that are reported and tracked, such as person, bicycle. Empty: all.", metavar="LIST"),
    Option(
        "class_thresholds", (), Group.DETECTION,
        "Lowest scores of single classes, each written class:score, such as person:0.5, traffic light:0.3. All other "
        "classes use score_threshold.", metavar="LIST"),
    Option(
        "max_detections", 0, Group.DETECTION,
        "Largest number of detections per frame; those with the highest scores are reported. 0: all.",
        Range(0, 10_000)),
    Option(
        "stale_detections", "keep", Group.DETECTION,
        "What happens to a detection none of whose regions was observed in this frame, so that the object may have "
        "left. keep: it is reported. drop: it is not.",
        choices=("keep", "drop")),
    Option(
        "autostart", True, Group.NODE,
        "The node configures and activates itself. false: a lifecycle manager does.", changeable=ChangePolicy.START),
    Option(
        "image_transport", "auto", Group.NODE,
        "How images arrive. raw: sensor_msgs/Image on the topic image. compressed: sensor_msgs/CompressedImage, JPEG "
        "or PNG, on image/compressed. auto: what is published, raw images before compressed ones; image may then be "
        "the full name of a topic with either. With run: which images of a bag are read; auto and raw read compressed "
        "ones if there are no others.", choices=("auto", "raw", "compressed"), changeable=ChangePolicy.UNCONFIGURED),
    Option(
        "image_reliability", "best_effort", Group.NODE,
        "Reliability of the image subscription. best_effort receives from every camera and never waits for a lost "
        "image. reliable requests lost images again, but receives nothing from a camera that publishes best effort.",
        choices=("best_effort", "reliable"), changeable=ChangePolicy.UNCONFIGURED),
    Option(
        "fallback", "auto", Group.NODE,
        "What happens when a backend fails or hangs, and fails again after one restart. auto: another backend that "
        "runs the network takes over, and the parameter backend changes to it: cpu for a sigma-delta network, openvino "
        "or onnxruntime for an ONNX network. cpu: the backend cpu takes over. none: images are "
        "refused until another backend is set, reset is called, or ten minutes have passed.",
        choices=("auto", "cpu", "none")),
    Option(
        "attention_lifetime", 1.0, Group.NODE,
        "Seconds for which the regions of a box from the topic attention are observed. A longer time suits planners "
        "that publish rarely.", Range(0.01, 3600.0)),
    Option(
        "output_directory", "", Group.NODE,
        "Folder below which services write files, and nowhere else. It is made when the first file is written. Empty: "
        "$XDG_DATA_HOME/regionmask_ros/output or ~/.local/share/regionmask_ros/output.",
        changeable=ChangePolicy.START, metavar="DIR"),
    Option(
        "static_mask_output", "", Group.NODE,
        "File that the service save_static_mask writes, an .npz: a name, or a path from output_directory on, whose "
        "folders exist. Empty: static_mask.npz, and of a node with a namespace or another name than detector "
        "namespace.name.static_mask.npz, so that each camera has its own.", metavar="FILE"),
    Option(
        "device", "CPU", Group.RUNTIME,
        "What computes. CPU: the processor. GPU, NPU: a graphics or neural processor of Intel, with openvino. AUTO: "
        "what openvino chooses. CUDA, TENSORRT: a graphics processor of Nvidia, with onnxruntime.",
        choices=("CPU", "GPU", "NPU", "AUTO", "CUDA", "TENSORRT")),
    Option(
        "threads", 1, Group.RUNTIME,
        "Number of threads of the processor for each camera. More threads shorten the latency and cost more processor "
        "time in all.", Range(1, 256)),
    Option(
        "precision", "auto", Group.RUNTIME,
        "Numbers that the device computes with. fp32: single precision. bf16, fp16: half precision, faster where the "
        "device has it, with slightly other scores. auto: fp32 on the processor, elsewhere what the device does best. "
        "Integers of a quantized network stay integers.", choices=("auto", "fp32", "bf16", "fp16")),
    Option(
        "model_cache", "", Group.RUNTIME,
        "Folder in which openvino and TENSORRT keep compiled networks, so that the next start is quicker. It can be "
        "deleted at any time, and only its owner may write there. Empty: in the user's cache folder. none: nothing is "
        "kept.", changeable=ChangePolicy.START, metavar="DIR"),
    Option(
        "preset_refresh_period", USE_PRESET, Group.PRESET,
        "Number of frames from one refresh frame to the next. Best a multiple of preset_work + preset_rest.",
        _FRAMES, preset_value=USE_PRESET),
    Option(
        "preset_work", USE_PRESET, Group.PRESET,
        "Number of active frames, in which objects are observed, before the idle frames.",
        _FRAMES, preset_value=USE_PRESET),
    Option(
        "preset_rest", USE_PRESET, Group.PRESET,
        "Number of idle frames after each burst of active frames. 0: none.", _COUNT, preset_value=USE_PRESET),
    Option(
        "preset_rest_shift", float(USE_PRESET), Group.PRESET,
        "An object that has moved further than this since its last observation, in object sizes, is observed in idle "
        "frames, too.", _FACTOR, preset_value=USE_PRESET),
    Option(
        "preset_tolerance", float(USE_PRESET), Group.PRESET,
        "An object is observed again when it has moved this far since its last observation, in object sizes.",
        _FACTOR, preset_value=USE_PRESET),
    Option(
        "preset_longest_rest", USE_PRESET, Group.PRESET,
        "Number of frames after which an object is observed again in any case.", _FRAMES, preset_value=USE_PRESET),
    Option(
        "preset_border_period", USE_PRESET, Group.PRESET,
        "Number of frames from one observation of the image border, where objects enter, to the next. 0: only in "
        "refresh frames.", _COUNT, preset_value=USE_PRESET),
    Option(
        "preset_steer_threshold", float(USE_PRESET), Group.PRESET,
        "Lowest score of an object that is tracked and observed again.", _SHARE, preset_value=USE_PRESET),
    Option(
        "preset_trial_looks", USE_PRESET, Group.PRESET,
        "Number of observations of an object with a lower score, because new objects often start with a low score. 0: "
        "none.", _COUNT, preset_value=USE_PRESET),
    Option(
        "preset_trial_threshold", float(USE_PRESET), Group.PRESET,
        "Lowest score of such an object.", _SHARE, preset_value=USE_PRESET),
    Option(
        "preset_guard", float(USE_PRESET), Group.PRESET,
        "Share of the objects that must be found where they were predicted. Otherwise refresh frames come more often, "
        "up to every frame; on the tile engine, idle frames more seldom. 0: no guard.", _SHARE,
        preset_value=USE_PRESET),
    Option(
        "lava_python", "", Group.LAVA,
        "Python interpreter that has lava-nc. Empty: the one that 'make lava' installed.",
        changeable=ChangePolicy.START, metavar="FILE"),
    Option(
        "backend_open_timeout", 60.0, Group.LAVA,
        "Seconds within which lava_sim must be ready.", Range(1.0, 3600.0)),
    Option(
        "backend_step_timeout", 30.0, Group.LAVA,
        "Seconds after which a time step of lava_sim or loihi2 counts as hung.", Range(0.1, 3600.0)),
    Option(
        "lava_sim_conv", "gemm", Group.LAVA,
        "Convolution of lava_sim. gemm: a matrix product with the same integers. stock: Lava's own, which takes "
        "seconds per time step.", choices=("gemm", "stock")),
    Option(
        "loihi2_open_timeout", 900.0, Group.LAVA,
        "Seconds within which the network must be compiled and loaded onto the chip.", Range(1.0, 7200.0)),
    Option(
        "loihi2_io", "adapter", Group.LAVA,
        "How events reach the chip and results leave it. adapter: relayed by embedded processors. ethernet: over the "
        "10G link.", choices=("adapter", "ethernet")),
    Option(
        "loihi2_host_mode", "slurm", Group.LAVA,
        "How the board is reached. slurm: through a SLURM cluster, such as Intel's. ethernet: through the host "
        "loihi2_nxsdk_host. environment: as the environment variables say.",
        choices=("slurm", "ethernet", "environment"), changeable=ChangePolicy.START),
    Option(
        "loihi2_partition", "", Group.LAVA, "SLURM partition. Empty: any.", changeable=ChangePolicy.START),
    Option(
        "loihi2_board", "", Group.LAVA,
        "SLURM node with the board. Empty: any. Set either the partition or the board.",
        changeable=ChangePolicy.START),
    Option(
        "loihi2_generation", "N3B3", Group.LAVA, "Generation of the chip.",
        choices=("N2A2", "N3B2", "N3B3", "N3C1", "N3D1"), changeable=ChangePolicy.START),
    Option(
        "loihi2_nxsdk_host", "", Group.LAVA, "Address of the board's host, for loihi2_host_mode ethernet.",
        changeable=ChangePolicy.START),
    Option(
        "loihi2_host_binary", "nxcore/bin/nx_driver_server", Group.LAVA, "Driver on that host.",
        changeable=ChangePolicy.START, metavar="FILE"),
    Option(
        "loihi2_nx_options", "", Group.LAVA, "Value of NXOPTIONS, which some boards need.",
        changeable=ChangePolicy.START),
    Option(
        "loihi2_ethernet_interface", "enp2s0", Group.LAVA, "10G interface of the host, for loihi2_io ethernet.",
        changeable=ChangePolicy.START),
    Option(
        "loihi2_ethernet_mac", "0x90e2ba01214c", Group.LAVA, "MAC address of that interface.",
        changeable=ChangePolicy.START, metavar="MAC"),
    Option(
        "loihi2_loihi_mac", "0x0015edbeefed", Group.LAVA, "MAC address of the board's 10G port.",
        changeable=ChangePolicy.START, metavar="MAC"),
    Option(
        "loihi2_ethernet_chip_id", "2,2,1", Group.LAVA,
        "Position x,y,z of the chip at the end of the 10G link.", changeable=ChangePolicy.START, metavar="X,Y,Z"),
    Option(
        "loihi2_ethernet_chip_index", 12, Group.LAVA, "Index of that chip.", Range(0, 1023),
        changeable=ChangePolicy.START),
    Option(
        "loihi2_compression", "delta_sparse_8", Group.LAVA, "Format of the events on the way to the adapter.",
        choices=("delta_sparse_8", "packed_4", "sparse")),
    Option(
        "loihi2_spike_exp", 4, Group.LAVA,
        "Fractional bits of a message beyond 6. With 4, the integers are those of arithmetic lava.", Range(0, 6)),
    Option(
        "loihi2_steps_per_run", 1 << 20, Group.LAVA,
        "Number of time steps that the board is asked for at a time.", _FRAMES),
    Option("loihi2_profile", False, Group.LAVA, "Measure time, power and activity of every core."),
    Option(
        "loihi2_profile_steps", 100, Group.LAVA, "Number of time steps per run while measuring.", Range(1, 1 << 20)),
)

OPTIONS: Mapping[str, Option] = {option.name: option for option in _ROWS}
"""All options by name, sorted by group."""


def option_field(name: str) -> Any:
    """A dataclass field that is an option: it takes the default from the table, and `check_options` its checks.

    Args:
        name: Name of the option; the field's own name may be another.

    Returns:
        The field, to be assigned to an annotated name in the class.
    """
    return dataclasses.field(default=OPTIONS[name].default, metadata={"option": OPTIONS[name]})


def options_of(settings: Any) -> dict[str, Option]:
    """The options among the fields of a dataclass.

    Args:
        settings: The class, or an object of it.

    Returns:
        Options by the name of their field.
    """
    return {
        field.name: field.metadata["option"] for field in dataclasses.fields(settings) if "option" in field.metadata}


def check_options(settings: Any) -> None:
    """Checks all fields of a dataclass object that are options.

    Args:
        settings: The object.

    Raises:
        UserError: A value is out of range, or none of the choices.
    """
    for name, option in options_of(settings).items():
        option.check(getattr(settings, name))
