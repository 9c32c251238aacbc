import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { PLAIN, boxOf, centerOn, inView, panBy, zoomAt } from './look.ts';
import { SAGITTAL } from './test/study.ts';

const VIEW = { width: 400, height: 300 };

describe('how an image lies in its view', () => {
  it('fits at first, in millimetres and not in pixels', () => {
    const box = boxOf(SAGITTAL, VIEW, PLAIN);
    expect(box.height).toBeCloseTo(300);
    expect(box.width / box.height).toBeCloseTo(66 / 65);
  });

  it('zooms about the pointer: what lies under it stays there', () => {
    const at = fc.record({ x: fc.integer({ min: 110, max: 290 }), y: fc.integer({ min: 60, max: 240 }) });
    fc.assert(
      fc.property(at, fc.double({ min: 0.8, max: 6, noNaN: true }), (point, factor) => {
        const under = (look: typeof PLAIN) => {
          const box = boxOf(SAGITTAL, VIEW, look);
          return [(point.x - box.x) / box.width, (point.y - box.y) / box.height] as const;
        };
        const [x, y] = under(PLAIN);
        const [x2, y2] = under(zoomAt(SAGITTAL, VIEW, PLAIN, point, factor));
        expect(x2).toBeCloseTo(x, 6);
        expect(y2).toBeCloseTo(y, 6);
      }),
    );
  });

  it('pans as far as the pointer moves', () => {
    const zoomed = zoomAt(SAGITTAL, VIEW, PLAIN, { x: 200, y: 150 }, 3);
    const [before, after] = [zoomed, panBy(SAGITTAL, VIEW, zoomed, 25, -10)].map((look) => boxOf(SAGITTAL, VIEW, look));
    expect((after?.x ?? 0) - (before?.x ?? 0)).toBeCloseTo(25);
    expect((after?.y ?? 0) - (before?.y ?? 0)).toBeCloseTo(-10);
  });

  it('never loses the image', () => {
    fc.assert(
      fc.property(fc.integer({ min: -5000, max: 5000 }), fc.integer({ min: -5000, max: 5000 }), (dx, dy) => {
        const box = boxOf(SAGITTAL, VIEW, panBy(SAGITTAL, VIEW, PLAIN, dx, dy));
        expect(box.x).toBeLessThanOrEqual(VIEW.width / 2 + 1e-6);
        expect(box.x + box.width).toBeGreaterThanOrEqual(VIEW.width / 2 - 1e-6);
      }),
    );
  });

  it('brings a place to the middle when it is enlarged, and not otherwise', () => {
    expect(centerOn(SAGITTAL, PLAIN, { x: 3, y: 3 })).toBe(PLAIN);
    const look = centerOn(SAGITTAL, { ...PLAIN, zoom: 4 }, { x: 3, y: 50 });
    const { x, y } = inView(SAGITTAL, boxOf(SAGITTAL, VIEW, look), { x: 3, y: 50 });
    expect([x, y]).toEqual([expect.closeTo(200), expect.closeTo(150)]);
  });
});
