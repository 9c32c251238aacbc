/** The table of the model page: each measure beside what it must beat. */

import type { ModelFacts } from './api';

export interface ModelRow {
  measure: string;
  note: string;
  value: string;
  baseline: string;
  what: string;
}

const NONE = '–';

export function modelRows(facts: ModelFacts): ModelRow[] {
  const rows: ModelRow[] = [
    {
      measure: 'Score',
      note: 'weighted log loss; lower is better',
      value: withInterval(facts.score, facts.score_interval),
      baseline: number(facts.prior),
      what: 'always saying how often each grade occurs',
    },
    {
      measure: 'Accuracy',
      note: 'cells graded right',
      value: share(facts.accuracy),
      baseline: share(facts.accuracy_majority),
      what: 'always saying the commonest grade',
    },
  ];
  if (facts.severe_auc != null) {
    rows.push({
      measure: 'Severe or not',
      note: 'area under the ROC curve; higher is better',
      value: number(facts.severe_auc),
      baseline: number(0.5),
      what: 'guessing',
    });
  }
  if (facts.calibration_error != null) {
    rows.push({
      measure: 'Calibration error',
      note: 'how far probabilities are from what happens; 0 is best',
      value: number(facts.calibration_error),
      baseline: NONE,
      what: '',
    });
  }
  return rows;
}

function withInterval(value: number | null, interval: readonly [number, number] | null): string {
  return interval === null ? number(value) : `${number(value)} (95 %: ${number(interval[0])} – ${number(interval[1])})`;
}

const number = (value: number | null): string => (value === null ? NONE : value.toFixed(3));
const share = (value: number | null): string => (value === null ? NONE : `${(value * 100).toFixed(1)} %`);
