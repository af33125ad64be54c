"""Pages: articles with pictures that answer to controls, one self-contained HTML file a paper.

- :mod:`~marginalia.pages.form` is what a page is made of: Bokeh's figures and controls, arrays, pictures and
  text,
- a paper has a module with the function ``page``, an article (``PAPER.html``) and what its controls change
  (``PAPER.js``).
"""
