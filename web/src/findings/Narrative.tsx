import { Fragment } from 'react';

import type { Study, Task } from '../api/types.ts';
import { severityClass, severityOf, worstCell, worstSeverity, type CellKey } from '../shared/grades.ts';
import { GradeMark } from './GradeMark.tsx';

interface Props {
  study: Study;
  task: Task;
  chosen: CellKey | null;
  onChoose: (cell: CellKey) => void;
}

/** The findings in plain words, a statement a level; a click shows the level's worst cell. */
export function Narrative({ study, task, chosen, onChoose }: Props) {
  return (
    <ol className="sentences">
      {study.sentences.map(({ level, text }) => {
        const cells = study.cells.filter((cell) => cell.level === level);
        const severity = worstSeverity(task, cells);
        const [first, rest] = statement(level, text);
        return (
          <li key={level} className={severityClass(severity)}>
            <button
              type="button"
              aria-pressed={chosen?.level === level}
              onClick={() => {
                const worst = worstCell(task, cells);
                if (worst !== undefined) onChoose(worst);
              }}
            >
              <GradeMark severity={severity} />
              <span className="level">{level}</span>{' '}
              <span className="text">
                <Emphasised text={first} task={task} />
                {rest !== '' && <small> {rest}</small>}
              </span>
            </button>
          </li>
        );
      })}
    </ol>
  );
}

/** The statement without the level before it, and what follows its first full stop. */
function statement(level: string, text: string): [string, string] {
  const bare = text.startsWith(`${level}: `) ? text.slice(level.length + 2) : text;
  const whole = bare.charAt(0).toUpperCase() + bare.slice(1);
  const end = whole.indexOf('. ');
  return end < 0 ? [whole, ''] : [whole.slice(0, end + 1), whole.slice(end + 2)];
}

/** Names of grades above the best one in bold. */
function Emphasised({ text, task }: { text: string; task: Task }) {
  const grades = new Map(task.grades.slice(1).map((grade) => [grade.toLowerCase(), grade]));
  if (grades.size === 0) return text;
  const escaped = [...grades.keys()].map((word) => word.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&'));
  const parts = text.split(new RegExp(`\\b(${escaped.join('|')})\\b`, 'i'));
  return parts.map((part, index) => {
    const grade = grades.get(part.toLowerCase());
    if (grade === undefined) return <Fragment key={index}>{part}</Fragment>;
    return (
      <strong key={index} className={severityClass(severityOf(task, grade))}>
        {part}
      </strong>
    );
  });
}
