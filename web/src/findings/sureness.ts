/** What is said of how sure a grade is; a cell whose place is uncertain is never called sure. */

import type { Cell, Task } from '../api/types.ts';
import { orList, percent } from '../shared/grades.ts';

export interface Sureness {
  /** Before the grades that are possible. */
  lead: string;
  possible: string;
  /** After them. */
  rest: string;
  /** What else a reader must know. */
  caveats: readonly string[];
}

export function surenessOf(task: Task, cell: Cell): Sureness {
  const possible = orList(cell.possible_grades);
  const confidence = cell.place?.confidence ?? null;
  const outside = outsideWords(task, cell);
  if (cell.place_uncertain) {
    const found = confidence === null ? '' : ` (confidence ${percent(confidence)})`;
    const place = `Place uncertain${found}: the model may have graded another site. Check the marked place.`;
    return {
      lead: 'If the place is right: ',
      possible,
      rest: ' is possible.',
      caveats: [place, ...outside],
    };
  }
  return {
    lead: cell.possible_grades.length === 1 ? 'Sure: only ' : 'Unsure: ',
    possible,
    rest: ` is possible.${confidence === null ? '' : ` Confidence of the place: ${percent(confidence)}.`}`,
    caveats: outside,
  };
}

/** A grade that is more probable than one of the possible ones, though it is not among them. */
function outsideWords(task: Task, { possible_grades: possible, probabilities }: Cell): string[] {
  const chance = (grade: string): number => probabilities?.[grade] ?? 0;
  const [least] = [...possible].sort((a, b) => chance(a) - chance(b));
  if (least === undefined) return [];
  return task.grades
    .filter((grade) => !possible.includes(grade) && chance(grade) > chance(least))
    .map(
      (grade) =>
        `${grade} (${percent(chance(grade))}) is not excluded: it is more probable than ${least} ` +
        `(${percent(chance(least))}), but the list is calibrated for each grade by itself.`,
    );
}
