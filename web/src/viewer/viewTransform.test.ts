import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { SAGITTAL } from '../test/study.ts';
import { IDENTITY, boxOf, centerOn, inView, panBy, zoomAt } from './viewTransform.ts';

const VIEW = { width: 400, height: 300 };

describe('how an image lies in its view', () => {
  it('fits at first, in millimetres and not in pixels', () => {
    const box = boxOf(SAGITTAL, VIEW, IDENTITY);
    expect(box.height).toBeCloseTo(300);
    expect(box.width / box.height).toBeCloseTo(66 / 65);
  });

  it('zooms about the pointer: what lies under it stays there', () => {
    const at = fc.record({ x: fc.integer({ min: 110, max: 290 }), y: fc.integer({ min: 60, max: 240 }) });
    fc.assert(
      fc.property(at, fc.double({ min: 0.8, max: 6, noNaN: true }), (point, factor) => {
        const under = (transform: typeof IDENTITY) => {
          const box = boxOf(SAGITTAL, VIEW, transform);
          return [(point.x - box.x) / box.width, (point.y - box.y) / box.height] as const;
        };
        const [x, y] = under(IDENTITY);
        const [x2, y2] = under(zoomAt(SAGITTAL, VIEW, IDENTITY, point, factor));
        expect(x2).toBeCloseTo(x, 6);
        expect(y2).toBeCloseTo(y, 6);
      }),
    );
  });

  it('pans as far as the pointer moves', () => {
    const zoomed = zoomAt(SAGITTAL, VIEW, IDENTITY, { x: 200, y: 150 }, 3);
    const [before, after] = [zoomed, panBy(SAGITTAL, VIEW, zoomed, 25, -10)].map((transform) => boxOf(SAGITTAL, VIEW, transform));
    expect((after?.x ?? 0) - (before?.x ?? 0)).toBeCloseTo(25);
    expect((after?.y ?? 0) - (before?.y ?? 0)).toBeCloseTo(-10);
  });

  it('never loses the image', () => {
    fc.assert(
      fc.property(fc.integer({ min: -5000, max: 5000 }), fc.integer({ min: -5000, max: 5000 }), (dx, dy) => {
        const box = boxOf(SAGITTAL, VIEW, panBy(SAGITTAL, VIEW, IDENTITY, dx, dy));
        expect(box.x).toBeLessThanOrEqual(VIEW.width / 2 + 1e-6);
        expect(box.x + box.width).toBeGreaterThanOrEqual(VIEW.width / 2 - 1e-6);
      }),
    );
  });

  it('brings a place to the middle when it is enlarged, and not otherwise', () => {
    expect(centerOn(SAGITTAL, IDENTITY, { x: 3, y: 3 })).toBe(IDENTITY);
    const transform = centerOn(SAGITTAL, { ...IDENTITY, zoom: 4 }, { x: 3, y: 50 });
    const { x, y } = inView(SAGITTAL, boxOf(SAGITTAL, VIEW, transform), { x: 3, y: 50 });
    expect([x, y]).toEqual([expect.closeTo(200), expect.closeTo(150)]);
  });
});
