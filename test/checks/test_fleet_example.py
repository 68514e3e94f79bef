"""What makes and measures the example of docs/FLEET.md."""

from __future__ import annotations

from checks import fleet_clips, fleet_costs, fleet_slices
from regionmask_ros.sources import open_source


def test_a_video_is_cut_into_clips_of_equal_length_for_cameras_in_turn(make_clip, tmp_path, capfd):
    assert fleet_clips.main([make_clip(13, 8), str(tmp_path), "--clips", "4", "--cameras", "2"]) == 0
    assert capfd.readouterr().out == f"4 clips in {tmp_path}\n"
    clips = sorted(tmp_path.rglob("*.mp4"))
    assert [path.relative_to(tmp_path).as_posix() for path in clips] == [
        "camera1/clip01.mp4", "camera1/clip03.mp4", "camera2/clip02.mp4", "camera2/clip04.mp4"]
    for clip in clips:
        with open_source(str(clip)) as source:
            assert (sum(1 for _ in source.frames()), source.size_wh) == (3, (160, 96))
    assert fleet_clips.main([make_clip(3, 8), str(tmp_path), "--clips", "4"]) == 2


def test_costs_are_those_of_all_frames_and_decoding_is_a_part_of_them(trained, make_clip):
    lines: list[str] = []
    clip = make_clip(12, 8)
    assert fleet_costs.main([clip], lines.append) == 0
    name, frames, read_ms, run_ms, *_ = (cell.strip() for cell in lines[2].strip("|").split("|"))
    assert (name, frames) == (clip, "12") and 0 < float(read_ms) < float(run_ms)


def test_slices_are_compared_behind_their_cuts(tmp_path, capfd):
    head = "frame,stamp_ns,class,score,x,y,w,h,track\n"
    rows = [f"{frame},0,car,0.9000,{10 + frame}.00,20.00,40.00,30.00,\n" for frame in range(8)]
    (tmp_path / "whole.csv").write_text(head + "".join(rows))
    moved = [row.replace("20.00", "22.00") if row.startswith("4") else row for row in rows if not row.startswith("5")]
    (tmp_path / "sliced.csv").write_text(head + "".join(moved))
    assert fleet_slices.main([str(tmp_path / "whole.csv"), str(tmp_path / "sliced.csv"), "--frames", "4", "--behind",
                              "1"]) == 0
    assert capfd.readouterr().out.splitlines()[2:] == [
        "| 0 to 0 | 1 | 0.0% | 100.0% |", "| 1 to 3 | 3 | 66.7% | 66.7% |"]
