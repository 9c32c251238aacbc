/** What is said of a model's training; never nothing, also where nothing is recorded. */

import type { TrainedOn } from '../api/types.ts';

export interface Training {
  sentence: string;
  performance: string | null;
  /** What the sets of possible grades mean. */
  possibleGrades: string | null;
}

export const UNAVAILABLE: Training = {
  sentence: 'What this model was trained on could not be loaded.',
  performance: null,
  possibleGrades: null,
};

export function trainingOf(trainedOn: TrainedOn | null | undefined): Training {
  const { sentence, performance, possible_grades: possibleGrades } = trainedOn ?? {};
  return {
    sentence: sentence ?? 'It is not recorded what this model was trained on.',
    performance: performance ?? null,
    possibleGrades: possibleGrades ?? null,
  };
}
