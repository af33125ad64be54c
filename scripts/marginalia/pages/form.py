"""What a page is made of, and how it becomes one HTML file that asks no network for anything.

The text is a Jinja template beside this module. Figures and controls are Bokeh's, whose program is part of
the file. Numbers that the page calculates with are packed: typed arrays one after the other, compressed, as
text.
"""

import base64
import gzip
import html
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from bokeh.document import Document
from bokeh.embed import components
from bokeh.model import Model
from bokeh.models import CustomJS
from bokeh.resources import Resources
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

FOLDER = Path(__file__).parent
ALIGNED = 8  # bytes: where an array may start in the packed ones
_BOKEH = Resources(mode="inline", components=["bokeh", "bokeh-widgets"], minified=True)


@dataclass(frozen=True)
class Picture:
    """A picture that the pipeline has drawn: a PNG, and what it shows in words."""

    png: bytes
    shows: str

    def __html__(self) -> str:
        source = f"data:image/png;base64,{base64.b64encode(self.png).decode()}"
        return f'<img src="{source}" alt="{html.escape(self.shows)}">'


@dataclass(frozen=True)
class Page:
    """An article in the template ``NAME.html``, with the program ``NAME.js``.

    Attributes:
        models: figures and controls by name; the template puts them in their places.
        start: what is called when the page is there.
        arrays: what the program calculates with.
        pictures: by name, those that there are.
        facts: whatever else the template says.
        provenance: what the page was made of.
    """

    name: str
    models: Mapping[str, Model]
    start: CustomJS
    arrays: Mapping[str, np.ndarray]
    provenance: str
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    facts: Mapping[str, object] = field(default_factory=dict)

    def to_html(self, title: str) -> str:
        """The whole file. A page is made once: its models belong to it afterwards."""
        document = Document()
        for model in self.models.values():
            document.add_root(model)
        document.js_on_event("document_ready", self.start)
        script, places = components(dict(self.models))
        layout, packed = pack(self.arrays)
        environment = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        return environment.get_template(f"{self.name}.html").render(
            title=title,
            style=Markup((FOLDER / "page.css").read_text(encoding="utf-8")),
            bokeh=Markup(_BOKEH.render_js()),
            program=Markup((FOLDER / f"{self.name}.js").read_text(encoding="utf-8")),
            layout=Markup(json.dumps(layout)),
            packed=packed,
            script=Markup(script),
            at={name: Markup(place) for name, place in places.items()},
            pictures=self.pictures,
            provenance=self.provenance,
            **self.facts,
        )


def pack(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, dict], str]:
    """Arrays as text, and by name where each starts (bytes), its type and its shape."""
    layout, parts, start = {}, [], 0
    for name, array in arrays.items():
        content = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        layout[name] = {"start": start, "type": array.dtype.name, "shape": list(array.shape)}
        parts.append(content + bytes(-len(content) % ALIGNED))
        start += len(parts[-1])
    return layout, base64.b64encode(gzip.compress(b"".join(parts), mtime=0)).decode()


def quantized(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors ``[..., D]`` as int16, and the number ``[...]`` by which each is to be multiplied, float32."""
    unit = np.abs(vectors).max(-1) / np.iinfo(np.int16).max
    return np.rint(vectors / np.where(unit > 0, unit, 1)[..., None]).astype(np.int16), unit.astype(np.float32)
