import { describe, expect, it } from 'vitest';

import type { Place, Series } from '../api/types.ts';
import { AXIAL, SAGITTAL, SAGITTAL_T1, STUDY } from '../test/study.ts';
import { SLOTS, changeViews, firstViews, frameOf, nearestFrame, stacksOf } from './layout.ts';

const stacks = stacksOf(STUDY.series);
const first = firstViews(stacks);
const place: Place = {
  series_id: 's2',
  slice: 4,
  x: 36,
  y: 32,
  mm: [4, 0, 13],
  confidence: 1,
  series_number: 9,
  series_name: 'axial T2',
  instance_number: 5,
  sop_instance_uid: '1.2.4',
};

describe('stacks of slices', () => {
  it('go from the head down where they are axial, and from right to left where they are sagittal', () => {
    const order = (slot: string) => stacks.find((stack) => stack.slot === slot)?.frames.map(({ slice }) => slice);
    expect(order('axial-t2')).toEqual([6, 5, 4, 3, 2, 1, 0]);
    expect(order('sagittal-t2')?.slice(0, 3)).toEqual([0, 1, 2]);
  });

  it('begin in the middle, and a view without a series stays empty', () => {
    expect(first['sagittal-t2']).toEqual({ stack: 's0', frame: 5 });
    expect(firstViews(stacksOf([SAGITTAL]))['axial-t2'].stack).toBeNull();
    expect(firstViews([])['axial-t2'].stack).toBeNull();
  });
});

describe('series of other kinds', () => {
  const other = (id: string, plane: Series['plane']): Series => ({ ...SAGITTAL, id, plane, weighting: 'other' });
  const shown = (series: readonly Series[]) => {
    const views = firstViews(stacksOf(series));
    return SLOTS.map((slot) => views[slot].stack);
  };

  it('are shown where there are no others', () => {
    expect(shown([other('a', 'coronal'), other('b', 'coronal'), other('c', 'axial')])).toEqual(['a', 'b', 'c']);
  });

  it('fill the view of their plane first', () => {
    expect(shown([other('a', 'axial'), other('b', 'sagittal'), SAGITTAL])).toEqual(['s0', 'b', 'a']);
  });

  it('never take the place of one that is looked for', () => {
    expect(shown([other('a', 'sagittal'), SAGITTAL_T1, AXIAL])).toEqual(['a', 's1', 's2']);
    expect(shown([other('a', 'sagittal'), ...STUDY.series])).toEqual(['s0', 's1', 's2']);
  });

  it('show a second series of a kind rather than nothing, and none twice', () => {
    expect(shown([SAGITTAL, { ...SAGITTAL, id: 'again' }])).toEqual(['s0', 'again', null]);
  });
});

describe('jumping to a place', () => {
  const jumped = changeViews(stacks, first, { type: 'jump', place });

  it('shows the slice itself where it lies', () => {
    expect(frameOf(stacks, jumped['axial-t2'])).toEqual({ series: AXIAL, slice: 4 });
  });

  it('shows the nearest slice in the other views', () => {
    expect(jumped['sagittal-t2'].frame).toBe(6);
    expect(jumped['sagittal-t1'].frame).toBe(6);
  });

  it('prefers the slice that holds the point to one of another block whose plane passes nearer', () => {
    const tilt = { row_dir: [1, 0, 0], column_dir: [0, Math.SQRT1_2, -Math.SQRT1_2] } as const;
    const beside = { origin_mm: [-32, 40, -26], ...tilt } as const;
    const [stack] = stacksOf([{ ...AXIAL, slices: 8, geometry: [beside, ...AXIAL.geometry] }]);
    expect(stack?.frames[nearestFrame(stack, [0, 0, 14])]?.slice).toBe(5);
  });

  it('leaves a series alone whose position is not known', () => {
    const unknown = stacksOf([SAGITTAL, { ...SAGITTAL_T1, geometry_known: false }, AXIAL]);
    const after = changeViews(unknown, firstViews(unknown), { type: 'jump', place });
    expect(after['sagittal-t1'].frame).toBe(5);
    expect(after['sagittal-t2'].frame).toBe(6);
  });
});

describe('scrolling', () => {
  it('stops at the ends, and changes nothing there', () => {
    const end = changeViews(stacks, first, { type: 'scroll', slot: 'sagittal-t2', by: 100 });
    expect(end['sagittal-t2'].frame).toBe(10);
    expect(changeViews(stacks, end, { type: 'scroll', slot: 'sagittal-t2', by: 1 })).toBe(end);
  });

  it('moves one view only', () => {
    const after = changeViews(stacks, first, { type: 'scroll', slot: 'axial-t2', by: 1 });
    expect(after['sagittal-t2']).toBe(first['sagittal-t2']);
  });
});
