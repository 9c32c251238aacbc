/** A small study for tests: a sagittal T2 and T1 series at right angles to an axial series in two blocks. */

import type { Cell, Series, Study, Task } from '../api/types.ts';

export const TASK: Task = {
  name: 'test',
  title: 'A test',
  conditions: [
    { name: 'canal', title: 'Spinal canal stenosis', short: 'Spinal', side: null },
    { name: 'left_recess', title: 'Left subarticular stenosis', short: 'Left subarticular', side: 'left' },
  ],
  levels: ['L4/L5', 'L5/S1'],
  grades: ['Normal/Mild', 'Moderate', 'Severe'],
};

/** 11 slices 4 mm apart, 64 x 64 mm, the middle of slice 5 at the patient's origin. */
export const SAGITTAL: Series = {
  id: 's0',
  title: 'Sagittal T2',
  plane: 'sagittal',
  weighting: 'T2',
  rows: 65,
  columns: 33,
  slices: 11,
  window: { center: 500, width: 1000 },
  pixel_mm: [1, 2],
  geometry_known: true,
  geometry: Array.from({ length: 11 }, (_, slice) => ({
    origin_mm: [(slice - 5) * 4, -32, 32],
    row_dir: [0, 1, 0],
    column_dir: [0, 0, -1],
  })),
};

export const SAGITTAL_T1: Series = { ...SAGITTAL, id: 's1', title: 'Sagittal T1', weighting: 'T1' };

/** Axial slices at some heights. */
function axial(heights: readonly number[]): Series {
  return {
    ...SAGITTAL,
    id: 's2',
    title: 'Axial T2',
    plane: 'axial',
    rows: 65,
    columns: 65,
    slices: heights.length,
    pixel_mm: [1, 1],
    geometry: heights.map((height) => ({ origin_mm: [-32, -32, height], row_dir: [1, 0, 0], column_dir: [0, 1, 0] })),
  };
}

export const AXIAL = axial([-20, -17, -14, 10, 13, 16, 19]);

function cell(condition: string, level: string, grade: string | null, severe: number): Cell {
  const base = { condition, level, grade, correction: null, place_uncertain: false };
  if (grade === null) {
    return { ...base, probabilities: null, possible_grades: [], reason: 'there is no axial T2 series', place: null };
  }
  const place = {
    series_id: 's0',
    slice: 6,
    x: 16,
    y: 40,
    mm: [4, 0, -8] as const,
    confidence: 0.9,
    series_number: 7,
    series_name: 'sagittal T2',
    instance_number: 12,
    sop_instance_uid: '1.2.3',
  };
  return {
    ...base,
    probabilities: { 'Normal/Mild': 0.9 - severe, Moderate: 0.1, Severe: severe },
    possible_grades: [grade],
    reason: null,
    place,
  };
}

export const STUDY: Study = {
  id: 'abc',
  request_id: 'r',
  model: { name: 'lumbargrade-test', version: '2', alias: 'champion', run_id: null },
  graded_at: '2026-01-02T03:04:05+00:00',
  trained_on: {
    sentence: 'This model was trained on synthetic spines only (40 studies).',
    performance: 'It found 3 of 24 Severe cells (recall 12 %).',
    synthetic: true,
    dataset: 'phantom',
    studies: 40,
    possible_grades: 'The true grade is among the possible ones in 90 % of cells.',
  },
  flags: ['The levels may be named one too high.'],
  not_graded: [
    { code: 'series-missing', sites: 'left subarticular stenosis at L5/S1', cells: 1, text: 'there is no axial T2 series' },
  ],
  study_hash: '0123456789abcdef',
  sentences: [
    { level: 'L4/L5', text: 'L4/L5: severe spinal canal stenosis. Severe cannot be excluded at any graded site.' },
    { level: 'L5/S1', text: 'L5/S1: moderate spinal canal stenosis; not graded: left subarticular stenosis.' },
  ],
  cells: [
    cell('canal', 'L4/L5', 'Severe', 0.8),
    cell('left_recess', 'L4/L5', 'Normal/Mild', 0.05),
    cell('canal', 'L5/S1', 'Moderate', 0.2),
    cell('left_recess', 'L5/S1', null, 0),
  ],
  series: [SAGITTAL, SAGITTAL_T1, AXIAL],
  series_table: [
    {
      series: '1.2',
      number: 7,
      name: 'sagittal T2',
      plane: 'sagittal',
      weighting: 'T2',
      fat_suppressed: false,
      contrast_agent: null,
      slices: 11,
      confidence: 0.9,
      used: true,
      used_for: ['canal', 'levels'],
      reason_code: null,
      reason: null,
    },
    {
      series: '1.1',
      number: 1,
      name: 'localizer',
      plane: null,
      weighting: 'localizer',
      fat_suppressed: false,
      contrast_agent: null,
      slices: 9,
      confidence: 0.9,
      used: false,
      used_for: [],
      reason_code: 'localizer',
      reason: 'it is a localizer: its name says so',
    },
  ],
  identifiers: null,
  report: { pdf: '/r.pdf', sr: '/r.sr', json: '/r.json', csv: '/r.csv' },
};
