/** The stand-in's study: a graded synthetic spine. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import type { Cell, Condition, Place, Series, Session, Study, Task, TrainedOn } from '../src/api/types.ts';
import { toPixel } from '../src/viewer/geometry.ts';
import { nearestFrame, stacksOf } from '../src/viewer/layout.ts';
import { drawSlice, makeSeries } from './images.ts';
import { DISC_Z, canalY } from './spine.ts';

const LEVELS = ['L1/L2', 'L2/L3', 'L3/L4', 'L4/L5', 'L5/S1'];
const GRADES = ['Normal/Mild', 'Moderate', 'Severe'];
const CONDITIONS: Condition[] = [
  { name: 'spinal_canal_stenosis', title: 'Spinal canal stenosis', short: 'Spinal', side: null },
  { name: 'left_neural_foraminal_narrowing', title: 'Left neural foraminal narrowing', short: 'Left foraminal', side: 'left' },
  { name: 'right_neural_foraminal_narrowing', title: 'Right neural foraminal narrowing', short: 'Right foraminal', side: 'right' },
  { name: 'left_subarticular_stenosis', title: 'Left subarticular stenosis', short: 'Left subarticular', side: 'left' },
  { name: 'right_subarticular_stenosis', title: 'Right subarticular stenosis', short: 'Right subarticular', side: 'right' },
];

/** A letter a cell, `-` not graded; rows are levels. */
const ANSWER = ['NNNN-', 'NNNNN', 'NMNNN', 'SMNSM', 'NNMNN'];

const MODEL = { name: 'lumbargrade-rsna2024', version: '3', alias: 'champion', run_id: '4f1c0a5be2d94b0f' };
export const TRAINED_ON: TrainedOn = {
  sentence:
    'This model was trained on synthetic spines only (40 studies). Its grades of real images have not been shown to mean anything.',
  performance:
    'In cross-validation (40 studies, 1,000 cells) it found 3 of 24 Severe cells (recall 12 %); accuracy 77.8 %, no better than always answering Normal/Mild (77.8 %). On the holdout (8 studies, 200 cells) it found 0 of 9 Severe cells (recall 0 %); accuracy 76.5 %, no better than always answering Normal/Mild (78.0 %).',
  synthetic: true,
  dataset: 'phantom',
  studies: 40,
  possible_grades:
    'The possible grades of a cell were calibrated to hold the true one in 90 % of cells of synthetic studies like those that the model was trained on, and of such studies only; of other images that has not been shown.',
};
const TASK: Task = {
  name: 'rsna2024',
  title: 'Lumbar spine stenosis (RSNA 2024)',
  conditions: CONDITIONS,
  levels: LEVELS,
  grades: GRADES,
};

export const SESSION: Session = {
  csrf_token: 'stand-in',
  model: MODEL,
  task: TASK,
  research_strip: 'Not for clinical use',
  limits: { max_bytes: 1 << 30, max_files: 5000 },
  ready: true,
};

export interface StandInStudy {
  study: Study;
  slice: (series: string, slice: number) => Buffer | null;
}

/** STANDIN_STACK=40x512 makes stacks of 40 slices of 512 x 512; STANDIN_STUDY reads study.json and SERIES.u16 from a folder. */
export function makeStudy(id: string): StandInStudy {
  const folder = process.env.STANDIN_STUDY;
  if (folder !== undefined) return readStudy(folder, id);
  const [slices, size] = (process.env.STANDIN_STACK ?? '15x320').split('x').map(Number) as [number, number];
  const series = [
    makeSeries({ id: 's0', title: 'Sagittal T2', plane: 'sagittal', weighting: 'T2', slices, size }),
    makeSeries({ id: 's1', title: 'Sagittal T1', plane: 'sagittal', weighting: 'T1', slices, size }),
    makeSeries({ id: 's2', title: 'Axial T2', plane: 'axial', weighting: 'T2', slices: slices + 15, size }),
  ];
  const drawn = new Map<string, Buffer>();
  return {
    study: {
      id,
      request_id: '8d0cb7a2',
      model: MODEL,
      trained_on: TRAINED_ON,
      graded_at: '2026-03-14T09:26:00+00:00',
      study_hash: '5f2ab90c11d7e3a4',
      flags: [
        '3 of 24 places are uncertain: check the marked places before you use these grades.',
        'The images end close below L5/S1; the levels may be named one too high or too low.',
      ],
      not_graded: [
        { code: 'series-missing', sites: 'right subarticular stenosis at L1/L2', cells: 1, text: 'the level is not in the axial images' },
      ],
      sentences: sentences(),
      cells: cells(series),
      series,
      series_table: seriesTable(series),
      identifiers: null,
      report: reportLinks(id),
    },
    slice: (name, slice) => {
      const found = series.find((one) => one.id === name);
      if (found === undefined || !(slice >= 0 && slice < found.slices)) return null;
      const key = `${name}/${slice}`;
      if (!drawn.has(key)) drawn.set(key, drawSlice(found, slice));
      return drawn.get(key) ?? null;
    },
  };
}

