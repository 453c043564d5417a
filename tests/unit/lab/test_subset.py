"""The reader of lab.yml: what PyYAML reads of that file, and nothing beyond the subset."""

import pytest
import yaml

from lab import paths, subset


def test_lab_yml_is_read_as_pyyaml_reads_it() -> None:
    text = paths.FACTS.read_text()
    assert subset.parse(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    "line",
    ["a: [1, 2]", "a: {b: 1}", "  a: 1", "- {a: 1}", "just words", "a: b c", "a:\n  b:", "a: &x 1", "a:\n  - b"],
)
def test_what_the_subset_does_not_know_is_refused_by_line(line: str) -> None:
    with pytest.raises(subset.SubsetError, match="line "):
        subset.parse(line)


def test_quoted_words_stay_words() -> None:
    assert subset.parse('version: "1.26"  # a comment') == {"version": "1.26"}
