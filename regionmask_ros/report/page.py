"""One self-contained HTML page: no script, font, image, video or style is loaded from elsewhere.

From top to bottom: a video or a pair of images, the figures that matter, images, plots, tables, the command line. The
look is in ``page.css``, and ``page.js`` moves the slider of a pair; the page holds both.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import TypeVar

from .tables import Table, format_html

_T = TypeVar("_T")


@dataclass(frozen=True)
class Figure:
    """A plot with its caption.

    Attributes:
        caption: What the plot shows.
        svg: An <svg> element. It is trusted: the page holds it as it is.
    """

    caption: str
    svg: str


@dataclass(frozen=True)
class EmbeddedImage:
    """An image with its caption.

    Attributes:
        caption: What the image shows.
        jpeg: Content of a JPEG file.
    """

    caption: str
    jpeg: bytes


@dataclass(frozen=True)
class EmbeddedVideo:
    """A video with its caption.

    Attributes:
        caption: What the video shows.
        mp4: Content of an MP4 file that browsers play.
        sides: Names of its left and its right half, of the same size, which the page shows over each other with a
            slider; None for a video that is shown as it is.
    """

    caption: str
    mp4: bytes
    sides: tuple[str, str] | None = None


@dataclass(frozen=True)
class ImagePair:
    """Two images of the same size, which the page shows over each other with a slider.

    Attributes:
        caption: What they show.
        left: The image on the left of the slider; its caption is its name.
        right: The other one.
    """

    caption: str
    left: EmbeddedImage
    right: EmbeddedImage


@dataclass(frozen=True)
class KeyFigure:
    """One of the few figures that matter.

    Attributes:
        name: What it is.
        value: The figure, with its unit.
        note: What a reader must know about it.
    """

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Gallery:
    """Images under a heading.

    Attributes:
        heading: The heading.
        images: In the order in which they are shown.
        about: A line below the heading.
        is_small: Whether they are thumbnails.
    """

    heading: str
    images: tuple[EmbeddedImage, ...]
    about: str = ""
    is_small: bool = False


@dataclass(frozen=True)
class Page:
    """All that a page shows. What is empty leaves no trace.

    Attributes:
        title: Heading of the page.
        intro: One paragraph below it.
        lead: What is shown first.
        key_figures: The figures that matter, at best three.
        galleries: Images.
        figures: Plots.
        figures_heading: Heading over the plots.
        tables: Results in numbers.
        command: Command line that gives the same result again.
        version: Version of this package.
    """

    title: str
    intro: str
    lead: EmbeddedVideo | ImagePair | None = None
    key_figures: tuple[KeyFigure, ...] = ()
    galleries: tuple[Gallery, ...] = ()
    figures: tuple[Figure, ...] = ()
    figures_heading: str = "Frame by frame"
    tables: tuple[Table, ...] = ()
    command: str = ""
    version: str = ""


def write_page(path: str, page: Page) -> None:
    """Writes a page. All text is escaped; only the SVG of a figure is embedded as it is.

    Args:
        path: Where to write.
        page: What it shows.
    """
    parts = [
        f"<h1>{escape(page.title)}</h1>",
        f'<p class="intro">{escape(page.intro)}</p>',
        _format_lead(page.lead),
        f'<div class="key">\n{_all(_format_key_figure, page.key_figures)}</div>' if page.key_figures else "",
        *map(_format_gallery, page.galleries),
        _section(page.figures_heading, _all(_format_figure, page.figures)),
        _section("Tables", f'<div class="tables">\n{_all(format_html, page.tables)}</div>' if page.tables else ""),
        _section("How to reproduce", f"<pre><code>{escape(page.command)}</code></pre>" if page.command else ""),
        f"<footer>regionmask_ros {escape(page.version)}</footer>" if page.version else "",
    ]
    has_slider = isinstance(page.lead, ImagePair) or (page.lead is not None and page.lead.sides is not None)
    script = _part("page.js").strip() if has_slider else ""
    digest = base64.b64encode(hashlib.sha256(f"\n{script}\n".encode()).digest()).decode("ascii")
    text = _part("page.html").format(
        title=escape(page.title), style=_part("page.css").strip(), body="\n".join(filter(None, parts)),
        script=f"<script>\n{script}\n</script>" if script else "",
        script_source=f"'sha256-{digest}'" if script else "'none'")
    Path(path).write_text(text, encoding="utf-8")


@cache
def _part(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _all(format_one: Callable[[_T], str], things: Iterable[_T]) -> str:
    return "".join(map(format_one, things))


def _section(heading: str, content: str) -> str:
    return f"<section>\n<h2>{escape(heading)}</h2>\n{content}\n</section>" if content else ""


def _format_key_figure(figure: KeyFigure) -> str:
    note = f'<p class="note">{escape(figure.note)}</p>' if figure.note else ""
    return f'<div><p class="name">{escape(figure.name)}</p><p class="value">{escape(figure.value)}</p>{note}</div>\n'


def _format_lead(lead: EmbeddedVideo | ImagePair | None) -> str:
    if lead is None:
        return ""
    caption = f"<figcaption>{escape(lead.caption)}</figcaption>"
    if isinstance(lead, ImagePair):
        images = _format_img(lead.left) + _format_img(lead.right, "top")
        return _format_pair(images, (lead.left.caption, lead.right.caption), "", caption)
    video = (f'<video src="{_data_uri("video/mp4", lead.mp4)}" controls muted loop playsinline preload="auto" '
             f'aria-label="{escape(lead.caption, quote=True)}"></video>')
    if lead.sides is None:
        return f'<figure class="lead">\n{video}\n{caption}\n</figure>'
    controls = ('<div class="controls"><button type="button">Play</button><input type="range" class="seek" min="0" '
                'max="1" step="0.01" value="0" aria-label="Position in the video"><output>0.0 s</output></div>\n')
    return _format_pair(video, lead.sides, controls, caption)


def _format_pair(content: str, sides: tuple[str, str], controls: str, caption: str) -> str:
    left, right = (escape(side, quote=True) for side in sides)
    return (
        f'<figure class="lead pair">\n<div class="stage">\n{content}\n'
        f'<input class="divide" type="range" min="0" max="100" value="50" step="0.5" '
        f'aria-label="Edge between {left} (on the left) and {right} (on the right)">'
        f'<span class="edge"></span><span class="badge left">{left}</span><span class="badge right">{right}</span>\n'
        f"</div>\n{controls}{caption}\n</figure>")


def _format_gallery(gallery: Gallery) -> str:
    about = f'<p class="about">{escape(gallery.about)}</p>\n' if gallery.about else ""
    images = f'<div class="{"thumbs" if gallery.is_small else "images"}">\n{_all(_format_image, gallery.images)}</div>'
    return _section(gallery.heading, about + (images if gallery.images else "")) if gallery.images or about else ""


def _format_figure(figure: Figure) -> str:
    label = escape(figure.caption, quote=True)
    return (
        f'<figure>\n<div class="plot" role="img" aria-label="{label}" tabindex="0">\n{figure.svg}\n</div>\n'
        f"<figcaption>{escape(figure.caption)}</figcaption>\n</figure>\n")


def _format_image(image: EmbeddedImage) -> str:
    return f"<figure>{_format_img(image)}<figcaption>{escape(image.caption)}</figcaption></figure>\n"


def _format_img(image: EmbeddedImage, kind: str = "") -> str:
    place = f' class="{kind}"' if kind else ""
    return f'<img src="{_data_uri("image/jpeg", image.jpeg)}" alt="{escape(image.caption, quote=True)}"{place}>'


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
