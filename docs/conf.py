"""How Sphinx makes the site; `build_site.py` lays its pages out below `_build/source` and starts it."""

import os

project = "Meta-reinforcement learning, from the ground up"
author = "its authors"
copyright = "its authors, MIT licence"
html_title = project

extensions = ["myst_nb", "sphinx.ext.mathjax"]
exclude_patterns = []
nb_execution_mode = "off"  # the stored outputs are shown; build_site.py has made the widgets work
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath", "attrs_inline"]
myst_heading_anchors = 4
suppress_warnings = ["myst.mathjax"]  # says which classes of HTML hold math: those that are meant

# Math is set by a MathJax of the page's own: no request leaves the machine.
mathjax_path = "mathjax/tex-chtml.js"
mathjax3_config = {"options": {"enableMenu": False}}

html_theme = "sphinx_book_theme"
html_theme_options = {
    "use_download_button": False,
    "use_fullscreen_button": False,
    "navbar_start": [],
    "navbar_center": [],
    "navbar_end": [],
    "navbar_persistent": [],
    "home_page_in_toc": True,
    "show_toc_level": 2,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "repository_url": os.environ.get("SITE_REPOSITORY", ""),
    "use_repository_button": bool(os.environ.get("SITE_REPOSITORY")),
}
html_context = {"default_mode": "auto"}  # light or dark, as the reader's system is
html_favicon = "static/favicon.svg"
html_use_index = False
html_static_path = ["static"]
html_extra_path = [os.environ["SITE_EXTRA"]] if "SITE_EXTRA" in os.environ else []
html_css_files = ["course.css"]
html_js_files = [("course.js", {"defer": "defer"})]
html_copy_source = False
html_show_sourcelink = False
