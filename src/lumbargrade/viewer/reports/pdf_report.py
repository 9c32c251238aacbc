"""The answer on paper: one page, or two where there is much to say. Plain sentences first, then the grid."""

import io
from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import Color, HexColor, white
from reportlab.lib.enums import TA_CENTER
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, KeepTogether, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from lumbargrade.config.task import GradingTask
from lumbargrade.inference.schema import MIN_PLACE_CONFIDENCE
from lumbargrade.inference.series_table import describe_row
from lumbargrade.viewer.reports.fonts import BOLD, FONT, ReportFonts, report_fonts
from lumbargrade.viewer.reports.script_text import ScriptText
from lumbargrade.viewer.schemas import Cell, StudyReport, task_info

_INK, _SOFT, _LINE, _STRIP = HexColor("#1b1f24"), HexColor("#5b6470"), HexColor("#c9d0d8"), HexColor("#7a1f2b")
_SHADES = ("#eef3f7", "#f3d58a", "#a8441a")
"""From the best grade to the worst; they differ in lightness, so that they do in grey and to colour-blind eyes."""
_MARGIN = 16 * mm
_PADDING = 6
"""Points that reportlab keeps free within a page's frame."""
_WIDTH = A4[0] - 2 * _MARGIN - 2 * _PADDING


def pdf_report(report: StudyReport, task: GradingTask) -> bytes:
    """Returns the report as PDF, A4."""
    with report_fonts(report.model_dump_json(exclude={"cells": {"__all__": {"place"}}})) as fonts:
        return _write(report, task, fonts)


def _write(report: StudyReport, task: GradingTask, fonts: ReportFonts) -> bytes:
    buffer = io.BytesIO()
    document = SimpleDocTemplate(
        buffer,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN + 2 * mm,
        bottomMargin=_MARGIN + 1 * mm,
        title=f"{task.title}: gradings",
        author=f"{report.model.name} version {report.model.version}",
        creator="Lumbargrade",
        invariant=1,
    )
    story = [*_head(report, task, fonts), *_trained_on(report, fonts), *_flags(report), *_sentences(report)]
    story += [*_grid(report, task), *_notes(report), *_series(report, task)]
    story += [*_corrections(report, task, fonts), *_missing(fonts)]

    def on_page(canvas: Canvas, _: Any) -> None:
        _frame(canvas, report, fonts)

    document.build(story, onFirstPage=on_page, onLaterPages=on_page)
    return buffer.getvalue()


def _style(size: float = 9, bold: bool = False, **more: Any) -> ParagraphStyle:
    options = {"fontName": BOLD if bold else FONT, "fontSize": size, "leading": size * 1.35, "textColor": _INK}
    return ParagraphStyle("text", **(options | more))


def _frame(canvas: Canvas, report: StudyReport, fonts: ReportFonts) -> None:
    """The strip on top and the lines at the foot of every page: a page that is passed on alone says them too."""
    width, height = A4
    if report.research_strip:
        canvas.setFillColor(_STRIP)
        canvas.rect(0, height - 11 * mm, width, 11 * mm, stroke=0, fill=1)
        canvas.setFillColor(white)
        canvas.setFont(BOLD, 10)
        canvas.drawCentredString(width / 2, height - 7.2 * mm, report.research_strip.upper())
    canvas.setFillColor(_SOFT)
    canvas.setFont(FONT, 7)
    canvas.drawString(
        _MARGIN + _PADDING, 9 * mm, f"{report.model.name} version {report.model.version} · request {report.request_id}"
    )
    canvas.drawRightString(width - _MARGIN - _PADDING, 9 * mm, f"page {canvas.getPageNumber()}")
    sentence = "".join(letter if fonts.is_usual(letter) else "?" for letter in report.trained_on.sentence)
    size = min(7, 7 * _WIDTH / pdfmetrics.stringWidth(sentence, BOLD, 7))
    canvas.setFont(BOLD, size)
    canvas.drawString(_MARGIN + _PADDING, 13 * mm, sentence)


