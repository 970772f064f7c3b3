"""The document of the bench as lines and as the table of docs/benchmarks.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from benches.goals import GOALS
from data_eng.errors import UsageError

BEGIN: Final = "<!-- begin: written by `spymaster bench --page docs/benchmarks.md`; do not edit -->"
END: Final = "<!-- end -->"


def lines(document: dict[str, Any]) -> list[str]:
    """For people at a terminal."""
    found = [f"equal: {sentence}" for sentence in document["equal"]]
    found += [f"not compared with {text}" for text in document["not_compared"]]
    for name in goals_of(document):
        goal = document[name]
        found += ["", f"{name}  {'met' if goal['met'] else 'NOT MET'}  {goal['text']}"]
        for check in goal["checks"]:
            found.append(
                f"    {_mark(check):<8}{check['name']}: {_value(check)}, goal {check['goal']}{_sides(check)}"
            )
        found += [f"      {line}" for line in _beside(goal.get("beside", {}))]
    found += ["", *[f"{key}: {text}" for key, text in _facts(document)]]
    return found


def markdown(document: dict[str, Any]) -> str:
    """Table, facts and profile for the page."""
    rows = ["| Goal | What | Value | Promise | Met | Medians |", "| --- | --- | --- | --- | --- | --- |"]
    for name in goals_of(document):
        for check in document[name]["checks"]:
            rows.append(
                f"| {name} | {check['name']} | {_value(check)} | {check['goal']} | {_mark(check)} |"
                f" {_sides(check).removeprefix('; ')} |"
            )
    facts = [f"- {key}: {text}" for key, text in _facts(document)]
    beside = []
    for name in goals_of(document):
        told = _beside(document[name].get("beside", {}))
        if told:
            beside += [
                f"### Beside {name}: {document[name]['text']}",
                "",
                *[f"    {line}" for line in told],
                "",
            ]
    equal = [f"- {sentence}" for sentence in document["equal"]]
    equal += [f"- not compared with {text}" for text in document["not_compared"]]
    parts = [*rows, "", *facts, "", "Found equal before any time was taken:", "", *equal, "", *beside]
    return "\n".join(parts).rstrip() + "\n"


def write_page(page: Path, document: dict[str, Any]) -> None:
    """Replace what stands between the two marks of `page`. Raises as `check_page`."""
    text = check_page(page)
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    page.write_text(f"{head}{BEGIN}\n\n{markdown(document)}\n{END}{tail}", encoding="utf-8")


def check_page(page: Path) -> str:
    """Text of `page`. Raises `UsageError` when it has no place for the table."""
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    if BEGIN not in text or END not in text.split(BEGIN, 1)[1]:
        raise UsageError(f"{page}: has no place for the table, expected the lines {BEGIN!r} and {END!r}")
    return text


def goals_of(document: dict[str, Any]) -> list[str]:
    """Goals that the document holds, in order."""
    return [name for name in GOALS if name in document]


def all_met(document: dict[str, Any]) -> bool:
    """Whether no measured promise is broken. A check without a value (a missing peer) breaks nothing."""
    checks = [check for name in goals_of(document) for check in document[name]["checks"]]
    return all(check["met"] or check["value"] is None for check in checks)


def _mark(check: dict[str, Any]) -> str:
    return "missing" if check["value"] is None else "yes" if check["met"] else "NO"


def _value(check: dict[str, Any]) -> str:
    return check.get("reason", "") if check["value"] is None else f"{check['value']:g}"


def _sides(check: dict[str, Any]) -> str:
    sides = [check[key] for key in ("over", "under") if key in check]
    text = ", ".join(f"{s['name']} {s['median']:g} {s['unit']}" for s in sides)
    clock = f" ({check['clock']})" if "clock" in check else ""
    return f"; {text}{clock}" if text else ""


def _beside(found: dict[str, Any], depth: int = 0) -> list[str]:
    told = []
    for key, value in found.items():
        if isinstance(value, dict) and all(not isinstance(v, dict) for v in value.values()) and depth:
            told.append("  " * depth + f"{key}: " + ", ".join(f"{k} {v}" for k, v in value.items()))
        elif isinstance(value, dict):
            told += ["  " * depth + f"{key}:", *_beside(value, depth + 1)]
        else:
            told.append("  " * depth + f"{key}: {value}")
    return told


def _facts(document: dict[str, Any]) -> list[tuple[str, str]]:
    machine, measured = document["machine"], document["measured"]
    libraries = ", ".join(f"{name} {text}" for name, text in document["libraries"].items())
    return [
        ("machine", f"{machine['cpu']}, {machine['cores']} cores"),
        ("software", f"Python {document['python']}, {libraries}"),
        ("commit", document["commit"]),
        ("input", f"{document['input']['name']}, sha256 {document['input']['sha256']}"),
        (
            "measured on",
            f"{measured['records']:,} records, {measured['windows']:,} seconds, sha256 {measured['sha256']}",
        ),
        ("rounds", str(document["rounds"])),
        ("command", document["command"]),
    ]
