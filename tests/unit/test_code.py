"""The meaning of code: what changes it, and what does not."""

import shutil
import subprocess
import sys
import textwrap
import time

import pytest

from marginalia import code, plugins

PACKAGE = {
    "__init__.py": "",
    "main.py": '''
        """A module."""

        from dataclasses import dataclass

        import numpy as np

        from pack import tools
        from pack.shapes import area as surface
        from pack.sub import exported

        FACTOR = 2
        UNUSED = 3


        @dataclass
        class Point:
            """A point."""

            x: int
            y: int = 0


        def entry(a, b=FACTOR):
            """Does it."""
            # a comment
            return tools.helper(a) + surface(Point(a, b)) + exported() + np.sum(a)


        def lazy():
            import pack.late

            from pack import tools as t

            return pack.late.late(1), [tools for tools in range(3)], t.other()


        def whole():
            return list(vars(tools))


        def shadowed(tools):
            return tools.other()


        def ping(n):
            return pong(n)


        def pong(n):
            return ping(n)
        ''',
    "tools.py": """
        from pack import deep

        def helper(x):
            return deep.CONSTANT * x

        def other():
            return 1
        """,
    "deep.py": "CONSTANT = 4\nOTHER = 5\n",
    "shapes.py": "def area(p):\n    return p.x * p.y\n",
    "late.py": "def late(x):\n    return x\n",
    "sub/__init__.py": "from pack.sub.inner import exported\n",
    "sub/inner.py": "def exported():\n    return LEVEL\n\nLEVEL = 6\n",
    "effects.py": """
        TABLE = {}

        def register(function):
            TABLE[function.__name__] = function
            return function

        @register
        def one():
            return 1

        def look(name):
            return TABLE[name]
        """,
}


@pytest.fixture
def meaning(tmp_path):
    """The meaning of an entry of the package above, some texts in it replaced: (file, old, new) each."""
    made = []

    def meaning(entry, *changes):
        made.append(entry)
        root = tmp_path / str(len(made))
        files = {name: textwrap.dedent(text) for name, text in PACKAGE.items()}
        for name, old, new in changes:
            assert old in files[name]
            files[name] = files[name].replace(old, new)
        for name, text in files.items():
            (root / "pack" / name).parent.mkdir(parents=True, exist_ok=True)
            (root / "pack" / name).write_text(text)
        return code.meaning(entry, folder=root)

    return meaning


@pytest.mark.parametrize(
    "change",
    [
        ("main.py", "# a comment", "# another one\n\n"),
        ("main.py", '"""Does it."""', '"""Does something."""'),
        ("main.py", '"""Does it."""\n', "\n"),
        ("main.py", '"""A module."""', ""),
        ("main.py", '"""A point."""', ""),
        ("main.py", "a, b=FACTOR", "a: int, b: 'tools.X | None' = (FACTOR)"),
        ("main.py", "def entry(a, b=FACTOR):", "def entry(\n    a,\n    b=FACTOR,\n) -> int:"),
        ("main.py", "x: int", "x: float"),
        ("main.py", "UNUSED = 3", "UNUSED = 4\nif_typed: int"),
        ("main.py", "FACTOR = 2\nUNUSED = 3", "UNUSED = 3\nFACTOR: int = 2"),
        ("main.py", "import numpy as np\n", "import numpy as np\nimport pack.late\n"),
        (
            "main.py",
            "FACTOR = 2",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    Z = 1\nFACTOR = 2",
        ),
        ("tools.py", "return 1", "return 2"),
        ("tools.py", "    return deep", "    return \\\n        deep"),
        ("deep.py", "OTHER = 5", "OTHER = 6"),
        ("late.py", "return x", "return 2 * x"),
        (
            "sub/inner.py",
            "def exported():\n    return LEVEL\n\nLEVEL = 6\n",
            "LEVEL = 6\ndef exported(): return LEVEL",
        ),
        ("sub/__init__.py", "from pack.sub.inner", "from .inner"),
    ],
)
def test_what_has_no_meaning(meaning, change):
    assert meaning("pack.main:entry", change) == meaning("pack.main:entry")


