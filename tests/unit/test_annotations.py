"""Annotations of settings, as schemas of their values."""

import ast

import pytest
from jsonschema.exceptions import ValidationError

from marginalia import annotations, plugins
from marginalia.roles import Validator

NUMBER, INTEGER = annotations.PLAIN["float"], {"type": "integer"}


@pytest.mark.parametrize(
    ("annotation", "right", "wrong"),
    [
        ("float", [2, 0.5, float("inf")], ["2", True, None, [2]]),
        ("int", [2, 0], [2.0, True, "2"]),
        ("bool", [True, False], [1, 0, "true"]),
        ("str", ["a"], [1, None]),
        ("int | None", [2, None], [2.5, "none"]),
        ("Optional[int]", [2, None], [2.5]),
        ("Sequence[float]", [[], [2, float("inf")]], [2, ["2"], "2"]),
        ("tuple[int, int]", [[1, 2]], [[1], [1, 2, 3], [1, "2"], 1]),
        ("tuple[int, ...]", [[], [1, 2, 3]], [[1.5], 1]),
        ("Sequence[int] | None", [None, [1]], [1, ["1"]]),
        ("Sequence[int] | Sequence[str]", [[1], ["1"]], [[1, "1"], 1]),
        ("Mapping[str, Mapping]", [{}, {"dct": {}}], [[], {"dct": 3}]),
        ("Literal['ball', 'box']", ["ball"], ["bal", None]),
        ("Literal['ball'] | None", ["ball", None], ["box"]),
        ("typing.Sequence[int]", [[1]], [1]),
        ("Tensor", ["anything", 3], []),
        ("Tensor | None", ["anything", 3], []),
        ("'pixels in a row'", ["anything", 3], []),
    ],
)
def test_values_that_an_annotation_allows(annotation, right, wrong):
    validator = Validator(annotations.schema(ast.parse(annotation, mode="eval").body))
    for value in right:
        validator.validate(value)
    for value in wrong:
        with pytest.raises(ValidationError):
            validator.validate(value)


def test_schemas_of_the_packages_own_plugins():
    found = annotations.schemas("estimators", "deepfool")
    assert found["norms"] == {"type": "array", "items": NUMBER} and found["max_steps"] == INTEGER
    assert annotations.schemas("methods", "pgd_adversarial")["step_size"] == NUMBER
    for kind in plugins.ENTRIES:
        for name in plugins.names(kind):
            known = annotations.schemas(kind, name)
            for setting in plugins.signature(kind, name).settings:
                assert known[setting], f"nothing is known of {setting} of {name}"
            defaults = plugins.signature(kind, name).defaults
            Validator({"properties": known}).validate(defaults)


def test_an_architecture_of_ones_own(tmp_path):
    file = tmp_path / "nets.py"
    file.write_text(
        "def net(shape, depth: int, *, act=None): ...\nclass Net:\n    def __init__(self, depth: int): ...\n"
    )
    assert annotations.schemas("models", f"{file}:net") == {"shape": {}, "depth": INTEGER, "act": {}}
    assert annotations.schemas("models", f"{file}:Net") == {}
    assert annotations.schemas("models", "torchvision.models:resnet18")["weights"] == {}
    assert annotations.schemas("models", "nothing.at_all:net") == {}
