"""`model quantize`: it measures what int8 costs, and keeps what costs little."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from regionmask_ros.commands import model as command
from regionmask_ros.errors import UserError
from regionmask_ros.network.cards import is_imported, list_cards, read_card, store_network

for package in ("onnx", "onnxruntime", "openvino"):
    pytest.importorskip(package, reason=f"no {package}: `make runtimes` brings it")

from bright_network import bright_detector  # noqa: E402
from dense_networks import dense_network, make_echo  # noqa: E402

from regionmask_ros.lab.quantization import quantize as module  # noqa: E402
from regionmask_ros.lab.quantization.quantize import LabelledAccuracy, Quantized, choose_size, quantize  # noqa: E402


def silent(items, count, what):
    return items


@pytest.fixture(scope="module")
def clip(make_clip) -> str:
    return make_clip(15, 8)


@pytest.fixture
def stored(tmp_path, monkeypatch) -> Path:
    """The user's folder of networks, with one in it."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    return store_network(bright_detector()).parent.parent


def test_the_int8_version_finds_what_the_network_finds(clip):
    network = bright_detector()
    made = quantize(network, "small-int8", clip, [], 96 * 160, silent)
    assert (made.convolutions, made.calibrated_on, made.compared_on) == (3, 10, 5)
    assert made.agreement > 99 and made.is_good and made.labelled == ()
    assert (made.network.name, made.network.precision) == ("small-int8", "int8")
    assert made.network.source_file == "bright in int8, calibrated on a clip.mp4"
    assert made.network.model != network.model and made.network.head == network.head


def test_the_loss_is_of_map_where_labels_are_and_of_agreement_elsewhere():
    made = Quantized(dense_network(make_echo()), 1, 1, 1, 99.4, ())
    assert made.lost == pytest.approx(0.6) and made.is_good
    labelled = replace(made, labelled=(LabelledAccuracy("a", 50.0, 47.0), LabelledAccuracy("b", 40.0, 41.5)))
    assert labelled.lost == pytest.approx(0.75) and labelled.is_good
    assert not replace(made, agreement=98.9).is_good and not replace(made, agreement=float("nan")).is_good


def test_sizes_are_multiples_of_what_the_network_needs():
    network = dense_network(make_echo(), alignment=64)
    assert choose_size(network, (640, 480), 320 * 320) == (256, 192)
    assert choose_size(network, (64, 40), 320 * 320) == (64, 64)
    assert choose_size(dense_network(make_echo(), fixed_wh=(96, 32)), (640, 480), 320 * 320) == (96, 32)


def test_what_cannot_be_quantized_is_refused(tiny_network, clip, make_clip):
    for network, line in (
            (tiny_network, "tiny: it computes with integers already"),
            (dense_network(make_echo(), precision="fp16"), "small: it is in fp16"),
            (dense_network(make_echo()), "small: it has no convolutions")):
        with pytest.raises(UserError, match=line):
            quantize(network, "x", clip, [], 96 * 160, silent)
    with pytest.raises(UserError, match="3 pictures, at least 6 are needed"):
        quantize(bright_detector(), "x", make_clip(3, 4), [], 96 * 160, silent)


def test_the_command_stores_the_version_beside_the_network(stored, clip, tmp_path, capsys):
    labels = tmp_path / "labelled"
    labels.mkdir()
    (labels / "video.mp4").write_bytes(Path(clip).read_bytes())
    rows = [f"{frame},thing,{8 * frame},30,40,40,0,1" for frame in range(15)]
    (labels / "gt.csv").write_text("\n".join(["frame,class,x,y,w,h,ignore,track", *rows]) + "\n")
    arguments = ["quantize", "bright", "--calibrate", clip, "--dataset", f"csv:{labels}"]
    assert command.main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "3 convolutions in int8, calibrated on 10 pictures; agreement with fp32 on 5 others: 100.0"
    assert lines[1].startswith("mAP@0.5 on labelled: fp32 ") and "bright-int8 installed" in lines[2]
    card = read_card(stored / "bright-int8" / "card.json")
    assert (card.network.precision, card.network.source_file) == (
        "int8", "bright in int8, calibrated on a clip.mp4")
    assert command.main(["quantize", "bright-int8", "--calibrate", clip]) == 2
    assert "it is in int8" in capsys.readouterr().err


def test_a_version_that_loses_too_much_is_stored_by_force_only(stored, clip, monkeypatch, capsys):
    monkeypatch.setattr(module, "ALLOWED_POINTS", -1.0)
    arguments = ["quantize", "bright", "--calibrate", clip, "--name", "other"]
    assert command.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "other: loses 0.0 points of agreement" in error and "--force" in error
    assert not is_imported("other")
    assert command.main([*arguments, "--force"]) == 0 and is_imported("other")


def test_an_interrupt_leaves_nothing(stored, clip, monkeypatch):
    def interrupt(items, count, what):
        if what.startswith("int8"):
            raise KeyboardInterrupt
        return items

    monkeypatch.setattr(command, "_follow", interrupt)
    before = sorted(stored.rglob("*"))
    assert command.main(["quantize", "bright", "--calibrate", clip]) == 130
    assert sorted(stored.rglob("*")) == before


def test_workers_read_the_pictures_that_one_process_reads(stored, clip, tmp_path, capsys):
    (tmp_path / "labelled").mkdir()
    (tmp_path / "labelled" / "video.mp4").write_bytes(Path(clip).read_bytes())
    rows = [f"{frame},thing,{8 * frame},30,40,40,0,1" for frame in range(15)]
    (tmp_path / "labelled" / "gt.csv").write_text("frame,class,x,y,w,h,ignore,track\n" + "\n".join(rows) + "\n")
    words = ["quantize", "bright", "--max-pixels", "15360", "--force", "--dataset", f"csv:{tmp_path}/labelled"]
    said = []
    for name, more in (("one", []), ("shared", ["--jobs", "1"])):
        assert command.main([*words, "--calibrate", clip, "--name", name, *more]) == 0
        said.append(capsys.readouterr().out.splitlines()[:2])
    assert said[0] == said[1] and "mAP@0.5 on labelled" in said[0][1]
    one, shared = (card.network for card in list_cards() if card.network.name in ("one", "shared"))
    assert one.model == shared.model and one.source_file == shared.source_file


def test_many_sources_share_the_pictures_and_a_bad_one_is_left_out(stored, clip, make_clip, tmp_path, capsys):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"not a video at all")
    assert command.main(["quantize", "bright", "--calibrate", clip, str(bad), make_clip(9, 4), "--max-pixels", "15360",
                         "--jobs", "1", "--force"]) == 0
    said = capsys.readouterr()
    assert "calibrated on 16 pictures" in said.out and "1 of 3 units failed" in said.err and "bad.mp4" in said.err
    (made,) = (card.network for card in list_cards() if card.network.name == "bright-int8")
    assert made.source_file == "bright in int8, calibrated on a clip.mp4 and 1 more"
