/** A crude spine as a function of the patient's point, so that all planes of the stand-in show the same thing. */

import type { Vector3 } from '../src/api/types.ts';

export const DISC_Z = [70, 36, 2, -32, -64] as const;
const SPACING = 34;
const DISC_HALF = 5;
const BODY_DEPTH = 17;
const BODY_WIDTH = 23;

/** Front to back position of the canal's middle at a height: a gentle lordosis. */
export const canalY = (z: number): number => 24 - 14 * Math.cos((z + 12) / 62);

/** Signal of a point, 0 to 1; `bright` is T2's fluid, dark on T1. */
export function tissue([x, y, z]: Vector3, weighting: 'T1' | 'T2'): number {
  const t2 = weighting === 'T2';
  const canal = canalY(z);
  const behind = y - canal;
  if (Math.hypot(x / 165, (y - 5) / 105) > 1) return 0.01;
  if (Math.hypot(x / 155, (y - 2) / 94) > 1) return 0.85;
  const narrow = Math.exp(-(((z - DISC_Z[3]) / 7) ** 2)) * 4.5;
  if (Math.hypot(x / 11, behind / (8 - narrow)) < 1) return t2 ? 0.95 - 0.3 * Math.exp(-((x / 3) ** 2)) : 0.2;
  const fromBody = behind + 10 + BODY_DEPTH;
  const body = Math.max((Math.abs(x) / BODY_WIDTH) ** 4 + (Math.abs(fromBody) / BODY_DEPTH) ** 4, 0);
  if (body < 1 && z > -80 && z < 120) {
    const disc = DISC_Z.concat([104] as never).findIndex((at) => Math.abs(z - at) < DISC_HALF);
    if (disc >= 0) return t2 ? 0.35 + (disc < 3 ? 0.25 * (1 - body) : -0.1) : 0.35;
    return body > 0.86 ? 0.15 : t2 ? 0.5 : 0.62;
  }
  const toSpinous = ((((z - DISC_Z[2] + SPACING / 2) % SPACING) + SPACING) % SPACING) - SPACING / 2;
  if (Math.abs(x) < 5 && behind > 12 && behind < 38 && Math.abs(toSpinous) < 8) return 0.5;
  if (Math.hypot((Math.abs(x) - 17) / 6, (behind - 2) / 8, toSpinous / 13) < 1) return 0.45;
  if (Math.hypot((Math.abs(x) - 42) / 20, (fromBody - 8) / 22) < 1) return 0.26;
  if (Math.abs(x) > 6 && Math.abs(x) < 62 && behind > 13 && behind < 48) return 0.24;
  return t2 ? 0.6 : 0.66;
}
