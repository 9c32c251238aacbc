/** The table of the model page: each measure beside what it must beat. */

import type { ModelFacts } from '../api/types.ts';
import { trainingOf } from '../shared/training.ts';

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
  return measured(facts).filter(({ value }) => value !== NONE);
}

/** How well the model does, recall of Severe first: in the server's words, or in what its figures say where it has none. */
export function performanceWords(facts: ModelFacts): string[] {
  const { performance } = trainingOf(facts.trained_on);
  if (performance !== null) return [performance];
  const comparison = comparisonWords(facts);
  return ['Recall of Severe is not recorded.', ...(comparison === null ? [] : [comparison])];
}

function comparisonWords({ accuracy, accuracy_majority: majority }: ModelFacts): string | null {
  if (accuracy == null || majority == null || tenths(accuracy) > tenths(majority)) return null;
  return tenths(accuracy) === tenths(majority)
    ? `Its accuracy, ${share(accuracy)}, is no better than always giving the most common grade.`
    : `Its accuracy, ${share(accuracy)}, is worse than always giving the most common grade: ${share(majority)}.`;
}

const ACCURACY_NOTE = 'share of grades that agree with the readers';
const UNSEEN = 'on studies that training never saw';

function measured(facts: ModelFacts): ModelRow[] {
  const { score_interval: interval } = facts;
  return [
    {
      ...row('Accuracy', ACCURACY_NOTE, share(facts.accuracy)),
      baseline: share(facts.accuracy_majority),
      what: 'always giving the most common grade',
    },
    row('Accuracy on the holdout', `${ACCURACY_NOTE}, ${UNSEEN}`, share(facts.holdout_accuracy)),
    {
      ...row('Score', 'weighted log loss; lower is better', number(facts.score)),
      interval: interval === null ? '' : `95 %: ${interval.map(number).join(' – ')}`,
    },
    row('Score on the holdout', `weighted log loss ${UNSEEN}; lower is better`, number(facts.holdout_score)),
    {
      ...row('Severe or not', 'area under the ROC curve; higher is better', number(facts.severe_auc)),
      baseline: number(0.5),
      what: 'guessing',
    },
    row(
      'Calibration error',
      'how far probabilities are from observed frequencies; 0 is best',
      number(facts.calibration_error),
    ),
  ];
}

const row = (measure: string, note: string, value: string): ModelRow => ({
  measure,
  note,
  value,
  interval: '',
  baseline: NONE,
  what: '',
});

const tenths = (value: number): number => Math.round(value * 1000);
const number = (value: number | null | undefined): string => (value == null ? NONE : value.toFixed(3));
const share = (value: number | null | undefined): string => (value == null ? NONE : `${(value * 100).toFixed(1)} %`);
