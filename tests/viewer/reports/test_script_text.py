"""Letters of any script in the PDF: ordered, joined, embedded; what no font has is said."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics

from lumbargrade.config.task import GradingTask
from lumbargrade.models.trained_on import state
from lumbargrade.serving.records.corrections import Correction, ServedVersion
from lumbargrade.viewer.image_index import Identifiers
from lumbargrade.viewer.reports.fonts import FONT, ReportFonts, report_fonts
from lumbargrade.viewer.reports.pdf_report import pdf_report
from lumbargrade.viewer.reports.script_text import ScriptText, order_pieces, split_pieces
from lumbargrade.viewer.schemas import Cell, StudyReport

COMMENTS = {
    "Arabic": "تضيق القناة شديد",
    "Hebrew": "היצרות בתעלה",
    "Hindi": "गंभीर स्टेनोसिस है, कृपया पुनः देखें",
    "Bengali": "গুরুতর স্টেনোসিস",
    "Thai": "ช่องกระดูกสันหลังตีบรุนแรง",
    "Chinese": "椎管重度狭窄，请复查",
    "Japanese": "高度の脊柱管狭窄があります",
    "Korean": "심한 척추관 협착이 있습니다",
    "Greek": "Σοβαρή στένωση",
    "Vietnamese": "Hẹp ống sống nặng",
}


@pytest.fixture(scope="module")
def fonts() -> Iterator[ReportFonts]:
    with report_fonts(" ".join(COMMENTS.values())) as fonts:
        yield fonts


def report_of(task: GradingTask, *comments: str, name: str = "Meyer^Anna") -> StudyReport:
    """A report with a cell corrected for each comment."""

    def correction(number: int, condition: str, level: str) -> Correction | None:
        return Correction(
            condition=condition, level=level, grade="Moderate", comment=comments[number], model_grade="Severe",
            at="2026-01-01T00:00:00+00:00", by="Dr. 王",
        ) if number < len(comments) else None  # fmt: skip

    cells = tuple(
        Cell(
            condition=cell.condition.name, level=cell.level, grade="Severe", probabilities=None, place=None,
            possible_grades=("Severe",), reason=None, correction=correction(number, cell.condition.name, cell.level),
        )
        for number, cell in enumerate(task.cells)
    )  # fmt: skip
    return StudyReport(
        research_strip="Not for clinical use", trained_on=state(None), request_id="r", task=task.title,
        model=ServedVersion(name="m", version="1"), graded_at="2026-01-01T00:00:00+00:00", study_hash="h", flags=(),
        sentences=(), cells=cells,
        identifiers=Identifiers(patient_name=name, patient_id="1", birth_date="", study_date="", accession_number=""),
    )  # fmt: skip


def read_pdf(path: Path, *options: str) -> str:
    if shutil.which("pdftotext") is None:
        pytest.skip("needs poppler-utils")
    command = ["pdftotext", *options, path, "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def spaced(text: str) -> str:
    """Without marks of direction, which a reader of PDF puts around what is read from the right."""
    return " ".join("".join(letter for letter in text if letter not in "\u202a\u202b\u202c\u200e\u200f").split())


def test_comments_of_any_script_can_be_read_again(rsna: GradingTask, tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(pdf_report(report_of(rsna, *COMMENTS.values(), name="王^小东"), rsna))
    text = spaced(read_pdf(path))
    for comment in COMMENTS.values():
        assert comment in text
    assert "王^小东" in text
    assert "Dr. 王" in text
    assert "that no font of this report has" not in text
    used = subprocess.run(["pdffonts", path], capture_output=True, text=True, check=True).stdout.splitlines()[2:]
    embedded = [line.split()[-5] for line in used if "Helvetica" not in line]
    assert len(embedded) >= 7
    assert set(embedded) == {"yes"}
    assert path.stat().st_size < 300_000


def test_what_no_font_has_is_said(rsna: GradingTask, tmp_path: Path) -> None:
    path = tmp_path / "report.pdf"
    path.write_bytes(pdf_report(report_of(rsna, "see \U00013000 there"), rsna))
    text = spaced(read_pdf(path))
    assert "see [U+13000] there" in text
    assert "Letters that no font of this report has are given by their Unicode numbers in brackets: U+13000." in text


def test_the_same_report_is_the_same_file_and_leaves_no_font(rsna: GradingTask) -> None:
    report = report_of(rsna, COMMENTS["Chinese"])
    first = pdf_report(report, rsna)
    registered = set(pdfmetrics.getRegisteredFontNames())
    assert pdf_report(report, rsna) == first
    assert pdf_report(report_of(rsna, COMMENTS["Japanese"]), rsna) != first
    assert set(pdfmetrics.getRegisteredFontNames()) == registered
    assert not any("CJK" in name for name in registered)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("abc DEF 12", "abc DEF 12"),
        ("אבג דהו", "דהו אבג"),
        ("L4/L5: אבג (דה) end", "L4/L5: )דה( אבג end"),
        ("אבג L4/L5, דהו", "דהו ,L4/L5 אבג"),
        ("אבג 2026-01-31 דהו 3.5%", "3.5% דהו 2026-01-31 אבג"),
        ("אבג (L4)", ")L4( אבג"),
        ("see אבג 12 דהו.", "see דהו 12 אבג."),
    ],
)
def test_lines_are_ordered_as_they_are_read(text: str, shown: str, fonts: ReportFonts) -> None:
    """Words that are read from the right are shaped as a whole; here they stand as they are spelled."""
    pieces = split_pieces(text, fonts)
    rtl = next(piece.kind == "R" for piece in pieces if piece.kind in "LR")
    ordered = "".join(piece.text for piece in order_pieces(pieces, rtl))
    assert (
        ordered == shown.replace("(", "\0").replace(")", "(").replace("\0", ")")
        if ")" in shown[:9]
        else ordered == shown
    )


def test_lines_fit_and_nothing_is_lost(fonts: ReportFonts) -> None:
    style = ParagraphStyle("text", fontName=FONT, fontSize=9, leading=12)
    for comment in COMMENTS.values():
        flowable = ScriptText(f"{comment} {comment}", style, fonts)
        width, height = flowable.wrap(60.0, 1000.0)
        assert width == 60.0
        assert height >= 24
        assert all(sum(map(flowable._width_of, line)) <= 60.0 for line in flowable._lines)
        told = "".join(piece.text for line in flowable._lines for piece in line)
        assert told.replace(" ", "") == f"{comment}{comment}".replace(" ", "")
