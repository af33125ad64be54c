"""Tables of papers: the published numbers beside what was measured here, a module a paper.

``marginalia.tables.<paper>.<table>(**tables, **settings)`` takes measurement tables as figures do
(:mod:`marginalia.figures`), and returns a :class:`~marginalia.tables.form.PaperTable`: tidy rows, and
their wide form as Markdown, LaTeX and HTML. It writes nothing. The numbers that a paper publishes are in a
CSV beside its module.
"""
