import type { Cell, Task } from '../api/types.ts';
import { severityClass, severityOf } from '../shared/grades.ts';

/** One bar, a part a grade, as wide as the grade is probable. */
export function ProbabilityBar({ cell, task }: { cell: Cell; task: Task }) {
  return (
    <div className="bar" aria-hidden="true">
      {task.grades.map((grade) => (
        <span
          key={grade}
          className={severityClass(severityOf(task, grade))}
          style={{ flexGrow: cell.probabilities?.[grade] ?? 0 }}
        />
      ))}
    </div>
  );
}
