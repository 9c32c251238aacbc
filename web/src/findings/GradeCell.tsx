import type { Cell, Task } from '../api/types.ts';
import {
  LETTERS,
  conditionTitle,
  gradeTitle,
  orList,
  percent,
  severityClass,
  severityOf,
  shortTitle,
  type CellKey,
} from '../shared/grades.ts';
import { GradeMark } from './GradeMark.tsx';
import { ProbabilityBar } from './ProbabilityBar.tsx';

interface Props {
  cell: Cell;
  task: Task;
  chosen: boolean;
  /** Whether Tab stops here; arrows reach the others. */
  reachable: boolean;
  onChoose: (cell: CellKey) => void;
}

export function GradeCell({ cell, task, chosen, reachable, onChoose }: Props) {
  const severity = severityOf(task, cell.grade);
  const probability = cell.grade === null ? undefined : cell.probabilities?.[cell.grade];
  return (
    <td
      role="gridcell"
      className={`cell ${severityClass(severity)} ${cell.place_uncertain ? 'uncertain' : ''}`}
      aria-selected={chosen}
      title={spoken(cell, task)}
      tabIndex={reachable ? 0 : -1}
      onClick={() => onChoose(cell)}
      onKeyDown={(event) => {
        if (event.key !== 'Enter' && event.key !== ' ') return;
        event.preventDefault();
        onChoose(cell);
      }}
    >
      <span className="unseen">{spoken(cell, task)}</span>
      <div className="grade" aria-hidden="true">
        <GradeMark severity={severity} />
        <span>{cell.grade === null ? 'No grade' : shortTitle(cell.grade)}</span>
      </div>
      {cell.probabilities !== null && <ProbabilityBar cell={cell} task={task} />}
      {cell.grade !== null && (
        <div className="sure" aria-hidden="true">
          <Possible cell={cell} task={task} />
          {cell.place_uncertain ? (
            <b className="doubt">?</b>
          ) : (
            probability !== undefined && <span>{percent(probability)}</span>
          )}
        </div>
      )}
      {cell.correction !== null && (
        <div className="corrected" aria-hidden="true">
          → {cell.correction.grade === null ? 'No grade' : shortTitle(cell.correction.grade)}
        </div>
      )}
    </td>
  );
}

/** The letters of all grades, those lit that are possible. */
function Possible({ cell, task }: { cell: Cell; task: Task }) {
  return (
    <span className="possible">
      {task.grades.map((grade, rank) => (
        <span key={grade} className={cell.possible_grades.includes(grade) ? 'lit' : undefined}>
          {task.grades.length === LETTERS.length ? LETTERS[rank] : grade.charAt(0)}
        </span>
      ))}
    </span>
  );
}

function spoken(cell: Cell, task: Task): string {
  const place = `${cell.level} ${conditionTitle(task, cell.condition)}`;
  const reader =
    cell.correction === null ? '' : `. Reader says ${gradeTitle(cell.correction.grade).toLowerCase()}`;
  if (cell.grade === null) return `${place}: not graded, ${cell.reason ?? 'no reason given'}${reader}`;
  const probability = cell.probabilities?.[cell.grade];
  const chance = probability === undefined ? '' : `, ${percent(probability)}`;
  const possible = orList(cell.possible_grades);
  const doubt = cell.place_uncertain ? '; place uncertain, check the marked place' : '';
  return `${place}: ${cell.grade}${chance}${doubt}${possible ? `; possible: ${possible}` : ''}${reader}`;
}
