/** Which stack of slices each of the three views shows, and at which slice; pure, so that jumps can be tested. */

import type { Place, Plane, Series, Vector3 } from '../api/types.ts';
import { clamp } from '../shared/clamp.ts';
import { distance } from './geometry.ts';
import type { Tool } from './gestures.ts';

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
export interface SeriesStack {
  id: string;
  title: string;
  plane: Plane;
  slot: Slot | null;
  frames: readonly Frame[];
}

export interface View {
  stack: string | null;
  frame: number;
}

export type Views = Record<Slot, View>;

/** How the three views are used. */
export interface ViewSettings {
  tool: Tool;
  lines: boolean;
  marks: boolean;
  /** The view that is enlarged. */
  main: Slot;
  /** The view that keys steer. */
  active: Slot;
}

export type ViewsAction =
  | { type: 'scroll'; slot: Slot; by: number }
  | { type: 'go'; slot: Slot; frame: number }
  | { type: 'choose'; slot: Slot; stack: string }
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

export function stacksOf(all: readonly Series[]): SeriesStack[] {
  return all.map((series) => ({
    id: series.id,
    title: series.title,
    plane: series.plane,
    slot: slotOf(series),
    frames: framesOf(series),
  }));
}

export function stackOf(stacks: readonly SeriesStack[], view: View): SeriesStack | undefined {
  return stacks.find(({ id }) => id === view.stack);
}

export function frameOf(stacks: readonly SeriesStack[], view: View): Frame | undefined {
  return stackOf(stacks, view)?.frames[view.frame];
}

/** The first stack of each view's kind, at its middle; where there is none, one of its plane that no view shows, or any. */
export function firstViews(stacks: readonly SeriesStack[]): Views {
  const shown = new Map<Slot, SeriesStack>();
  const fill = (fits: (stack: SeriesStack, slot: Slot) => boolean): void => {
    for (const slot of SLOTS) {
      const free = stacks.filter((stack) => ![...shown.values()].includes(stack));
      const stack = shown.has(slot) ? undefined : free.find((candidate) => fits(candidate, slot));
      if (stack !== undefined) shown.set(slot, stack);
    }
  };
  fill((stack, slot) => stack.slot === slot);
  fill((stack, slot) => slot.startsWith(stack.plane));
  fill(() => true);
  const view = (slot: Slot): View => {
    const stack = shown.get(slot);
    return stack ? { stack: stack.id, frame: Math.floor((stack.frames.length - 1) / 2) } : { stack: null, frame: 0 };
  };
  return { 'sagittal-t2': view('sagittal-t2'), 'sagittal-t1': view('sagittal-t1'), 'axial-t2': view('axial-t2') };
}

/** The frame whose slice is nearest to a patient's point. */
export function nearestFrame(stack: SeriesStack, mm: Vector3): number {
  let best = 0;
  let least = Infinity;
  stack.frames.forEach(({ series, slice }, index) => {
    const away = distance(series, slice, mm);
    if (away < least) [best, least] = [index, away];
  });
  return best;
}

export function changeViews(stacks: readonly SeriesStack[], views: Views, action: ViewsAction): Views {
  if (action.type === 'jump') {
    const jumped = { ...views };
    for (const slot of SLOTS) jumped[slot] = jump(stacks, slot, views[slot], action.place);
    return jumped;
  }
  const view = views[action.slot];
  const stack = stacks.find(({ id }) => id === (action.type === 'choose' ? action.stack : view.stack));
  if (stack === undefined) return views;
  const wanted = {
    scroll: () => view.frame + (action.type === 'scroll' ? action.by : 0),
    go: () => (action.type === 'go' ? action.frame : 0),
    choose: () => Math.floor((stack.frames.length - 1) / 2),
  }[action.type]();
  const frame = clamp(wanted, 0, stack.frames.length - 1);
  if (frame === view.frame && stack.id === view.stack) return views;
  return { ...views, [action.slot]: { stack: stack.id, frame } };
}

function jump(stacks: readonly SeriesStack[], slot: Slot, view: View, place: Place): View {
  const holds = ({ series, slice }: Frame): boolean => series.id === place.series_id && slice === place.slice;
  const home = stacks.find((stack) => stack.slot === slot && stack.frames.some(holds));
  if (home !== undefined) return { stack: home.id, frame: home.frames.findIndex(holds) };
  const stack = stackOf(stacks, view);
  if (stack === undefined || stack.frames[0]?.series.geometry_known === false) return view;
  return { stack: stack.id, frame: nearestFrame(stack, place.mm) };
}
