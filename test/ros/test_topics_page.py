"""docs/TOPICS.md names every topic and service of the node, with its type."""

from __future__ import annotations

import re
from pathlib import Path

from regionmask_ros.ros import diagnostics

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "TOPICS.md").read_text(encoding="utf-8")
ROS_OWN = {"/rosout", "/parameter_events", "/clock", "/detector/transition_event"}


def test_all_topics_and_services_are_described(rig):
    node, _ = rig(image_transport="raw")
    rows = [row.split("|") for row in PAGE.splitlines() if row.startswith("| `")]
    described = {(name, kind.split(",")[0].strip()) for _, names, kind, *_ in rows
                 for name in re.findall("`(.+?)`", names)}
    for end in (*node.publishers, *node.subscriptions):
        if end.topic_name not in ROS_OWN:
            name = end.topic_name if end.topic_name == "/diagnostics" else end.topic_name.removeprefix("/")
            assert (name, f"{end.msg_type.__module__.partition('.')[0]}/{end.msg_type.__name__}") in described
    services = {service.srv_name for service in node.services if service.srv_type.__name__ == "Trigger"}
    assert services == set(re.findall(r"^\| `(~/\w+)`", PAGE, re.MULTILINE))


def test_the_keys_about_work_are_those_of_the_diagnostics(rig, wait_for, monkeypatch):
    monkeypatch.setattr(diagnostics, "REPORT_PERIOD_S", 0.2)
    _, peer = rig(image_transport="raw")
    keys = wait_for(peer.values)
    _, _, work = PAGE.partition("**Work**")
    described = [key for row in work.split("**")[0].splitlines() if row.startswith("| `")
                 for key in re.findall("`(.+?)`", row.split("|")[1])]
    assert described == [key for key in keys if key.endswith("per frame") or key == "share of MACs"]
