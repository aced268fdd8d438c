"""``saidpo check`` and the pytest plug-in: what a person and an author see."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from saidpo_core.conformance import checks_of
from tests.command import Saidpo

pytest_plugins = ["pytester"]


@pytest.fixture
def package(tmp_path: Path, saidpo: Saidpo) -> Path:
    """A written clusterer and a sampler that gives NaN, installed side by side."""
    folder = tmp_path / "packages"
    flaws = {
        "saidpo-areas": ("clusterer", "", ""),
        "saidpo-nans": ("sampler", "self.options.floor + share", "np.nan * share"),
    }
    for name, (kind, old, new) in flaws.items():
        assert saidpo("new-plugin", name, "--kind", kind, cwd=tmp_path).returncode == 0
        module = name.replace("-", "_")
        (folder / module).mkdir(parents=True)
        source = (tmp_path / name / "src" / module / f"{kind}.py").read_text()
        (folder / module / f"{kind}.py").write_text(source.replace(old, new) if old else source)
        info = folder / f"{module}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
        (info / "entry_points.txt").write_text(f"[saidpo]\nx = {module}.{kind}\n")
    return folder


def test_a_component_that_keeps_its_promises(tmp_path: Path, saidpo: Saidpo, package: Path) -> None:
    done = saidpo("check", "saidpo-areas", cwd=tmp_path, path=package)
    assert done.returncode == 0, done.stderr
    checks = len(checks_of("clusterer")) - 1  # there is no clustering of nothing
    assert f"clusterer     saidpo-areas/areas       {checks} passed" in done.stdout
    assert f"1 of 1 components keep every promise that was checked: {checks} checks passed, 0 failed" in done.stdout
    assert done.stderr == ""


def test_one_that_does_not_is_named_with_promise_and_reason(tmp_path: Path, saidpo: Saidpo, package: Path) -> None:
    done = saidpo("check", "saidpo-nans", cwd=tmp_path, path=package)
    assert done.returncode == 1
    assert "FAILED works_on_ordinary_input: broke its promise in weights: a weight is NaN" in done.stdout
    assert "promised: It keeps the contract of its kind on ordinary input" in done.stdout
    assert "and so failed works_on_one, works_on_duplicates" in done.stdout
    assert done.stderr == "saidpo: 1 of 1 components break a promise\n"


def test_as_json_every_check_has_a_row(tmp_path: Path, saidpo: Saidpo, package: Path) -> None:
    done = saidpo("check", "clusterer/none", "sampler/saidpo-nans/nans", "--json", cwd=tmp_path, path=package)
    assert done.returncode == 1
    rows = json.loads(done.stdout)["results"]
    assert {(row["kind"], row["name"], row["distribution"]) for row in rows} == {
        ("clusterer", "none", "saidpo"),
        ("sampler", "nans", "saidpo-nans"),
    }
    assert {row["status"] for row in rows if row["kind"] == "clusterer"} == {"passed"}
    assert all(row["promise"] and row["seconds"] >= 0 for row in rows)


def test_verbose_names_every_check(tmp_path: Path, saidpo: Saidpo) -> None:
    done = saidpo("check", "random", "-v", cwd=tmp_path)  # a difficulty and a pair builder
    assert "    passed same_seed_same_result\n" in done.stdout
    assert "    skipped order_of_problems_does_not_matter: says that order matters\n" in done.stdout
    assert "2 of 2 components" in done.stdout


def test_an_unknown_name_is_refused_with_the_nearest(tmp_path: Path, saidpo: Saidpo) -> None:
    done = saidpo("check", "clusterer/kmean", cwd=tmp_path)
    assert done.returncode == 2
    assert "no package, kind or component is called 'clusterer/kmean'. Did you mean clusterer/kmeans?" in done.stderr


def test_a_component_whose_extra_is_missing_is_not_called_good(tmp_path: Path, saidpo: Saidpo, package: Path) -> None:
    file = package / "saidpo_areas" / "clusterer.py"
    text = file.read_text().replace("        import numpy as np\n", "        raise MissingExtra('--x', 'y', 'z')\n")
    file.write_text(text.replace("import Clusterer,", "import Clusterer, MissingExtra,"))
    done = saidpo("check", "saidpo-areas", cwd=tmp_path, path=package)
    assert "--x needs the package y: pip install 'saidpo[z]'" in done.stdout
    assert "works_on_ordinary_input" not in done.stdout


def test_what_needs_a_package_says_so_before_anything_starts(tmp_path: Path, saidpo: Saidpo, package: Path) -> None:
    file = package / "saidpo_areas" / "clusterer.py"
    file.write_text(file.read_text().replace('name="areas",', 'name="areas", needs="not_installed", extra="gpu",'))
    said = "--clusterer=saidpo-areas/areas needs the package not_installed: pip install 'saidpo-areas[gpu]'"
    done = saidpo("--clusterer=areas", "--run-dir=run", cwd=tmp_path, path=package)
    assert (done.returncode, done.stderr) == (2, f"saidpo: {said}\n")
    assert not (tmp_path / "run").exists()
    listed = saidpo("plugins", cwd=tmp_path, path=package).stdout
    assert "(first pip install 'saidpo-areas[gpu]')" in listed
    checked = saidpo("check", "saidpo-areas", cwd=tmp_path, path=package)
    assert f"not checked: {said}" in checked.stdout
    assert "saidpo-areas[gpu]" in saidpo("plugins", "clusterer/areas", cwd=tmp_path, path=package).stdout


def test_three_lines_of_pytest(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.saidpo("clusterer/none", "difficulty/random")
        def test_conformance(saidpo_check):
            saidpo_check()
        """
    )
    result = pytester.runpytest_subprocess("-v", "--strict-markers")
    names = len(checks_of("clusterer")) + len(checks_of("difficulty"))
    result.assert_outcomes(passed=names - 3, skipped=3)  # two without an input, one says that order matters
    result.stdout.fnmatch_lines(["*test_conformance?clusterer/none-same_seed_same_result? PASSED*"])


def test_pytest_says_which_package_it_does_not_know(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        "import pytest\n@pytest.mark.saidpo('saidpo-spectrl')\ndef test_it(saidpo_check):\n    saidpo_check()\n"
    )
    result = pytester.runpytest_subprocess()
    result.stdout.fnmatch_lines(["*no package, kind or component is called 'saidpo-spectrl'*"])


def test_pytest_tells_the_promise_that_was_broken(
    pytester: pytest.Pytester, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(package))
    pytester.makepyfile(
        "import pytest\n@pytest.mark.saidpo('saidpo-nans')\ndef test_it(saidpo_check):\n    saidpo_check()\n"
    )
    result = pytester.runpytest_subprocess("-k", "works_on_one")
    result.assert_outcomes(failed=1, deselected=len(checks_of("sampler")) - 1)
    result.stdout.fnmatch_lines(
        [
            "sampler nans of saidpo-nans 0.1.0",
            "*a weight is NaN",
            "promised: It keeps the contract on the smallest input.",
        ]
    )
