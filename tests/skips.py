"""What is said of skipped tests."""

from collections import Counter
from collections.abc import Iterable


def describe_skips(skipped: Iterable[str]) -> str:
    """One line; a reason that begins with "needs" names what can be installed."""
    reasons = Counter(skipped)
    needs = {reason: number for reason, number in reasons.most_common() if reason.startswith("needs ")}
    told = [f"skipped tests: {reasons.total()}"]
    if needs:
        programs = ", ".join(f"{reason.removeprefix('needs ')} ({number})" for reason, number in needs.items())
        told.append(f"{sum(needs.values())} run where these are installed: {programs}")
    if others := reasons.total() - sum(needs.values()):
        told.append(f"{others} for the other reasons above")
    return "; ".join(told)
