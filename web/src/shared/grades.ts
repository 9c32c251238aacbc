/** Reading a study's cells: how severe, how sure, which is worst. */

import type { Cell, Study, Task } from '../api/types.ts';

/** How a grade looks: 0 the best, 2 the worst, 1 all between; null where nothing was graded. */
export type Severity = 0 | 1 | 2 | null;

export const LETTERS = ['N', 'M', 'S'] as const;

export interface CellKey {
  condition: string;
  level: string;
}

export const keyText = ({ condition, level }: CellKey): string => `${condition} ${level}`;

export const sameCell = (a: CellKey, b: CellKey | null): boolean =>
  b !== null && a.condition === b.condition && a.level === b.level;

export function severityOf(task: Task, grade: string | null): Severity {
  const rank = grade === null ? -1 : task.grades.indexOf(grade);
  if (rank < 0) return null;
  if (rank === 0) return 0;
  return rank === task.grades.length - 1 ? 2 : 1;
}

export const gradeTitle = (grade: string | null): string => grade ?? 'Not graded';

/** A title that fits into a cell: `N/mild` of `Normal/Mild`, since mild is not normal. */
export function shortTitle(title: string): string {
  const [, initial, rest] = /^(\p{L})\p{L}*\/(\p{L}+)$/u.exec(title) ?? [];
  return initial === undefined || rest === undefined ? title : `${initial}/${rest.toLowerCase()}`;
}

export function conditionTitle(task: Task, condition: string): string {
  return task.conditions.find(({ name }) => name === condition)?.title ?? condition;
}

export function findCell(study: Study, key: CellKey): Cell | undefined {
  return study.cells.find((cell) => sameCell(cell, key));
}

/** Cells above the best grade, the worst first; among equals the likelier worst grade first. */
export function findings(task: Task, cells: readonly Cell[]): Cell[] {
  const worst = task.grades.at(-1) ?? '';
  const weight = (cell: Cell): number =>
    (severityOf(task, cell.grade) ?? 0) * 10 + (cell.probabilities?.[worst] ?? 0);
  return cells
    .filter((cell) => (severityOf(task, cell.grade) ?? 0) > 0)
    .sort((a, b) => weight(b) - weight(a));
}

/** The worst cell of some, or the first one if none is above the best grade. */
export function worstCell(task: Task, cells: readonly Cell[]): Cell | undefined {
  return findings(task, cells)[0] ?? cells[0];
}

export function worstSeverity(task: Task, cells: readonly Cell[]): Severity {
  return cells.reduce<Severity>((worst, cell) => {
    const severity = severityOf(task, cell.grade);
    return severity !== null && (worst === null || severity > worst) ? severity : worst;
  }, null);
}

/** The finding after a cell in reading order of severity; the worst one if the cell is no finding. */
export function nextFinding(task: Task, study: Study, from: CellKey | null): Cell | undefined {
  const found = findings(task, study.cells);
  const at = found.findIndex((cell) => sameCell(cell, from));
  return found[(at + 1) % Math.max(found.length, 1)];
}

export function percent(probability: number): string {
  if (probability > 0 && probability < 0.01) return '<1 %';
  if (probability < 1 && probability > 0.99) return '>99 %';
  return `${Math.round(probability * 100)} %`;
}

/** `Moderate or Severe` */
export function orList(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1) ?? ''}`;
}

/** The style class of a severity. */
export function severityClass(severity: Severity): string {
  return severity === null ? 'ungraded' : (['normal', 'moderate', 'severe'] as const)[severity];
}
