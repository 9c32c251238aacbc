import { describe, expect, it } from 'vitest';

import type { Place } from './api.ts';
import { changeViews, firstViews, frameOf, nearestFrame, runsOf } from './views.ts';
import { HIGH, SAGITTAL, SAGITTAL_T1, STUDY } from './test/study.ts';

const runs = runsOf(STUDY.series);
const first = firstViews(runs);
const place: Place = { series_id: 's3', slice: 1, x: 36, y: 32, mm: [4, 0, 13], confidence: 1 };

describe('runs of slices', () => {
  it('join the stacks of one series, from the head down', () => {
    const axial = runs.find(({ slot }) => slot === 'axial-t2');
    expect(axial?.title).toBe('Axial T2');
    expect(axial?.frames.map(({ series, slice }) => `${series.id}.${slice}`)).toEqual(
      ['s3.3', 's3.2', 's3.1', 's3.0', 's2.2', 's2.1', 's2.0'],
    );
  });

  it('keep apart series that are not of one', () => {
    const apart = runsOf([{ ...SAGITTAL, id: 'a' }, { ...SAGITTAL, id: 'b' }]);
    expect(apart.map(({ id }) => id)).toEqual(['a', 'b']);
  });

  it('begin in the middle, and a view without a series stays empty', () => {
    expect(first['sagittal-t2']).toEqual({ run: 's0', frame: 5 });
    expect(firstViews(runsOf([SAGITTAL]))['axial-t2'].run).toBeNull();
  });
});

describe('jumping to a place', () => {
  const jumped = changeViews(runs, first, { type: 'jump', place });

  it('shows the slice itself where it lies', () => {
    expect(frameOf(runs, jumped['axial-t2'])).toEqual({ series: HIGH, slice: 1 });
  });

  it('shows the nearest slice in the other views', () => {
    expect(jumped['sagittal-t2'].frame).toBe(6);
    expect(jumped['sagittal-t1'].frame).toBe(6);
  });

  it('prefers the stack that holds the point to a nearer plane beside it', () => {
    const axial = runs.find(({ slot }) => slot === 'axial-t2');
    expect(axial && nearestFrame(axial, [0, 0, 14])).toBe(2);
  });

  it('leaves a series alone whose position is not known', () => {
    const unknown = runsOf([SAGITTAL, { ...SAGITTAL_T1, geometry_known: false }, HIGH]);
    const after = changeViews(unknown, firstViews(unknown), { type: 'jump', place });
    expect(after['sagittal-t1'].frame).toBe(5);
    expect(after['sagittal-t2'].frame).toBe(6);
  });
});

describe('scrolling', () => {
  it('stops at the ends, and changes nothing there', () => {
    const end = changeViews(runs, first, { type: 'scroll', slot: 'sagittal-t2', by: 100 });
    expect(end['sagittal-t2'].frame).toBe(10);
    expect(changeViews(runs, end, { type: 'scroll', slot: 'sagittal-t2', by: 1 })).toBe(end);
  });

  it('moves one view only', () => {
    const after = changeViews(runs, first, { type: 'scroll', slot: 'axial-t2', by: 1 });
    expect(after['sagittal-t2']).toBe(first['sagittal-t2']);
  });
});
