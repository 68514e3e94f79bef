"""One self-contained HTML page: no script, font, image or style is loaded from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .tables import Table, format_html


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


def write_report(path: str, title: str, intro: str, tables: Sequence[Table] = (), figures: Sequence[Figure] = (),
                 images: Sequence[EmbeddedImage] = (), command: str = "", version: str = "",
                 figures_heading: str = "Frame by frame") -> None:
    """Writes the page. All text is escaped; only the SVG of a figure is embedded as it is.

    Args:
        path: Where to write.
        title: Heading of the page.
        intro: One paragraph below it.
        tables: Results in numbers.
        figures: Plots.
        images: Images, in the order in which they are shown.
        command: Command line that gives the same result again.
        version: Version of this package.
        figures_heading: Heading over the plots.
    """
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="intro">{escape(intro)}</p>',
        _section("Results", '<div class="tables">' + "".join(map(format_html, tables)) + "</div>", tables),
        _section(figures_heading, "".join(map(_format_figure, figures)), figures),
        _section("Images", '<div class="images">' + "".join(map(_format_image, images)) + "</div>", images),
        _section("How to reproduce", f"<pre><code>{escape(command)}</code></pre>", command),
        f"<footer>regionmask_ros {escape(version)}</footer>" if version else "",
    ]
    body = "\n".join(part for part in parts if part)
    with open(path, "w", encoding="utf-8") as file:
        file.write(PAGE.format(title=escape(title), style=STYLE, body=body))


def _section(heading: str, content: str, present: object) -> str:
    return f"<section>\n<h2>{escape(heading)}</h2>\n{content}\n</section>" if present else ""


def _format_figure(figure: Figure) -> str:
    label = escape(figure.caption, quote=True)
    return (
        f'<figure>\n<div class="plot" role="img" aria-label="{label}" tabindex="0">\n{figure.svg}\n</div>\n'
        f"<figcaption>{escape(figure.caption)}</figcaption>\n</figure>\n")


def _format_image(image: EmbeddedImage) -> str:
    data = base64.b64encode(image.jpeg).decode("ascii")
    alt = escape(image.caption, quote=True)
    return (
        f'<figure><img src="data:image/jpeg;base64,{data}" alt="{alt}">'
        f"<figcaption>{escape(image.caption)}</figcaption></figure>\n")


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f6f7f8; --card: #ffffff; --ink: #1b1f23; --soft: #57606a; --rule: #d7dce1;
  --line: #0072b2; --mark: #d55e00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171a; --card: #1d2226; --ink: #e6e9ec; --soft: #9aa5b0; --rule: #343c44;
    --line: #56b4e9; --mark: #ffa53c;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); line-height: 1.5;
  font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 66rem; margin: 0 auto; padding: clamp(1rem, 4vw, 3rem); }
h1 { font-size: clamp(1.5rem, 4vw, 2.2rem); line-height: 1.2; margin: 0 0 .75rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; }
.intro { max-width: 46rem; color: var(--soft); margin: 0; }
.tables { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
.tables > div { flex: 1 1 auto; min-width: min(100%, 17rem); max-width: 100%; overflow-x: auto; }
table { width: 100%; border-collapse: separate; background: var(--card); border: 1px solid var(--rule);
  border-radius: .5rem; border-spacing: 0; overflow: hidden; font-size: .92rem; }
caption { text-align: left; font-weight: 600; padding: 0 0 .4rem; }
th, td { padding: .4rem .75rem; text-align: right; vertical-align: top; border-top: 1px solid var(--rule);
  font-variant-numeric: tabular-nums; }
td { white-space: nowrap; }
thead th { border-top: 0; color: var(--soft); font-weight: 500; }
th:first-child { text-align: left; font-weight: 500; }
.text { text-align: left; }
.groups th { text-align: center; }
.note { width: 0; min-width: 100%; margin: .4rem 0 0; color: var(--soft); font-size: .85rem; }
figure { margin: 0; background: var(--card); border: 1px solid var(--rule); border-radius: .5rem; overflow: hidden; }
figcaption { padding: .5rem .75rem; color: var(--soft); font-size: .88rem; }
.plot { overflow-x: auto; padding: .75rem .5rem 0; }
.plot svg { display: block; width: 100%; min-width: 36rem; height: auto; }
.plot:focus-visible { outline: 2px solid var(--line); outline-offset: -2px; }
.images { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1rem; }
img { display: block; width: 100%; height: auto; }
pre { background: var(--card); border: 1px solid var(--rule); border-radius: .5rem; padding: .75rem; margin: 0;
  white-space: pre-wrap; overflow-wrap: anywhere; font-size: .9rem; }
footer { margin-top: 2.5rem; color: var(--soft); font-size: .85rem; }
@media print { figure, table, pre { break-inside: avoid; } }
""".strip()
