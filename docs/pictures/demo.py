"""Draw the demo's report as an SVG for the README: `make picture`."""

import asyncio
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from regulars.demo.load import load_demo
from regulars.demo.report import report_of
from regulars.demo.shop import datasets
from regulars.kit.postgres import EmbeddedPostgres
from regulars.kit.settings import Settings
from regulars.migrations import migrate

# Rich's own frame, without the web font that it would fetch.
frame = """<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{ font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-family: system-ui, sans-serif; font-size: 18px; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g>
</svg>
"""


def draw(target: Path) -> None:
    """Run the demo on a database of its own and write its report."""
    settings = Settings()
    console = Console(record=True, width=106, file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder)) as url:
        migrate(url)
        report = asyncio.run(load_demo(url, settings, datasets["cdnow"], shifted=True))
        console.print(report_of(report, settings.currency))
    target.write_text(console.export_svg(title="make demo", theme=MONOKAI, code_format=frame, unique_id="demo"))


if __name__ == "__main__":
    draw(Path(__file__).with_name("demo.svg"))