def _head(report: StudyReport, task: GradingTask, fonts: ReportFonts) -> list[Flowable]:
    rows = [
        ("Study", f"{report.study_hash[:16]} (salted hash)"),
        ("Graded", report.graded_at.replace("T", " ").replace("+00:00", " UTC")),
        ("Model", f"{report.model.name}, version {report.model.version}"),
        ("Request", report.request_id),
    ]
    if report.identifiers is not None:
        who = report.identifiers
        rows = [
            ("Patient", f"{who.patient_name} · {who.patient_id} · born {who.birth_date or 'unknown'}"),
            ("Examined", " · ".join(filter(None, (who.study_date, who.accession_number)))),
            *rows,
        ]
    table = Table(
        [[Paragraph(name, _style(8, textColor=_SOFT)), _any_script(text, _style(8), fonts)] for name, text in rows],
        colWidths=[22 * mm, None],
        hAlign="LEFT",
    )
    table.setStyle(TableStyle([("TOPPADDING", (0, 0), (-1, -1), 0.5), ("BOTTOMPADDING", (0, 0), (-1, -1), 0.5),
                               ("LEFTPADDING", (0, 0), (-1, -1), 0)]))  # fmt: skip
    return [Paragraph(escape(task.title), _style(15, bold=True, spaceAfter=3 * mm)), table, Spacer(1, 3 * mm)]


def _trained_on(report: StudyReport, fonts: ReportFonts) -> list[Flowable]:
    """What the model was trained on, before any grade."""
    first, *others = report.trained_on.lines
    lines = [_any_script(first, _style(9, bold=True), fonts)]
    lines += [_any_script(line, _style(8.5), fonts) for line in others]
    return [_boxed(lines, _STRIP, HexColor("#fdf1f2")), Spacer(1, 2 * mm)]


def _boxed(lines: list[Flowable], frame: Color, ground: Color) -> Table:
    table = Table([[lines]], colWidths=[_WIDTH])
    table.setStyle(TableStyle([("BOX", (0, 0), (-1, -1), 0.8, frame), ("BACKGROUND", (0, 0), (-1, -1), ground)]))
    return table


def _flags(report: StudyReport) -> list[Flowable]:
    flags = (*report.flags, *(each.words for each in report.not_graded))
    if not flags:
        return []
    lines: list[Flowable] = [Paragraph("Before you read", _style(9, bold=True))]
    lines += [Paragraph(f"• {escape(flag)}", _style(8.5, leftIndent=3 * mm, firstLineIndent=-3 * mm)) for flag in flags]
    return [_boxed(lines, HexColor("#b58900"), HexColor("#fff8e1")), Spacer(1, 3 * mm)]


def _sentences(report: StudyReport) -> list[Flowable]:
    lines = []
    for sentence in report.sentences:
        text = escape(sentence.text.removeprefix(f"{sentence.level}: "))
        lines.append(
            Paragraph(
                f'<font name="{BOLD}">{escape(sentence.level)}</font>&nbsp; {text}', _style(9.5, spaceAfter=1.5 * mm)
            )
        )
    return [*lines, Spacer(1, 2.5 * mm)]


def _grid(report: StudyReport, task: GradingTask) -> list[Flowable]:
    """Levels down, conditions across: the grade, its probability, and what else it may be."""
    info = task_info(task)
    cells = {(cell.condition, cell.level): cell for cell in report.cells}
    small = _style(7.5, bold=True, alignment=TA_CENTER, textColor=_SOFT)
    rows: list[list[Any]] = [["", *(Paragraph(escape(condition.short), small) for condition in info.conditions)]]
    marks: list[tuple[Any, ...]] = [
        ("GRID", (1, 1), (-1, -1), 0.6, _LINE),
        ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
        ("LEFTPADDING", (0, 0), (0, -1), 0),
        ("LEFTPADDING", (1, 0), (-1, -1), 2),
        ("RIGHTPADDING", (0, 0), (-1, -1), 2),
        ("TOPPADDING", (0, 1), (-1, -1), 2.5),
        ("BOTTOMPADDING", (0, 1), (-1, -1), 2.5),
    ]
    for number, level in enumerate(task.levels, start=1):
        row: list[Any] = [Paragraph(escape(level), _style(9, bold=True))]
        for column, condition in enumerate(task.conditions, start=1):
            cell = cells[condition.name, level]
            row.append(_cell_text(cell, task))
            if cell.grade is not None:
                marks.append(("BACKGROUND", (column, number), (column, number), HexColor(_shade(cell.grade, task))))
        rows.append(row)
    width = (_WIDTH - 14 * mm) / len(task.conditions)
    table = Table(rows, colWidths=[14 * mm, *[width] * len(task.conditions)], repeatRows=1)
    table.setStyle(TableStyle(marks))
    return [KeepTogether([table, Spacer(1, 3 * mm)])]


