/** The table of the model page: each measure beside what it must beat. */

import type { ModelFacts } from './api.ts';

export interface ModelRow {
  measure: string;
  note: string;
  value: string;
  /** 95 %; empty if none is known. */
  interval: string;
  baseline: string;
  what: string;
}

const NONE = '–';

export function modelRows(facts: ModelFacts): ModelRow[] {
  const rows: ModelRow[] = [
    {
      measure: 'Score',
      note: 'weighted log loss; lower is better',
      value: number(facts.score),
      interval: facts.score_interval === null ? '' : `95 %: ${facts.score_interval.map(number).join(' – ')}`,
      baseline: number(facts.prior),
      what: 'always saying how often each grade occurs',
    },
    {
      measure: 'Accuracy',
      note: 'cells graded right',
      value: share(facts.accuracy),
      interval: '',
      baseline: share(facts.accuracy_majority),
      what: 'always saying the commonest grade',
    },
  ];
  if (facts.holdout_score != null) {
    rows.push({
      measure: 'Score on the holdout',
      note: 'studies that training never saw; lower is better',
      value: number(facts.holdout_score),
      interval: '',
      baseline: NONE,
      what: '',
    });
  }
  if (facts.holdout_accuracy != null) {
    rows.push({
      measure: 'Accuracy on the holdout',
      note: 'cells graded right',
      value: share(facts.holdout_accuracy),
      interval: '',
      baseline: NONE,
      what: '',
    });
  }
  if (facts.severe_auc != null) {
    rows.push({
      measure: 'Severe or not',
      note: 'area under the ROC curve; higher is better',
      value: number(facts.severe_auc),
      interval: '',
      baseline: number(0.5),
      what: 'guessing',
    });
  }
  if (facts.calibration_error != null) {
    rows.push({
      measure: 'Calibration error',
      note: 'how far probabilities are from what happens; 0 is best',
      value: number(facts.calibration_error),
      interval: '',
      baseline: NONE,
      what: '',
    });
  }
  return rows.filter(({ value }) => value !== NONE);
}

const number = (value: number | null): string => (value === null ? NONE : value.toFixed(3));
const share = (value: number | null): string => (value === null ? NONE : `${(value * 100).toFixed(1)} %`);
