/** Which run of slices each of the three views shows, and at which slice; pure, so that jumps can be tested. */

import type { Place, Plane, Series, Vector3 } from './api.ts';
import { distance } from './geometry.ts';
import { clamp } from './window.ts';

export const SLOTS = ['sagittal-t2', 'sagittal-t1', 'axial-t2'] as const;
export type Slot = (typeof SLOTS)[number];

export const SLOT_TITLES: Record<Slot, string> = {
  'sagittal-t2': 'Sagittal T2/STIR',
  'sagittal-t1': 'Sagittal T1',
  'axial-t2': 'Axial T2',
};

export interface Frame {
  series: Series;
  slice: number;
}

/** A series' frames in the order in which they are scrolled through. */
export interface Run {
  id: string;
  title: string;
  plane: Plane;
  slot: Slot | null;
  frames: readonly Frame[];
}

export interface View {
  run: string | null;
  frame: number;
}

export type Views = Record<Slot, View>;

export type ViewsAction =
  | { type: 'scroll'; slot: Slot; by: number }
  | { type: 'go'; slot: Slot; frame: number }
  | { type: 'choose'; slot: Slot; run: string }
  | { type: 'jump'; place: Place };

function slotOf({ plane, weighting }: Series): Slot | null {
  if (plane === 'sagittal' && weighting === 'T1') return 'sagittal-t1';
  if (plane === 'sagittal' && (weighting === 'T2' || weighting === 'STIR')) return 'sagittal-t2';
  if (plane === 'axial' && weighting === 'T2') return 'axial-t2';
  return null;
}

/** Axial slices are read from the head down, sagittal ones from the patient's right to the left. */
function framesOf(series: Series): Frame[] {
  const frames = Array.from({ length: series.slices }, (_, slice) => ({ series, slice }));
  return series.plane === 'axial' ? frames.reverse() : frames;
}

export function runsOf(all: readonly Series[]): Run[] {
  return all.map((series) => ({
    id: series.id,
    title: series.title,
    plane: series.plane,
    slot: slotOf(series),
    frames: framesOf(series),
  }));
}

export function runOf(runs: readonly Run[], view: View): Run | undefined {
  return runs.find(({ id }) => id === view.run);
}

export function frameOf(runs: readonly Run[], view: View): Frame | undefined {
  return runOf(runs, view)?.frames[view.frame];
}

/** The first run of each view's kind, at its middle; where there is none, one of its plane that no view shows, or any. */
export function firstViews(runs: readonly Run[]): Views {
  const shown = new Map<Slot, Run>();
  const fill = (fits: (run: Run, slot: Slot) => boolean): void => {
    for (const slot of SLOTS) {
      const free = runs.filter((run) => ![...shown.values()].includes(run));
      const run = shown.has(slot) ? undefined : free.find((candidate) => fits(candidate, slot));
      if (run !== undefined) shown.set(slot, run);
    }
  };
  fill((run, slot) => run.slot === slot);
  fill((run, slot) => slot.startsWith(run.plane));
  fill(() => true);
  const view = (slot: Slot): View => {
    const run = shown.get(slot);
    return run ? { run: run.id, frame: Math.floor((run.frames.length - 1) / 2) } : { run: null, frame: 0 };
  };
  return { 'sagittal-t2': view('sagittal-t2'), 'sagittal-t1': view('sagittal-t1'), 'axial-t2': view('axial-t2') };
}

/** The frame whose slice is nearest to a patient's point. */
export function nearestFrame(run: Run, mm: Vector3): number {
  let best = 0;
  let least = Infinity;
  run.frames.forEach(({ series, slice }, index) => {
    const away = distance(series, slice, mm);
    if (away < least) [best, least] = [index, away];
  });
  return best;
}

export function changeViews(runs: readonly Run[], views: Views, action: ViewsAction): Views {
  if (action.type === 'jump') {
    const jumped = { ...views };
    for (const slot of SLOTS) jumped[slot] = jump(runs, slot, views[slot], action.place);
    return jumped;
  }
  const view = views[action.slot];
  const run = runs.find(({ id }) => id === (action.type === 'choose' ? action.run : view.run));
  if (run === undefined) return views;
  const wanted = {
    scroll: () => view.frame + (action.type === 'scroll' ? action.by : 0),
    go: () => (action.type === 'go' ? action.frame : 0),
    choose: () => Math.floor((run.frames.length - 1) / 2),
  }[action.type]();
  const frame = clamp(wanted, 0, run.frames.length - 1);
  if (frame === view.frame && run.id === view.run) return views;
  return { ...views, [action.slot]: { run: run.id, frame } };
}

function jump(runs: readonly Run[], slot: Slot, view: View, place: Place): View {
  const holds = ({ series, slice }: Frame): boolean => series.id === place.series_id && slice === place.slice;
  const home = runs.find((run) => run.slot === slot && run.frames.some(holds));
  if (home !== undefined) return { run: home.id, frame: home.frames.findIndex(holds) };
  const run = runOf(runs, view);
  if (run?.frames[0]?.series.geometry_known === false || run === undefined) return view;
  return { run: run.id, frame: nearestFrame(run, place.mm) };
}