def _cell_text(cell: Cell, task: GradingTask) -> Sequence[Flowable]:
    center = {"alignment": TA_CENTER}
    if cell.grade is None:
        return [Paragraph("not graded", _style(7.5, textColor=_SOFT, **center))]
    ink = white if cell.grade == task.grades[-1] else _INK
    sure = (cell.probabilities or {}).get(cell.grade)
    lines = [Paragraph(escape(cell.grade), _style(8.5, bold=True, textColor=ink, **center))]
    if sure is not None:
        lines.append(Paragraph(f"{sure:.0%}", _style(7.5, textColor=ink, **center)))
    if cell.place_uncertain:
        lines.append(Paragraph("place uncertain", _style(6.8, bold=True, textColor=ink, **center)))
    others = [grade for grade in cell.possible_grades if grade != cell.grade]
    if others:
        lines.append(Paragraph(escape(f"or {', '.join(others).lower()}"), _style(6.3, textColor=ink, **center)))
    if cell.correction is not None:
        grade = cell.correction.grade or "not gradable"
        lines.append(Paragraph(escape(f"reader: {grade}"), _style(6.8, bold=True, textColor=ink, **center)))
    return lines


def _shade(grade: str, task: GradingTask) -> str:
    place = task.grades.index(grade) / (len(task.grades) - 1)
    return _SHADES[round(place * (len(_SHADES) - 1))]


def _series(report: StudyReport, task: GradingTask) -> list[Flowable]:
    if not report.series_table:
        return []
    head = Paragraph("Series used and not used", _style(9, bold=True, spaceAfter=1 * mm))
    small = _style(7.5, spaceAfter=0.8 * mm)
    rows = [Paragraph(escape(describe_row(row, task)), small) for row in report.series_table]
    return [head, *rows, Spacer(1, 2 * mm)]


def _corrections(report: StudyReport, task: GradingTask, fonts: ReportFonts) -> list[Flowable]:
    corrected = [cell for cell in report.cells if cell.correction is not None]
    if not corrected:
        return []
    lines: list[Flowable] = [Paragraph("Changed by a reader", _style(9, bold=True, spaceAfter=1 * mm))]
    for cell in corrected:
        correction = cell.correction
        assert correction is not None
        change = f"{correction.model_grade or 'not graded'} → {correction.grade or 'not gradable'}"
        line = f"{cell.level} {task.condition(cell.condition).label}: {change}, {correction.at[:10]}, {correction.by}"
        lines.append(_any_script(line, _style(7.5, spaceAfter=0.8 * mm), fonts))
        if correction.comment:
            lines.append(_any_script(correction.comment, _style(7.5, spaceAfter=0.8 * mm), fonts))
    return [*lines, Spacer(1, 2 * mm)]


def _missing(fonts: ReportFonts) -> list[Flowable]:
    """Which letters could not be written."""
    if not fonts.missing:
        return []
    letters = ", ".join(f"U+{ord(letter):04X}" for letter in fonts.missing)
    text = f"Letters that no font of this report has are given by their Unicode numbers in brackets: {letters}."
    return [Paragraph(text, _style(7, textColor=_SOFT))]


def _any_script(text: str, style: ParagraphStyle, fonts: ReportFonts) -> Flowable:
    """A paragraph of what a person, a file or a folder says: it may be of any script."""
    usual = all(fonts.is_usual(letter) for letter in text)
    return Paragraph(escape(text), style) if usual else ScriptText(text, style, fonts)


def _notes(report: StudyReport) -> list[Flowable]:
    text = (
        "The percentage is the probability of the grade that is shown. “or” names the other grades that it may be. "
        f"{report.trained_on.possible_grades} “Place uncertain”: the model found the place with a confidence below "
        f"{100 * MIN_PLACE_CONFIDENCE:.0f} %, so the grade may be of another place. "
        "Made by a computer; nobody has verified it."
    )
    caution = f" {report.research_strip}." if report.research_strip else ""
    return [Paragraph(escape(text + caution), _style(7, textColor=_SOFT)), Spacer(1, 2 * mm)]
