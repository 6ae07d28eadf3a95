"""The documentation as a site with a search: `make docs`. The pages stand as they are; none is written for the site."""

import re
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
INDEX = "docs/index"

project = "mull"
author = "the authors of mull"
version = release = re.findall(r'__version__ = "(.+)"', (ROOT / "src/mull/__init__.py").read_text())[0]
extensions = ["myst_parser"]
root_doc = INDEX
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/**"]
exclude_patterns = [".*", "build", "dist", "src", "tests"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header", "misc.highlighting_failure"]
html_theme = "furo"
html_title = f"mull {release}"
html_extra_path = ["site"]
html_copy_source = False


def with_contents(app: Sphinx, name: str, source: list[str]) -> None:
    """Adds a hidden table of contents to the index: the pages that each of its sections links to."""
    if name != INDEX:
        return
    told = []
    for section in re.split(r"^## ", source[0], flags=re.MULTILINE)[1:]:
        links = re.findall(r"\]\(([^)#:]+\.md)\)", section)
        pages = dict.fromkeys(Path(link).with_suffix("").as_posix() for link in links)
        if pages:
            caption = section.partition("\n")[0]
            told.append("\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```"]))
    source[0] = "\n\n".join([source[0], *told])


def setup(app: Sphinx) -> None:
    app.connect("source-read", with_contents)
