"""The SROS 2 policy holds what the running node uses, and nothing else."""

from __future__ import annotations

from pathlib import Path

from python_process import run_python

POLICY = Path(__file__).resolve().parents[2] / "config" / "security_policy.xml"


def make_policy(*arguments: str) -> str:
    """The policy of a real node in a process of its own."""
    made = run_python("-m", "regionmask_ros.ros.policy", *arguments)
    assert made.returncode == 0, made.stderr
    return made.stdout


def test_the_policy_in_the_package_is_what_the_node_uses(ros_environment, trained_file):
    policy = make_policy()
    assert policy == POLICY.read_text(encoding="utf-8"), (
        "run: python -m regionmask_ros.ros.policy > config/security_policy.xml")
    for name in ("set_parameters", "change_state", "save_static_mask"):
        assert f"<service>/detector/{name}</service>" in policy
    for name in ("/image", "/image/compressed", "/clock", "/attention", "/detections", "/mask/age", "/rosout"):
        assert f"<topic>{name}</topic>" in policy


def test_names_follow_remappings_and_the_namespace(ros_environment, trained_file):
    policy = make_policy("--ros-args", "-r", "image:=/camera/image_raw", "-r", "__ns:=/robot")
    assert '<enclave path="/robot/detector">' in policy and '<profile ns="/robot" node="detector">' in policy
    for name in ("/camera/image_raw", "/camera/image_raw/compressed", "/robot/detections", "/diagnostics", "/rosout"):
        assert f"<topic>{name}</topic>" in policy
    assert "<topic>/image</topic>" not in policy


def test_a_node_that_does_not_start_is_one_line(ros_environment):
    made = run_python("-m", "regionmask_ros.ros.policy", "--ros-args", "-p", "network_file:=/no/such.pt")
    assert made.returncode == 2 and made.stdout == "" and "/no/such.pt" in made.stderr
    assert "Traceback" not in made.stderr