@pytest.mark.parametrize(
    ("entry", "change"),
    [
        ("entry", ("deep.py", "CONSTANT = 4", "CONSTANT = 5")),
        ("entry", ("main.py", "FACTOR = 2", "FACTOR = 2.0")),
        ("entry", ("main.py", "y: int = 0", "y: int = 1")),
        ("entry", ("main.py", "y: int = 0", "y: int")),
        ("entry", ("main.py", "x: int\n", "z: int\n")),
        ("entry", ("main.py", "@dataclass\n", "@dataclass(frozen=True)\n")),
        ("entry", ("main.py", "import numpy as np", "import scipy as np")),
        ("entry", ("main.py", "np.sum(a)", "np.max(a)")),
        ("entry", ("main.py", "exported()", "-exported()")),
        ("entry", ("main.py", "(a, b=", "(b, a=")),
        ("entry", ("main.py", "from pack.shapes import area", "from pack.late import late")),
        ("entry", ("shapes.py", "*", "+")),
        ("entry", ("sub/inner.py", "6", "7")),
        ("entry", ("sub/__init__.py", "import exported", "import LEVEL as exported")),
        ("entry", ("__init__.py", "", "print('imported')\n")),
        ("entry", ("tools.py", "from pack", "for i in 'ab': print(i)\nfrom pack")),
        ("entry", ("deep.py", "OTHER", "CONSTANT += 1\nOTHER")),
        ("lazy", ("late.py", "return x", "return 2 * x")),
        ("lazy", ("tools.py", "return 1", "return 2")),
        ("whole", ("tools.py", "return 1", "return 2")),
        ("whole", ("deep.py", "CONSTANT = 4", "CONSTANT = 5")),
        ("ping", ("main.py", "return ping(n)", "return ping(n - 1)")),
    ],
)
def test_what_has_meaning(meaning, entry, change):
    assert meaning(f"pack.main:{entry}", change) != meaning(f"pack.main:{entry}")


def test_a_name_of_its_own_hides_that_of_a_module(meaning):
    change = ("tools.py", "return 1", "return 2")
    assert meaning("pack.main:shadowed", change) == meaning("pack.main:shadowed")


def test_registered_functions_count(meaning):
    change = ("effects.py", "return 1", "return 2")
    assert meaning("pack.effects:look", change) != meaning("pack.effects:look")


def test_a_module_as_an_entry(meaning):
    assert meaning("pack.deep", ("deep.py", "5", "6")) != meaning("pack.deep")
    assert meaning("pack.sub", ("sub/inner.py", "6", "7")) != meaning("pack.sub")
    assert meaning("pack.deep") != meaning("pack.late") != meaning("pack.deep:CONSTANT")


def test_files_and_what_lies_beside_them(tmp_path):
    def written(name, script="a", helper="1", data="x"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "script.py").write_text(
            f"from helper import f\nwith f():\n    from helper import g\n    g('{script}')"
        )
        (folder / "helper.py").write_text(f"def f(): return 1\ndef g(x): return {helper}\ndef h(): return 2")
        (folder / "published.csv").write_text(data)
        return code.meaning(str(folder / "script.py"), str(folder / "published.csv"))

    first = written("1")
    assert written("2") == first
    assert written("3", script="b") != first
    assert written("4", helper="2") != first
    assert written("5", data="y") != first
    for name, level in (("6", 1), ("7", 2)):
        (tmp_path / name / "lib").mkdir(parents=True)
        (tmp_path / name / "script.py").write_text("from lib import f\nf()")
        (tmp_path / name / "lib" / "__init__.py").write_text("from lib.inner import f")
        (tmp_path / name / "lib" / "inner.py").write_text(f"def f(): return {level}")
    assert code.meaning(f"{tmp_path}/6/script.py") != code.meaning(f"{tmp_path}/7/script.py")
    of_g = code.meaning(f"{tmp_path / '1' / 'helper.py'}:g")
    assert of_g == code.meaning(f"{tmp_path / '2' / 'helper.py'}:g")
    assert of_g != code.meaning(f"{tmp_path / '4' / 'helper.py'}:g")


