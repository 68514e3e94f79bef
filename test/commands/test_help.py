"""Help of all commands, also without ROS."""

from __future__ import annotations

import os
import sys

import pytest
from python_process import run_python

from regionmask_ros.__main__ import main
from regionmask_ros.commands._cli import COMMANDS
from regionmask_ros.commands._parser import build_parser

WITHOUT_ROS = """
import sys
sys.modules["rclpy"] = None
from regionmask_ros.commands._cli import COMMANDS
from regionmask_ros.commands._parser import build_parser
for name in COMMANDS:
    build_parser(name).format_help()
"""


def test_the_help_of_every_command_needs_no_ros():
    done = run_python("-c", WITHOUT_ROS)
    assert (done.returncode, done.stderr) == (0, "")


LIGHT = """
import sys
from regionmask_ros.commands._cli import COMMANDS
from regionmask_ros.commands._parser import build_parser
for name in COMMANDS:
    build_parser(name).format_help()
print([heavy for heavy in ("cv2", "numba", "onnx", "rclpy", "torch", "matplotlib") if heavy in sys.modules])
"""


def test_help_imports_nothing_that_takes_long():
    assert run_python("-c", LIGHT).stdout == "[]\n"


def test_the_choices_of_the_help_are_those_of_the_commands():
    from regionmask_ros.backends.runtimes import RUNTIMES
    from regionmask_ros.commands.bench import ENGINES
    from regionmask_ros.commands.tune_thresholds import RULES, WORK
    from regionmask_ros.engine.engine import available_kernel_sets
    from regionmask_ros.lab.bench.measure import WARM_UP
    from regionmask_ros.lab.distillation.grids import OFFERED
    from regionmask_ros.mask.heat import DEFAULT_COVER
    from regionmask_ros.mask.mgnet.weights import SHAPES
    from regionmask_ros.network.thresholds import INPUT_STEPS, TRAINED, TUNED

    def choices(command: str, dest: str) -> tuple[object, ...]:
        return next(tuple(action.choices) for action in build_parser(command)._actions if action.dest == dest)

    assert choices("bench", "backend") == ("auto", *RUNTIMES)
    assert choices("tune_thresholds", "arithmetic") == RULES and choices("tune_thresholds", "minimise") == tuple(WORK)
    assert choices("tune_thresholds", "input_step") == INPUT_STEPS
    assert choices("train_mgnet", "architecture") == tuple(SHAPES)
    assert choices("distill", "grid") == OFFERED
    assert choices("evaluate", "thresholds") == (TRAINED, TUNED)
    bench = " ".join(build_parser("bench").format_help().split())
    assert f"some of {', '.join(ENGINES)}" in bench and f"after {WARM_UP} for warming up" in bench
    assert all(name in bench.partition("this processor can run:")[2] for name in available_kernel_sets())
    assert f"(default: {DEFAULT_COVER})" in build_parser("calibrate").format_help()


def test_the_help_lists_every_command(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["regionmask_ros", "--help"])
    assert main() == 0 and set(COMMANDS) <= set(capsys.readouterr().out.split())


def call(monkeypatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["regionmask_ros", *arguments])
    return main()


def test_help_of_a_command_by_its_name(capsys, monkeypatch):
    with pytest.raises(SystemExit) as ended:
        call(monkeypatch, "help", "doctor")
    assert ended.value.code == 0 and capsys.readouterr().out.startswith("usage: regionmask_ros doctor")


def test_common_options_come_first(capsys, monkeypatch):
    with pytest.raises(SystemExit):
        call(monkeypatch, "run", "-h")
    said = capsys.readouterr().out
    assert said.index("-o DIR, --output DIR") < said.index("Common options:") < said.index("--preset careful|")
    assert said.index("--preset careful|") < said.index("Masks:") < said.index("For experts")


@pytest.mark.parametrize(("arguments", "words"), [
    (["evaluatee"], "unknown command 'evaluatee': did you mean evaluate?"),
    (["help", "runs"], "unknown command 'runs': did you mean run?"),
    (["run", "a.mp4", "--presett", "fast"], "unrecognized arguments: --presett fast: did you mean --preset?"),
    (["train_mgnet", "--architecture", "lightt"], "invalid choice: 'lightt': did you mean light?"),
    (["run", "a.mp4", "--preset", "balancedd"], "did you mean balanced?"),
    (["xxxxxxxx"], "unknown command 'xxxxxxxx'; use one of run,"),
])
def test_what_was_meant_is_suggested(capsys, monkeypatch, arguments, words):
    assert call(monkeypatch, *arguments) == 2
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


@pytest.mark.parametrize(("line", "words"), [
    ("regionmask_ros ev", {"evaluate"}),
    ("regionmask_ros run --pres", {"--preset", "--preset-work", "--preset-rest"}),
    ("regionmask_ros run --preset ", {"careful", "balanced", "fast"}),
    ("regionmask_ros help tune", {"tune_thresholds"}),
])
def test_the_shell_is_told_what_can_follow(tmp_path, line, words):
    pytest.importorskip("argcomplete", reason="argcomplete is missing: `make setup` brings it")
    found = tmp_path / "found"
    environment = {**os.environ, "_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)),
                   "_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_STDOUT_FILENAME": str(found)}
    done = run_python("-m", "regionmask_ros", **environment)
    assert done.returncode == 0, done.stderr
    assert words <= {word.strip() for word in found.read_text().split("\n")}


@pytest.mark.parametrize("words", [["list", "--quiet"], ["--quiet", "list"], ["inspect", "x", "-q"]])
def test_quiet_may_stand_behind_an_action(words):
    assert build_parser("model").parse_args(words).quiet and not build_parser("model").parse_args(["list"]).quiet


def test_the_old_name_of_an_option_of_record_works(capsys):
    parser = build_parser("record")
    assert parser.parse_args(parser.replace_names(["bag", "--without-pictures"])).without_images
    assert "use --without-images" in capsys.readouterr().err
