import { useRef, type KeyboardEvent } from 'react';

import type { Study, Task } from '../api/types.ts';
import { clamp } from '../shared/clamp.ts';
import { findCell, sameCell, type CellKey } from '../shared/grades.ts';
import { GradeCell } from './GradeCell.tsx';

interface Props {
  study: Study;
  task: Task;
  chosen: CellKey | null;
  onChoose: (cell: CellKey) => void;
}

const MOVES: Record<string, readonly [number, number]> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

/** Levels by conditions. Arrow keys move, and the views follow. */
export function GradeGrid({ study, task, chosen, onChoose }: Props) {
  const grid = useRef<HTMLTableElement>(null);
  const { levels, conditions } = task;

  const move = (event: KeyboardEvent): void => {
    const by = MOVES[event.key];
    if (by === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    const at = chosen ?? { level: levels[0] ?? '', condition: conditions[0]?.name ?? '' };
    const row = clamp(levels.indexOf(at.level) + by[0], 0, levels.length - 1);
    const column = clamp(conditions.findIndex(({ name }) => name === at.condition) + by[1], 0, conditions.length - 1);
    const [level, condition] = [levels[row], conditions[column]?.name];
    if (level === undefined || condition === undefined) return;
    onChoose({ level, condition });
    grid.current?.querySelectorAll<HTMLElement>('[role=gridcell]')[row * conditions.length + column]?.focus();
  };

  return (
    <table className="grid" role="grid" aria-label="Grades by level and condition" ref={grid} onKeyDown={move}>
      <thead>
        <tr>
          <th scope="col">Level</th>
          {conditions.map(({ name, short, title }) => (
            <th key={name} scope="col" title={title}>
              {short}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {levels.map((level, row) => (
          <tr key={level}>
            <th scope="row">{level}</th>
            {conditions.map(({ name }, column) => {
              const cell = findCell(study, { level, condition: name });
              const isChosen = sameCell({ level, condition: name }, chosen);
              return cell === undefined ? (
                <td key={name} role="gridcell" tabIndex={-1} />
              ) : (
                <GradeCell
                  key={name}
                  cell={cell}
                  task={task}
                  chosen={isChosen}
                  reachable={isChosen || (chosen === null && row === 0 && column === 0)}
                  onChoose={onChoose}
                />
              );
            })}
          </tr>
        ))}
      </tbody>
    </table>
  );
}