def test_a_users_package_counts_and_an_installed_one_counts_by_name(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    for name, number in (("users_package_a", 1), ("users_package_b", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "nets.py").write_text(f"from {name}.parts import NUMBER\ndef net(): return NUMBER")
        (tmp_path / name / "parts.py").write_text(f"NUMBER = {number}")
    found = code._closure("users_package_a.nets:net", None)
    assert len(found) == 5, "net and NUMBER, the effects of two modules, the entry"
    assert code._closure("torchvision.models:resnet18", None) == {"torchvision.models:resnet18"}
    assert code._closure("not_there.models:net", None) == {"not_there.models:net"}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("marginalia.nothing", "there is no module marginalia.nothing"),
        ("marginalia.dct:nothing", r"dct.py has no function nothing\(\)"),
        ("/nowhere/file.py:f", "/nowhere/file.py cannot be read as Python"),
        ("/nowhere/file.csv", "/nowhere/file.csv cannot be read"),
    ],
)
def test_what_is_not_there_is_named(entry, message):
    with pytest.raises(ValueError, match=message):
        code.meaning(entry)


def test_a_file_that_is_no_python_is_named(tmp_path):
    (tmp_path / "broken.py").write_text("def f(:")
    with pytest.raises(ValueError, match="broken.py cannot be read as Python"):
        code.meaning(f"{tmp_path / 'broken.py'}:f")


def test_figures_depend_on_what_draws_them(tmp_path):
    def meanings(name, *changes):
        root = tmp_path / name
        shutil.copytree(
            code.PACKAGE, root / "marginalia", ignore=shutil.ignore_patterns("__pycache__", "*.xz")
        )
        for file, old, new in changes:
            path = root / "marginalia" / file
            assert old in path.read_text()
            path.write_text(path.read_text().replace(old, new))
        return [
            code.meaning(f"marginalia.figures.wu2019:{figure}", folder=root) for figure in ("fig01a", "fig02")
        ]

    linear, networks = meanings("0")
    draws_margins = ("figures/linear.py", "def margins(", "@staticmethod\ndef margins(")
    assert meanings("1", draws_margins)[0] != linear
    assert meanings("2", draws_margins)[1] == networks
    trades_off = ("figures/networks.py", "def trade_off(", "@staticmethod\ndef trade_off(")
    assert meanings("3", trades_off)[0] == linear
    assert meanings("4", trades_off)[1] != networks


def test_the_package_is_read_fast_and_without_imports():
    script = (
        "import sys; from marginalia import code, plugins\n"
        "entries = [plugins.entry(kind, name) for kind in plugins.ENTRIES for name in plugins.names(kind)]\n"
        "entries += ['marginalia.figures.wu2019', 'marginalia.figures.mickisch2020']\n"
        "entries += ['marginalia.tables.wu2019', 'marginalia.training.trainer:Trainer']\n"
        "entries += ['marginalia.measurements.measure:measure']\n"
        "assert len({code.meaning(entry) for entry in entries}) == len(entries)\n"
        "print([name for name in ('torch', 'numpy', 'pandas', 'matplotlib', 'yaml') if name in sys.modules])"
    )
    start = time.perf_counter()
    assert subprocess.check_output([sys.executable, "-c", script], text=True).strip() == "[]"
    assert time.perf_counter() - start < 5


def test_the_meaning_of_a_plugin_is_no_matter_of_how_it_is_looked_up(tmp_path):
    def meaning(name, old, new):
        shutil.copytree(
            code.PACKAGE, tmp_path / name / "marginalia", ignore=shutil.ignore_patterns("*.xz", "__py*")
        )
        file = tmp_path / name / "marginalia" / "plugins.py"
        file.write_text(file.read_text().replace(old, new))
        return code.meaning("marginalia.measurements.measure:measure", folder=tmp_path / name)

    assert meaning("a", "def load(", "@cache\ndef load(") == meaning("b", "", "")
    assert plugins.entry("estimators", "pgd") == "marginalia.estimators.pgd:measure"
