"""A paper's page: it is built with what it shows, and made anew when its text or a picture in it changes."""

import re

import pytest
from pipeline import Pipeline, copy_of_repository

PAGE = "results/tiny/tanay2018.html"
MAKE = "make page tanay2018: what L2 regularization does to the boundary of a classifier, to play with"


@pytest.fixture
def pipeline(tmp_path) -> Pipeline:
    svm = {
        "view": "mnist",
        "images": 40,
        "pairs": [[0, 1]],
        "levels": {"first": 4, "last": 2, "count": 2},
        "shown_pairs": [[0, 1]],
        "shown_levels": [4, 2],
    }
    config = {
        "scale": "tiny",
        "datasets": {"mnist": {"source": "embedded", "name": "mnist"}},
        "runs": {},
        "measurements": {"predictions": {"estimator": "predictions"}},
        "papers": {"tanay2018": {"svm": svm}},
    }
    root = copy_of_repository(tmp_path / "repository")
    (tmp_path / "work").mkdir()
    return Pipeline(tmp_path / "work", config, root)


@pytest.mark.slow
def test_a_page_is_one_file_and_current_until_something_in_it_changes(pipeline):
    pipeline.run(PAGE)
    page = (pipeline.folder / PAGE).read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>") and "0 and 1" in page and "Made from: scale tiny" in page
    assert page.count('<img src="data:image/png;base64,') == 2
    assert not re.search(r"<(script|link|img)\b[^>]*\b(src|href)=.(https?:)?//", page)
    assert not pipeline.planned(PAGE)

    article = pipeline.root / "scripts/marginalia/pages/tanay2018.html"
    article.write_text(article.read_text().replace("A boundary that tilts", "A line that tilts"))
    assert pipeline.planned(PAGE) == {MAKE}
    pipeline.run(PAGE)
    assert "A line that tilts" in (pipeline.folder / PAGE).read_text(encoding="utf-8")
    assert not pipeline.planned(PAGE)

    caption = pipeline.root / "workflow/report/tanay2018/noisy_point.rst"
    caption.write_text(caption.read_text() + "\nMore.\n")
    planned = pipeline.planned(PAGE)
    assert MAKE in planned and any(job.startswith("make figure noisy_point") for job in planned)
    assert len(planned) == 2
