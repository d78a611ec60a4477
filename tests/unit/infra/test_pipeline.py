"""The pipeline holds no secret, has no more rights than it needs, and calls what there is."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PIPELINE = (ROOT / ".github" / "workflows" / "deploy.yml").read_text(encoding="utf-8")


def test_the_pipeline_keeps_no_secret_and_asks_for_one_token_alone() -> None:
    assert "secrets." not in PIPELINE
    assert "client-secret" not in PIPELINE
    assert "publish-profile" not in PIPELINE
    assert set(re.findall(r"^ +([a-z-]+): write$", PIPELINE, re.MULTILINE)) == {"id-token"}


def test_the_pipeline_takes_actions_of_their_makers_only() -> None:
    assert {use.split("/")[0] for use in re.findall(r"uses: (\S+)", PIPELINE)} == {"actions", "azure"}


def test_the_pipeline_tests_packages_deploys_looks_and_rolls_back_in_this_order() -> None:
    steps = ("bash .ci/run", "pip-audit", "make package", "name: Deploy", "name: Smoke", "name: Roll back")
    places = [PIPELINE.index(step) for step in steps]
    assert places == sorted(places)


def test_the_pipeline_deploys_the_file_that_is_built() -> None:
    assert ".local/package/" in PIPELINE
    assert "now/fhir-registrar.zip" in PIPELINE
    assert (ROOT / "dev" / "package.py").read_text(encoding="utf-8").count('"fhir-registrar.zip"') == 1


def test_every_setting_of_the_pipeline_is_told_to_whoever_sets_it_up() -> None:
    document = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    settings = set(re.findall(r"vars\.(\w+)", PIPELINE))
    assert len(settings) == 6
    assert {each for each in settings if f"`{each}`" not in document} == set()
