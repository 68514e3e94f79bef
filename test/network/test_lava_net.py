"""Exported networks (.net): the same integers as the checkpoint, and nothing that leads out of the file."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

h5py = pytest.importorskip("h5py", reason="h5py is missing: `make setup` brings it")

from net_writer import write_net  # noqa: E402

from regionmask_ros.errors import InvalidFile, UserError  # noqa: E402
from regionmask_ros.files import hdf5  # noqa: E402
from regionmask_ros.network.chain import Network  # noqa: E402
from regionmask_ros.network.files import install_network, load_network  # noqa: E402
from regionmask_ros.network.formats.lava_net import parse_net  # noqa: E402
from regionmask_ros.report.network_facts import describe_layers, layers_as_text  # noqa: E402


def written(network: Network, change=None) -> bytes:
    """The export's bytes; ``change`` may edit the open file first."""
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        write_net(file, network)
        if change:
            change(file)
    return content.getvalue()


def test_yolo_kp_has_the_integers_of_its_checkpoint(trained, tmp_path):
    path = tmp_path / "network.net"
    path.write_bytes(written(trained))
    found = load_network(path)
    assert found.digest == trained.digest and found.source_file == str(path)
    assert (found.name, found.head, found.labels) == (trained.name, trained.head, trained.labels)
    assert [(s.name, s.stride, s.padding, s.threshold) for s in found.layers] == [
        (s.name, s.stride, s.padding, s.threshold) for s in trained.layers]


def test_an_exported_network_can_be_installed_for_all_commands(trained, tmp_path):
    path, target = tmp_path / "network.net", tmp_path / "installed" / "yolo_kp.pt"
    path.write_bytes(written(trained))
    assert install_network(path, target).digest == trained.digest == load_network(target).digest


def test_a_network_without_boxes_is_not_installed(tiny_network, tmp_path):
    path, target = tmp_path / "network.net", tmp_path / "yolo_kp.pt"
    path.write_bytes(written(tiny_network))
    with pytest.raises(UserError, match=r"network\.net: a network without boxes"):
        install_network(path, target)
    assert not target.exists()
    text = layers_as_text(describe_layers(load_network(path)))
    assert "none: its output has no boxes" in text and "head" in text


def test_another_network_has_no_boxes(tiny_network):
    found = parse_net(written(tiny_network), "")
    assert found.head is None and found.labels == () and found.encoder_threshold == tiny_network.encoder_threshold
    for layer, expected in zip(found.layers, tiny_network.layers, strict=True):
        np.testing.assert_array_equal(layer.weight, expected.weight)
        assert layer.bias is None or (layer.bias == expected.bias).all()
    assert (found.input_table[0] == 0).all() and (found.input_table[255] == 64).all()


def set_value(path: str, value):
    def change(file) -> None:
        del file[path]
        file[path] = value

    return change


def loop(file) -> None:
    del file["layer/1"]
    file["layer/1"] = file["layer"]


