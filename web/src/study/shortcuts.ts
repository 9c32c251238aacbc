/** What the keys of `keys.ts` do in the reading view; those of a focused view or grid are handled there. */

import type { Study, Task } from '../api/types.ts';
import { nextFinding } from '../shared/grades.ts';
import { TOOLS } from '../viewer/gestures.ts';
import type { Reading } from './useReading.ts';

interface Context {
  task: Task;
  study: Study;
  reading: Reading;
  onHelp: () => void;
  onHeat: () => void;
}

export function readingKeys({ task, study, reading, onHelp, onHeat }: Context): Record<string, () => void> {
  const { chosen, settings, changeSettings, changeViews, choose } = reading;
  const actions: Record<string, () => void> = {
    '?': onHelp,
    h: onHeat,
    r: reading.reset,
    l: () => changeSettings({ lines: !settings.lines }),
    m: () => changeSettings({ marks: !settings.marks }),
    e: () => changeSettings({ main: settings.active }),
    n: () => {
      const next = nextFinding(task, study, chosen);
      if (next !== undefined) choose(next);
    },
  };
  const scrolls: [string, number][] = [
    ['arrowup', -1],
    ['arrowdown', 1],
    ['pageup', -5],
    ['pagedown', 5],
  ];
  for (const [key, by] of scrolls) actions[key] = () => changeViews({ type: 'scroll', slot: settings.active, by });
  for (const tool of TOOLS) actions[tool.charAt(0)] = () => changeSettings({ tool });
  task.levels.slice(0, 9).forEach((level, index) => {
    const condition = chosen?.condition ?? task.conditions[0]?.name;
    if (condition !== undefined) actions[String(index + 1)] = () => choose({ level, condition });
  });
  return actions;
}
