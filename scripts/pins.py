"""Refresh the exact pins: `[tool.uv] constraint-dependencies` in pyproject.toml (design 3).

`uv.lock` names registry hosts and stays out of git; the pins keep a set-up repeatable instead. Run it in
an environment that was just synced and tested: what is installed is what is pinned.

For example: uv sync --all-extras --all-groups && uv run python scripts/pins.py && uv lock
"""

import argparse
import re
import sys
from importlib.metadata import distributions
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
KEY = "constraint-dependencies"


def normalised(name: str) -> str:
    """Package name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(own: str) -> list[str]:
    """``name==version`` of every installed distribution but our own, by name."""
    versions = {normalised(d.metadata["Name"]): d.version for d in distributions()}
    not_pinned = {normalised(own), "pip", "setuptools", "wheel", "uv"}
    # a local version label (1.2+cpu) exists in no registry
    return [f"{n}=={v.split('+')[0]}" for n, v in sorted(versions.items()) if n not in not_pinned]


def kept_pins(text: str, pins: list[str]) -> list[str]:
    """Pins of `text` for packages that are not installed here: other groups and other systems."""
    block = re.search(rf"^{KEY} = \[\n(.*?)^\]\n", text, re.MULTILINE | re.DOTALL)
    old = re.findall(r'"([^"]+)"', block.group(1)) if block else []
    here = {pin.split("==")[0] for pin in pins}
    return [pin for pin in old if re.split(r"[=<>!~; ]", pin)[0] not in here]


def with_pins(text: str, pins: list[str]) -> str:
    """`text` of pyproject.toml with the pins in [tool.uv]. Raises ValueError without that section."""
    block = f"{KEY} = [\n" + "".join(f'    "{pin}",\n' for pin in pins) + "]\n"
    present = re.compile(rf"^{KEY} = \[\n.*?^\]\n", re.MULTILINE | re.DOTALL)
    if present.search(text):
        return present.sub(lambda _: block, text, count=1)
    section = re.search(r"^\[tool\.uv\]\n", text, re.MULTILINE)
    if section is None:
        raise ValueError(f"{PYPROJECT} has no [tool.uv] section, where the pins belong")
    return text[: section.end()] + block + text[section.end() :]


def main() -> int:
    """Rewrite pyproject.toml, or with --check only say whether it would change (exit code 1)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 when pins differ")
    arguments = parser.parse_args()
    text = PYPROJECT.read_text(encoding="utf-8")
    own = re.search(r'^name = "([^"]+)"', text, re.MULTILINE)
    pins = installed(own.group(1) if own else "")
    pins = sorted([*pins, *kept_pins(text, pins)])
    fresh = with_pins(text, pins)
    if fresh == text:
        sys.stdout.write(f"{len(pins)} pins, up to date\n")
        return 0
    if arguments.check:
        sys.stdout.write("pins differ from what is installed; run: uv run python scripts/pins.py\n")
        return 1
    PYPROJECT.write_text(fresh, encoding="utf-8")
    sys.stdout.write(f"wrote {len(pins)} pins to {PYPROJECT.name}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