function readStudy(folder: string, id: string): StandInStudy {
  const study = JSON.parse(readFileSync(join(folder, 'study.json'), 'utf8')) as Study;
  return {
    study: { ...study, id, report: reportLinks(id) },
    slice: (name, slice) => {
      const series = study.series.find((one) => one.id === name);
      if (series === undefined) return null;
      const bytes = series.rows * series.columns * 2;
      return readFileSync(join(folder, `${series.id}.u16`)).subarray(slice * bytes, (slice + 1) * bytes);
    },
  };
}

const reportLinks = (id: string): Study['report'] => {
  const start = `/api/studies/${id}/report`;
  return { pdf: `${start}.pdf`, sr: `${start}.sr`, json: `${start}.json`, csv: `${start}.csv` };
};

function cells(series: readonly Series[]): Cell[] {
  return LEVELS.flatMap((level, row) =>
    CONDITIONS.map(({ name, side }, column): Cell => {
      const rank = 'NMS'.indexOf(ANSWER[row]?.charAt(column) ?? '-');
      const base = { condition: name, level, correction: null };
      const grade = GRADES[rank];
      if (grade === undefined) {
        const reason = 'the level is not in the axial images';
        return { ...base, grade: null, probabilities: null, possible_grades: [], reason, place: null, place_uncertain: false };
      }
      const sure = 0.62 + (((row * 7 + column * 11) % 10) / 10) * 0.34;
      const rest = GRADES.map((other, at) => (other === grade ? 0 : 1 / (1 + Math.abs(at - rank) ** 3)));
      const total = rest.reduce((sum, part) => sum + part, 0);
      const shares = rest.map((part, at) => (at === rank ? sure : ((1 - sure) * part) / total));
      return {
        ...base,
        grade,
        probabilities: Object.fromEntries(GRADES.map((other, at) => [other, shares[at] ?? 0])),
        possible_grades: GRADES.filter((_, at) => (shares[at] ?? 0) > 0.12),
        reason: null,
        place: placeOf(series, name, side, row, isUncertain(row, column) ? 0.06 : 0.9 - row * 0.04),
        place_uncertain: isUncertain(row, column),
      };
    }),
  );
}

/** Two subarticular sites and a foramen at the upper levels: cells of all kinds beside certain ones. */
const isUncertain = (row: number, column: number): boolean => (row < 2 && column === 3) || (row === 2 && column === 1);

function placeOf(series: readonly Series[], condition: string, side: 'left' | 'right' | null, row: number, confidence: number): Place {
  const at = condition.includes('canal') ? 0 : condition.includes('foraminal') ? 1 : 2;
  const z = DISC_Z[row] ?? 0;
  const lateral = side === null ? 0 : (side === 'left' ? 1 : -1) * (at === 1 ? 18 : 10);
  const mm = [lateral, canalY(z) - (at === 1 ? -2 : 4), z] as const;
  const stack = stacksOf(series)[at];
  const frame = stack?.frames[nearestFrame(stack, mm)];
  if (frame === undefined) throw new RangeError(`the stand-in has no series ${at}`);
  const { x, y } = toPixel(frame.series, frame.slice, mm);
  return {
    series_id: frame.series.id,
    slice: frame.slice,
    x,
    y,
    mm,
    confidence,
    series_number: at + 2,
    series_name: frame.series.title.replace(/^\w/, (letter) => letter.toLowerCase()),
    instance_number: frame.slice + 1,
    sop_instance_uid: `1.2.${at}.${frame.slice}`,
  };
}

/** The series that are drawn, and a localizer that is not used. */
function seriesTable(series: readonly Series[]): Study['series_table'] {
  const uses = ['spinal_canal_stenosis', 'left_neural_foraminal_narrowing', 'left_subarticular_stenosis'];
  const unused = { number: 1, used: false, used_for: [], reason_code: 'localizer', reason: 'it is a localizer: its name says so' };
  const rows = series.map((one, at) => ({
    series: one.id,
    number: at + 2,
    name: one.title.replace(/^\w/, (letter) => letter.toLowerCase()),
    plane: one.plane,
    weighting: one.weighting,
    fat_suppressed: false,
    contrast_agent: null,
    slices: one.slices,
    confidence: 0.95,
    used: true,
    used_for: [uses[at] ?? 'levels'],
    reason_code: null,
    reason: null,
  }));
  const localizer = { series: 'loc', name: 'localizer', plane: null, weighting: 'localizer', fat_suppressed: false, contrast_agent: null, slices: 9 };
  return [{ ...localizer, confidence: 0.95, ...unused }, ...rows];
}

function sentences(): Study['sentences'] {
  const texts = [
    'Normal/mild at every graded site; not graded: right subarticular stenosis. Place uncertain: left subarticular stenosis.',
    'Normal/mild at every graded site. Severe cannot be excluded at any graded site. Place uncertain: left subarticular stenosis.',
    'moderate left neural foraminal narrowing. Place uncertain: left neural foraminal narrowing.',
    'severe spinal canal stenosis, severe left subarticular stenosis, moderate left neural foraminal narrowing, moderate right subarticular stenosis.',
    'moderate right neural foraminal narrowing. Severe cannot be excluded at L5/S1 for spinal canal stenosis, bilateral subarticular stenosis.',
  ];
  return LEVELS.map((level, row) => ({ level, text: `${level}: ${texts[row] ?? ''}` }));
}
