"""Make tests/data/expected.txt anew: digests of the reference's results, one a line, for the problems of test_expected.

Any line that changes is a change of results, and the changelog says so first.
"""

import importlib.util
import pathlib

PATH = pathlib.Path(__file__).parents[1] / "tests" / "test_expected.py"


def main():
    spec = importlib.util.spec_from_file_location("test_expected", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    lines = [module.digest(module.by_reference(number)) for number in module.NUMBERS]
    module.EXPECTED.write_text("\n".join(lines) + "\n", encoding="ascii", newline="\n")


if __name__ == "__main__":
    main()
