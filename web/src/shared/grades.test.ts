import { describe, expect, it } from 'vitest';

import { STUDY, TASK } from '../test/study.ts';
import { findings, nextFinding, orList, percent, severityOf, shortTitle, worstSeverity } from './grades.ts';

describe('severity', () => {
  it('is the best, the worst, or between, however many grades there are', () => {
    expect(['Normal/Mild', 'Moderate', 'Severe', null].map((grade) => severityOf(TASK, grade))).toEqual([0, 1, 2, null]);
    const five = { ...TASK, grades: ['a', 'b', 'c', 'd', 'e'] };
    expect(five.grades.map((grade) => severityOf(five, grade))).toEqual([0, 1, 1, 1, 2]);
  });

  it('of a level is that of its worst cell; null if none is graded', () => {
    expect(worstSeverity(TASK, STUDY.cells)).toBe(2);
    expect(worstSeverity(TASK, STUDY.cells.slice(3))).toBeNull();
  });
});

describe('findings', () => {
  it('come worst first and go round', () => {
    expect(findings(TASK, STUDY.cells).map(({ level }) => level)).toEqual(['L4/L5', 'L5/S1']);
    const first = nextFinding(TASK, STUDY, null);
    const second = nextFinding(TASK, STUDY, first ?? null);
    expect([first?.level, second?.level]).toEqual(['L4/L5', 'L5/S1']);
    expect(nextFinding(TASK, STUDY, second ?? null)).toBe(first);
  });

  it('are none in a normal study', () => {
    expect(nextFinding(TASK, { ...STUDY, cells: STUDY.cells.slice(1, 2) }, null)).toBeUndefined();
  });
});

describe('words', () => {
  it('never round a chance to certainty', () => {
    expect([0, 0.004, 0.5, 0.996, 1].map(percent)).toEqual(['0 %', '<1 %', '50 %', '>99 %', '100 %']);
  });

  it('are short in a cell, and never call mild normal', () => {
    expect(['Normal/Mild', 'Moderate', 'Grade I/II', 'Normal'].map(shortTitle)).toEqual([
      'N/mild',
      'Moderate',
      'Grade I/II',
      'Normal',
    ]);
  });

  it('join with or', () => {
    expect([orList(['A']), orList(['A', 'B', 'C'])]).toEqual(['A', 'A, B or C']);
  });
});