def virtual(file) -> None:
    layout = h5py.VirtualLayout((8,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "bias", (8,))
    del file["layer/1/bias"]
    file.create_virtual_dataset("layer/1/bias", layout)


def huge(file) -> None:
    del file["layer/1/weight"]
    file.create_dataset("layer/1/weight", (1 << 20, 1 << 10, 3, 3), "f4", chunks=(1, 1, 3, 3))


@pytest.mark.parametrize("change, message", [
    (set_value("layer/1", h5py.SoftLink("/layer/2")), "link to another place"),
    (set_value("layer/1/weight", h5py.SoftLink("/layer/2/weight")), "link to another place"),
    (set_value("layer/1/weight", h5py.ExternalLink("/etc/passwd", "/weight")), "link to another place"),
    (set_value("layer", h5py.ExternalLink("other.net", "/layer")), "link to another place"),
    (virtual, "another file"),
    (huge, "limit of"),
    (loop, "is text, expected group|no type"),
    (set_value("layer/1/type", np.array([b"dense"])), "type dense; only convolutions"),
    (set_value("layer/1/neuron/type", "CUBA"), "type CUBA"),
    (set_value("layer/1/neuron/vThMant", 0), "threshold 0/64"),
    (set_value("layer/0/neuron/vThMant", 1 << 20), "threshold"),
    (set_value("layer/1/groups", 3), "outputs cannot be divided into 3 groups"),
    (set_value("layer/1/groups", 0), "groups is 0"),
    (set_value("layer/1/dilation", np.array([2, 2])), "has dilation"),
    (set_value("layer/1/stride", np.array([2, 1])), "the same for rows and columns"),
    (set_value("layer/1/bias", np.full(8, 0.5, np.float32)), "not integers of 31 bits"),
    (set_value("layer/1/bias", np.full(8, np.nan, np.float32)), "not integers of 31 bits"),
    (set_value("layer/1/bias", np.zeros(9, np.float32)), "bias"),
    (set_value("layer/1/weight", np.zeros((8, 3, 3), np.float32)), "dimensions"),
    (set_value("layer/1/weight", np.zeros((8, 3, 3, 3, 2), np.float32)), "over time"),
    (set_value("layer/1/weight", np.zeros((8, 3, 3, 2), np.float32)), "expected"),
    (set_value("layer/1/weight", "text"), "is text, expected numbers"),
    (set_value("layer/1/weight", np.zeros((8, 3, 3, 3), np.complex64)), "expected numbers"),
    (lambda file: file["layer/1"].create_dataset("delay", data=np.zeros(8)), "delays"),
    (lambda file: file["layer/0"].create_dataset("weight", data=2.0), "transforms its input"),
    (lambda file: file["layer/1/neuron"].create_dataset("sigma_output", data=True), "its sigma and is not the last"),
    (lambda file: file.__delitem__("layer/4/neuron/sigma_output"), "is the last and does not output its sigma"),
    (lambda file: file.__delitem__("layer/2"), "expected 0, 1, 2"),
    (lambda file: file.__delitem__("layer/1/padding"), "no padding"),
    (lambda file: file.__delitem__("layer"), "no layer"),
])
def test_unsupported_content_is_rejected_in_one_line(tiny_network, change, message):
    with pytest.raises(InvalidFile, match=message) as caught:
        parse_net(written(tiny_network, change), "")
    assert "\n" not in str(caught.value)


def test_values_in_another_file_are_not_read(tiny_network, tmp_path):
    outside = tmp_path / "outside"
    outside.write_bytes(bytes(32))

    def change(file) -> None:
        del file["layer/1/bias"]
        file.create_dataset("layer/1/bias", (8,), "f4", external=[(str(outside), 0, 32)])

    path = tmp_path / "net.net"
    with h5py.File(path, "w") as file:
        write_net(file, tiny_network)
        change(file)
    with pytest.raises(UserError, match="another file"):
        load_network(path)


def test_built_in_compression_is_read(tiny_network):
    def change(file) -> None:
        weight = file["layer/1/weight"][()]
        del file["layer/1/weight"]
        file.create_dataset("layer/1/weight", data=weight, compression="gzip", shuffle=True, fletcher32=True)

    assert parse_net(written(tiny_network, change), "").digest == parse_net(written(tiny_network), "").digest


def test_without_h5py_the_error_says_so_in_one_line(tiny_network, tmp_path, monkeypatch):
    path = tmp_path / "net.net"
    path.write_bytes(written(tiny_network))
    (tmp_path / "h5py.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(UserError, match="needs h5py"):
        load_network(path)


def test_a_file_that_makes_the_library_hang_or_crash_is_rejected(monkeypatch):
    """Every failure of the child process is a one-line error."""
    monkeypatch.setattr(hdf5, "TIMEOUT_S", 1e-3)
    with pytest.raises(InvalidFile, match="cannot be read in"):
        hdf5.read_hdf5(b"\x89HDF\r\n\x1a\n")
    monkeypatch.undo()
    with pytest.raises(InvalidFile, match="damaged"):
        hdf5.read_hdf5(b"\x89HDF\r\n\x1a\n" + bytes(100))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_is_rejected_or_changes_only_numbers(tiny_network, data):
    """Bytes changed anywhere, or the end cut off: a network or InvalidFile, never another error."""
    content = bytearray(written(tiny_network))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(content), len(content) // 2, 100]))
    try:
        parse_net(bytes(content[:cut]), "")
    except InvalidFile as error:
        assert str(error)
