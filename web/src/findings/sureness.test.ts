import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { Cell } from '../api/types.ts';
import { STUDY, TASK } from '../test/study.ts';
import { surenessOf } from './sureness.ts';

const [base] = STUDY.cells as [Cell];
const words = (cell: Cell): string => {
  const { lead, possible, rest, caveats } = surenessOf(TASK, cell);
  return [...caveats, lead + possible + rest].join(' ');
};

describe('how sure a grade is', () => {
  it('is sure where one grade is possible and its place is', () => {
    expect(words(base)).toBe('Sure: only Severe is possible. Confidence of the place: 90 %.');
  });

  it('is never sure where the place is uncertain, whatever is possible', () => {
    const confidence = fc.option(fc.double({ min: 0, max: 1, noNaN: true }));
    fc.assert(
      fc.property(fc.subarray([...TASK.grades]), confidence, fc.boolean(), (possible, found, placed) => {
        const place = placed && base.place ? { ...base.place, confidence: found } : null;
        const said = words({ ...base, possible_grades: possible, place, place_uncertain: true });
        expect(said).toMatch(/^Place uncertain/);
        expect(said).not.toMatch(/\b(un)?sure\b/i);
      }),
    );
  });

  it('names a grade outside the set that is more probable than one inside', () => {
    const probabilities = { 'Normal/Mild': 0.45, Moderate: 0.47, Severe: 0.08 };
    const said = words({ ...base, probabilities, possible_grades: ['Moderate', 'Severe'] });
    expect(said).toContain('Normal/Mild (45 %) is not excluded');
    expect(words({ ...base, probabilities, possible_grades: ['Normal/Mild', 'Moderate'] })).not.toContain('excluded');
  });
});
