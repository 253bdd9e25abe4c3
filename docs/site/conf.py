"""What Sphinx is told; it reads the pages that ``docs.site.staging`` has laid out."""

project = "Reloads"
html_title = "Reloads"
root_doc = "index"
extensions = ["myst_parser", "sphinx_copybutton"]
source_suffix = {".md": "markdown"}

# The anchors of the headings are those of GitHub, so a link works there and here.
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_inline"]
highlight_language = "text"
# Names in tables and titles keep the characters that one types.
smartquotes = False
# Its SQL knows no DuckDB: a literal of a struct is coloured as well as it goes.
suppress_warnings = ["misc.highlighting_failure"]

html_theme = "furo"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_use_index = False
copybutton_exclude = ".linenos, .gp, .go"
