import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { Series, Vector3 } from '../api/types.ts';
import { AXIAL, SAGITTAL } from '../test/study.ts';
import { clip, cross, distance, dot, edgeLetters, geometryOf, referenceLine, toPatient, toPixel } from './geometry.ts';

const number = (most: number) => fc.double({ min: -most, max: most, noNaN: true });

/** A series of one slice that lies anyhow in space. */
const tilted: fc.Arbitrary<Series> = fc
  .record({
    origin: fc.tuple(number(300), number(300), number(300)),
    turn: fc.tuple(number(Math.PI), number(Math.PI), number(Math.PI)),
    spacing: fc.tuple(fc.double({ min: 0.2, max: 2, noNaN: true }), fc.double({ min: 0.2, max: 2, noNaN: true })),
    rows: fc.integer({ min: 8, max: 600 }),
    columns: fc.integer({ min: 8, max: 600 }),
  })
  .map(({ origin, turn: [a, b, c], spacing, rows, columns }) => {
    const rotate = ([x, y, z]: Vector3): Vector3 => {
      const [x1, y1] = [x * Math.cos(a) - y * Math.sin(a), x * Math.sin(a) + y * Math.cos(a)];
      const [y2, z2] = [y1 * Math.cos(b) - z * Math.sin(b), y1 * Math.sin(b) + z * Math.cos(b)];
      return [x1 * Math.cos(c) - z2 * Math.sin(c), y2, x1 * Math.sin(c) + z2 * Math.cos(c)];
    };
    return {
      ...SAGITTAL,
      rows,
      columns,
      slices: 1,
      pixel_mm: spacing,
      geometry: [{ origin_mm: origin, row_dir: rotate([1, 0, 0]), column_dir: rotate([0, 1, 0]) }],
    };
  });

describe('pixels and patient coordinates', () => {
  it('places a pixel as DICOM does', () => {
    expect(toPatient(SAGITTAL, 6, { x: 16, y: 40 })).toEqual([4, 0, -8]);
  });

  it('turn into each other, in any plane', () => {
    fc.assert(
      fc.property(tilted, number(1000), number(1000), (series, x, y) => {
        const back = toPixel(series, 0, toPatient(series, 0, { x, y }));
        expect(back.x).toBeCloseTo(x, 5);
        expect(back.y).toBeCloseTo(y, 5);
        expect(back.offPlane).toBeCloseTo(0, 5);
      }),
    );
  });

  it('measures how far a point lies off a slice, or beside it', () => {
    expect(distance(SAGITTAL, 5, [7, 0, 0])).toBeCloseTo(7);
    expect(distance(SAGITTAL, 5, [0, 0, 42])).toBeCloseTo(10);
    expect(distance(SAGITTAL, 5, [3, 36, 0])).toBeCloseTo(5);
  });

  it('names a slice that there is not', () => {
    expect(() => geometryOf(SAGITTAL, 11)).toThrow('series s0 has no slice 11');
  });
});

describe('reference lines', () => {
  it('are where the axial slice cuts the sagittal one', () => {
    const [start, end] = referenceLine(AXIAL, 3, SAGITTAL, 5) ?? [];
    expect([start?.y, end?.y]).toEqual([22, 22]);
    expect(Math.min(start?.x ?? NaN, end?.x ?? NaN)).toBeCloseTo(-0.25);
    expect(Math.max(start?.x ?? NaN, end?.x ?? NaN)).toBeCloseTo(32.25);
  });

  it('are absent between parallel slices and slices that do not meet', () => {
    expect(referenceLine(SAGITTAL, 4, SAGITTAL, 5)).toBeNull();
    const far: Series = { ...AXIAL, geometry: AXIAL.geometry.map((g) => ({ ...g, origin_mm: [-32, -32, 500] as const })) };
    expect(referenceLine(far, 0, SAGITTAL, 5)).toBeNull();
  });

  it('lie in both slices, however these lie', () => {
    fc.assert(
      fc.property(tilted, tilted, (a, b) => {
        const line = referenceLine(a, 0, b, 0);
        for (const point of line ?? []) {
          expect(distance(b, 0, toPatient(b, 0, point))).toBeLessThanOrEqual(Math.max(...b.pixel_mm));
          expect(distance(a, 0, toPatient(b, 0, point))).toBeLessThanOrEqual(Math.hypot(...a.pixel_mm) + 1e-3);
        }
      }),
    );
  });

  it('are cut to the image, and not moved', () => {
    fc.assert(
      fc.property(number(100), number(100), number(100), number(100), (x1, y1, x2, y2) => {
        const cut = clip([{ x: x1, y: y1 }, { x: x2, y: y2 }], SAGITTAL);
        for (const { x, y } of cut ?? []) {
          expect(Math.abs((x - x1) * (y2 - y1) - (y - y1) * (x2 - x1))).toBeLessThan(1e-6 * 4e4);
          expect(x >= -0.5 - 1e-9 && x <= SAGITTAL.columns - 0.5 + 1e-9).toBe(true);
          expect(y >= -0.5 - 1e-9 && y <= SAGITTAL.rows - 0.5 + 1e-9).toBe(true);
        }
      }),
    );
  });
});

describe('letters at the edges', () => {
  it('tell a sagittal and an axial slice', () => {
    expect(edgeLetters(geometryOf(SAGITTAL, 0))).toEqual({ left: 'A', right: 'P', top: 'H', bottom: 'F' });
    expect(edgeLetters(geometryOf(AXIAL, 0))).toEqual({ left: 'R', right: 'L', top: 'A', bottom: 'P' });
  });
});

describe('vectors', () => {
  it('cross at a right angle', () => {
    const vector = fc.tuple(number(10), number(10), number(10));
    fc.assert(
      fc.property(vector, vector, (a, b) => {
        expect(dot(cross(a, b), a)).toBeCloseTo(0, 6);
        expect(dot(cross(a, b), b)).toBeCloseTo(0, 6);
      }),
    );
  });
});
