"""The gate's decision for people: a table, a text, and a picture of differences and their intervals."""

from matplotlib.figure import Figure

from lumbargrade.registry.promotion.checks import Check
from lumbargrade.registry.promotion.decision import GateDecision

_ROW_INCHES = 0.32
_COLOURS = {True: "tab:green", False: "tab:red", None: "lightgrey"}


def gate_table(decision: GateDecision) -> list[dict[str, str]]:
    """One row a check, in words."""
    return [
        {
            "check": check.name,
            "cells": f"{check.cells:,}",
            "candidate": _number(check.candidate),
            "champion": _number(check.champion),
            "difference": _number(check.difference, "+"),
            f"{decision.rules.confidence:.0%} interval": _bounds(check),
            "may be worse by": f"{check.allowed:g}",
            "finding": finding(check),
        }
        for check in decision.checks
    ]


def gate_text(name: str, decision: GateDecision) -> str:
    """The decision and its reasons, as Markdown.

    Args:
        name: How the text calls the version.
    """
    lines = [f"**{name}: {decision.decision}**", "", *[f"- {reason}" for reason in decision.reasons]]
    if decision.holdout_sha256:
        lines += ["", f"Look {decision.look} at holdout `{decision.holdout_sha256[:12]}`."]
    return "\n".join(lines)


def finding(check: Check) -> str:
    """What a check found, in words."""
    if check.passed is None:
        return f"not judged: {check.note}"
    return ("passed" if check.passed else "failed") + ("" if check.certain else ", may be chance")


def gate_figure(decision: GateDecision) -> Figure:
    """Draws how much worse the candidate is in each check, with its interval, and how much it may be.

    All are turned so that better is to the left, whether a high or a low number is the good one.
    """
    checks = [check for check in decision.checks if check.difference is not None][::-1]
    figure = Figure(figsize=(7.5, 1.4 + _ROW_INCHES * max(len(checks), 1)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0, color="grey", linewidth=1)
    for place, check in enumerate(checks):
        sign = 1 if check.lower_is_better else -1
        worse = sign * (check.difference or 0.0)
        low, high = sorted(sign * bound for bound in check.interval or (sign * worse, sign * worse))
        colour = _COLOURS[check.passed]
        axes.plot([low, high], [place, place], color=colour, linewidth=2, alpha=1.0 if check.certain else 0.5)
        axes.plot([worse], [place], "o", color=colour)
        axes.plot([check.allowed], [place], "|", color="black", markersize=12)
    axes.set_yticks(range(len(checks)), [check.name for check in checks])
    axes.set_xlabel(f"Worse by ({decision.rules.confidence:.0%} interval); | allowed; pale: may be chance")
    axes.set_title(decision.decision if checks else f"{decision.decision}: nothing to compare with", fontsize=10)
    return figure


def _number(value: float | None, sign: str = "") -> str:
    return "" if value is None else f"{value:{sign}.4f}"


def _bounds(check: Check) -> str:
    return "" if check.interval is None else f"{check.interval[0]:+.4f} to {check.interval[1]:+.4f}"
