from .skips import describe_skips


def test_what_can_be_installed_is_named_and_the_rest_is_counted() -> None:
    reasons = ["needs dcmtk", "needs Chromium", "only root can give a folder away", "needs Chromium"]
    assert describe_skips(reasons) == (
        "skipped tests: 4; 3 run where these are installed: Chromium (2), dcmtk (1); 1 for the other reasons above"
    )
    assert describe_skips(["needs dcmtk"]) == "skipped tests: 1; 1 run where these are installed: dcmtk (1)"
