"""Child: the process in which one target is fuzzed, so that it may die.

python -m tests.fuzz.child TARGET [OPTION OF LIBFUZZER | INPUT | FOLDER OF INPUTS] ...
"""

import shlex
import sys

import atheris


def main() -> None:
    """Fuzzes one target until libFuzzer has had enough, and ends the process."""
    with atheris.instrument_imports(include=["collab"], enable_loader_override=False):
        from tests.fuzz.targets import TARGETS
    name = sys.argv.pop(1)
    # libFuzzer begins further processes by a shell, with this as their command.
    sys.argv[0] = shlex.join((sys.executable, "-m", __spec__.name, name))
    atheris.Setup(sys.argv, TARGETS[name], internal_libfuzzer=True)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
