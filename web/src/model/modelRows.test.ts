import { describe, expect, it } from 'vitest';

import type { ModelFacts } from '../api/types.ts';
import { STUDY } from '../test/study.ts';
import { modelRows, performanceWords } from './modelRows.ts';

const FACTS: ModelFacts = {
  ...STUDY.model,
  registered_at: null,
  trained_on: { ...STUDY.trained_on, performance: null },
  score_on: null,
  score: null,
  score_interval: null,
  accuracy: 0.778,
  accuracy_majority: 0.7784,
  severe_auc: null,
  calibration_error: null,
  studies: null,
  cells: null,
  holdout_score: null,
  holdout_accuracy: null,
  card_html: null,
  lineage_html: null,
};

describe('how well a model does', () => {
  it('is said in the server’s words where it has some', () => {
    const words = performanceWords({ ...FACTS, trained_on: STUDY.trained_on });
    expect(words).toEqual(['It found 3 of 24 Severe cells (recall 12 %).']);
  });

  it('begins with recall of Severe, also where that is not recorded', () => {
    expect(performanceWords(FACTS)[0]).toBe('Recall of Severe is not recorded.');
  });

  it.each([
    [0.778, 0.7784, 'no better than'],
    [0.7, 0.78, 'worse than'],
    [0.79, 0.78, undefined],
    [0.79, null, undefined],
  ])('with an accuracy of %d beside %d is %s', (accuracy, accuracy_majority, words) => {
    const [, comparison] = performanceWords({ ...FACTS, accuracy, accuracy_majority });
    if (words === undefined) expect(comparison).toBeUndefined();
    else expect(comparison).toContain(words);
  });

  it('has the baseline beside the accuracy, and no row without a figure', () => {
    expect(modelRows(FACTS).map(({ measure, baseline }) => [measure, baseline])).toEqual([['Accuracy', '77.8 %']]);
  });
});
