"""How Sphinx builds the documentation: scripts/docs, without a network."""

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "extensions")]

import signatures  # noqa: E402 - found by the line above

from appmetrica_frames import __version__  # noqa: E402

project = "appmetrica-frames"
author = "the authors of appmetrica-frames"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "repository_files",
    "signatures",
]
exclude_patterns = ["extensions", "static"]
default_role = "py:obj"
smartquotes_action = "D"  # dashes only: messages are shown with the quotes that they have
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r"(?!appmetrica_frames).*"),  # types of other packages: the build needs no network
    ("py:exc", r"[A-Z][a-z]+(Error|Warning)|OSError|Exception"),  # Python's own
    ("py:obj", r"(polars|pandas|pyarrow|numpy|pathlib)\..*|date|datetime|None"),
]
nitpick_ignore = [("py:obj", name) for name in signatures.parameter_names()]

myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 4

autodoc_typehints = "none"  # written by extensions/signatures.py, one a line
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
maximum_signature_line_length = 60
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
python_display_short_literal_types = True

html_theme = "furo"
html_title = f"appmetrica-frames {__version__}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_show_copyright = False
copybutton_exclude = ".linenos, .gp, .go"
copybutton_prompt_text = ">>> |\\.\\.\\. "
copybutton_prompt_is_regexp = True
