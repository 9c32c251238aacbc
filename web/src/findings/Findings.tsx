import { memo } from 'react';

import type { Study, Task } from '../api/types.ts';
import { gradeTitle, severityClass, severityOf, type CellKey } from '../shared/grades.ts';
import { trainingOf } from '../shared/training.ts';
import { GradeGrid } from './GradeGrid.tsx';
import { GradeMark } from './GradeMark.tsx';
import { Narrative } from './Narrative.tsx';
import { SeriesTable } from './SeriesTable.tsx';

interface Props {
  study: Study;
  task: Task;
  chosen: CellKey | null;
  onChoose: (cell: CellKey) => void;
}

/** What the model found: in words first, then in the grid. It stays as it is while images are scrolled. */
export const Findings = memo(function Findings({ study, task, chosen, onChoose }: Props) {
  const { possibleGrades } = trainingOf(study.trained_on);
  return (
    <>
      <section className="findings" aria-label="Findings in words">
        <Counts study={study} task={task} />
        <Narrative study={study} task={task} chosen={chosen} onChoose={onChoose} />
        <Reasons study={study} />
      </section>
      <GradeGrid study={study} task={task} chosen={chosen} onChoose={onChoose} />
      {possibleGrades !== null && <p className="legend">{possibleGrades}</p>}
      <SeriesTable study={study} task={task} />
    </>
  );
});

/** How many cells of each grade; the marks' legend at the same time. */
function Counts({ study, task }: { study: Study; task: Task }) {
  const kinds = [...[...task.grades].reverse(), null];
  return (
    <ul className="counts">
      {kinds.map((kind) => {
        const severity = severityOf(task, kind);
        const count = study.cells.filter(({ grade }) => grade === kind).length;
        if (kind === null && count === 0) return null;
        return (
          <li key={kind} className={severityClass(severity)}>
            <GradeMark severity={severity} /> <b>{count}</b> {gradeTitle(kind)}
          </li>
        );
      })}
    </ul>
  );
}

/** Why sites have no grade, each reason once. */
function Reasons({ study }: { study: Study }) {
  if (study.not_graded.length === 0) return null;
  return (
    <ul className="reasons" aria-label="Sites that are not graded">
      {study.not_graded.map(({ sites, cells, text }) => (
        <li key={`${sites} ${text}`}>
          Not graded: {sites}
          {cells === 1 ? '' : ` (${cells} sites)`}: {text}
        </li>
      ))}
    </ul>
  );
}
