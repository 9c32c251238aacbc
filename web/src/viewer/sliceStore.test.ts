import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { SAGITTAL } from '../test/study.ts';
import { stacksOf } from './layout.ts';
import { SliceStore } from './sliceStore.ts';

const frames = stacksOf([SAGITTAL])[0]?.frames ?? [];
const pixels = () => ({ values: new Uint16Array(SAGITTAL.rows * SAGITTAL.columns), offset: 0, scale: 1 });
const frame = (index: number) => {
  const found = frames[index];
  if (found === undefined) throw new RangeError(`no frame ${index}`);
  return found;
};

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe('the slices of a study', () => {
  it('come nearest first, and all of them', async () => {
    const asked: number[] = [];
    const store = new SliceStore((_, slice) => {
      asked.push(slice);
      return Promise.resolve(pixels());
    });
    store.want('view', frames, 5);
    await vi.runAllTimersAsync();
    expect(asked.slice(0, 5)).toEqual([5, 6, 4, 7, 3]);
    expect([...asked].sort((a, b) => a - b)).toEqual(frames.map(({ slice }) => slice));
  });

  it('are asked for again when they did not arrive, and say so meanwhile', async () => {
    let broken = true;
    const store = new SliceStore(() => (broken ? Promise.reject(new Error('gone')) : Promise.resolve(pixels())));
    store.want('view', [frame(5)], 0);
    await vi.advanceTimersByTimeAsync(10);
    expect(store.get(frame(5))).toBeNull();
    broken = false;
    await vi.advanceTimersByTimeAsync(5000);
    expect(store.get(frame(5))?.values.length).toBe(SAGITTAL.rows * SAGITTAL.columns);
  });

  it('are not shown when they are cut off', async () => {
    const store = new SliceStore(() => Promise.resolve({ values: new Uint16Array(7), offset: 0, scale: 1 }));
    store.want('view', [frame(0)], 0);
    await vi.advanceTimersByTimeAsync(10);
    expect(store.get(frame(0))).toBeNull();
  });

  it('are not fetched after it is closed, and again once it is open', async () => {
    const load = vi.fn(() => Promise.resolve(pixels()));
    const store = new SliceStore(load);
    const close = store.open();
    close();
    store.want('view', frames, 0);
    await vi.advanceTimersByTimeAsync(10);
    expect(load).not.toHaveBeenCalled();
    store.open();
    await vi.advanceTimersByTimeAsync(10);
    expect(load).toHaveBeenCalledTimes(frames.length);
  });
});
