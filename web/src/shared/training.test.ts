import { describe, expect, it } from 'vitest';

import { STUDY } from '../test/study.ts';
import { trainingOf } from './training.ts';

describe('what a model was trained on', () => {
  it('is said in the server’s words', () => {
    expect(trainingOf(STUDY.trained_on).sentence).toContain('synthetic spines only');
    expect(trainingOf(STUDY.trained_on).performance).toContain('recall 12 %');
  });

  it.each([undefined, null])('is said not to be recorded where the server sends %s', (missing) => {
    expect(trainingOf(missing)).toEqual({
      sentence: 'It is not recorded what this model was trained on.',
      performance: null,
      possibleGrades: null,
    });
  });
});
