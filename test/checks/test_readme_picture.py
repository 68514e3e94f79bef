"""`python -m checks.readme_picture`: two frames of the moving picture."""

from __future__ import annotations

from PIL import Image, ImageSequence

from checks.readme_picture import PICTURE, main


def test_the_picture_shows_both_runs_side_by_side_and_moves(trained, real_video, tmp_path):
    real_video("vtest.avi")
    path = tmp_path / "street.webp"
    assert main(["--first", "0", "--frames", "2", "--output", str(path)]) == 0
    with Image.open(path) as image:
        assert (image.size, len(list(ImageSequence.Iterator(image)))) == ((800, 300), 2)


def test_the_committed_picture_is_small():
    with Image.open(PICTURE) as image:
        assert image.size == (800, 300) and len(list(ImageSequence.Iterator(image))) >= 30
    assert PICTURE.stat().st_size < 2_000_000
