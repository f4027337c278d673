"""The code in README.md runs as printed, and prints what the page says."""

import doctest
import re
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"


def test_python_block_prints_what_the_readme_says():
    blocks = re.findall(
        r"^```python\n(.*?)^```$", README.read_text("utf-8"), re.M | re.S
    )
    assert len(blocks) == 1
    test = doctest.DocTestParser().get_doctest(blocks[0], {}, "README.md", None, 0)
    assert test.examples
    complaints: list[str] = []
    results = doctest.DocTestRunner().run(test, out=complaints.append)
    assert results.failed == 0, "".join(complaints)
