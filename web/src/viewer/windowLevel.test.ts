import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { dragWindow, fillLookup, newLookup } from './windowLevel.ts';

const greyOf = (word: number | undefined): number => (word ?? NaN) & 0xff;

function lookup(center: number, width: number): Uint32Array {
  const table = newLookup();
  fillLookup(table, { center, width });
  return table;
}

describe('the lookup table', () => {
  it('is black below, white above, and half way grey at the centre', () => {
    const table = lookup(500, 401);
    expect([0, 299].map((value) => greyOf(table[value]))).toEqual([0, 0]);
    expect([700, 65535].map((value) => greyOf(table[value]))).toEqual([255, 255]);
    expect(greyOf(table[500])).toBeGreaterThanOrEqual(127);
    expect(greyOf(table[500])).toBeLessThanOrEqual(129);
  });

  it('rises and is opaque grey, whatever the window', () => {
    const center = fc.double({ min: -2000, max: 70000, noNaN: true });
    const width = fc.double({ min: 1, max: 70000, noNaN: true });
    fc.assert(
      fc.property(center, width, (c, w) => {
        const table = lookup(c, w);
        let before = 0;
        for (let value = 0; value < table.length; value += 97) {
          const word = table[value] ?? 0;
          const grey = word & 0xff;
          if (grey < before || word >>> 24 !== 255 || ((word >> 8) & 0xff) !== grey) throw new Error(`at ${value}`);
          before = grey;
        }
      }),
      { numRuns: 40 },
    );
  });

  it('is a threshold when the window is one value wide', () => {
    const table = lookup(100, 1);
    expect([99, 100].map((value) => greyOf(table[value]))).toEqual([0, 255]);
  });
});

describe('a drag', () => {
  const start = { center: 500, width: 1000 };

  it('to the right widens, up brightens', () => {
    expect(dragWindow(start, 50, 0).width).toBeGreaterThan(1000);
    expect(dragWindow(start, 0, -50).center).toBeLessThan(500);
  });

  it('there and back changes the width by nothing', () => {
    expect(dragWindow(dragWindow(start, 80, 0), -80, 0).width).toBeCloseTo(1000);
  });
});
