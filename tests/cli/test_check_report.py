"""``dataset check`` in a terminal: each fault once, with examples, and what to do on a line of its own."""

from lumbargrade.cli.check_report import check_lines
from lumbargrade.data.validation.report import CheckReport, SeriesSummary, count_kinds, finding, ordered

MESSAGE = "1 of 5 points: spinal_canal_stenosis L3/L4 at x 99, y 32 of 64 x 64 pixels"
FINDINGS = ordered(
    [
        finding("point_outside_image", MESSAGE, 100, 12),
        *(finding("instances_with_gaps", "2 to 3", n, 12) for n in range(5)),
    ]
)
REPORT = CheckReport(
    task="rsna2024",
    studies=40,
    files=1481,
    points=1000,
    findings=FINDINGS,
    counts=count_kinds(FINDINGS),
    grades={"right_neural_foraminal_narrowing": {"Normal/Mild": 200, "Moderate": 0, "Severe": 1, "empty": 3}},
    series=(
        SeriesSummary(
            description="Sagittal T2/STIR",
            used=False,
            series=40,
            studies=40,
            files=200,
            slices=(5, 5.5, 7),
            not_square=0,
            orientations={"sagittal": 39, "axial": 1},
            directions={"left": 30, "right": 9, "none": 1},
        ),
    ),
    transfer_syntaxes={},
    manufacturers={},
)


def test_a_check_fits_eighty_columns() -> None:
    lines = [line.plain for line in check_lines(REPORT, 80)]
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    assert "Task rsna2024: 40 studies, 1,481 files, 1,000 points; 1 error, 0 warnings, 5 notes" in text
    assert "ERROR: Points lie outside their image (1 time, 1 study)" in lines
    assert f"study 100 series 12: {MESSAGE} What to do: correct or remove the points" in text
    (gaps,) = [line for line in lines if line.startswith("NOTE: Instance numbers have gaps")]
    assert gaps.endswith("(5 times, 5 studies)")
    assert text.count("2 to 3") == 2
    assert "Sagittal T2/STIR (not used)" in text
    assert "5 to 7, median 5.5" in text
    assert "numbers run to: left 30, right 9, none 1" in text
    (cells,) = [line for line in lines if line.startswith("right_neural_foraminal_narrowing")]
    assert cells.split()[1:] == ["200", "0", "1", "3"]


def test_errors_are_told_by_words_and_colour() -> None:
    (error,) = [line for line in check_lines(REPORT, 80) if line.plain.startswith("ERROR")]
    assert "red" in str(error.style)
