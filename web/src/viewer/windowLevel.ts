/** Window and level: which values are black, which are white. */

import type { Window } from '../api/types.ts';
import { clamp } from '../shared/clamp.ts';

const VALUES = 1 << 16;
const OPAQUE = 0xff000000;
const GREY = 0x010101;
/** Pixels of drag that widen the window by its own width. */
const DRAG = 250;

/**
 * Fills a table from 16-bit values to opaque grey pixels (as a little-endian RGBA word), linear as in
 * DICOM PS3.3 C.11.2.1.2.1.
 */
export function fillLookup(table: Uint32Array, { center, width }: Window): void {
  const span = Math.max(width, 1);
  const black = center - 0.5 - (span - 1) / 2;
  const white = center - 0.5 + (span - 1) / 2;
  const first = clamp(Math.floor(black) + 1, 0, VALUES);
  const last = clamp(Math.ceil(white), first, VALUES);
  table.fill(OPAQUE, 0, first);
  for (let value = first; value < last; value++) {
    const grey = clamp(Math.round(((value - (center - 0.5)) / (span - 1) + 0.5) * 255), 0, 255);
    table[value] = OPAQUE + grey * GREY;
  }
  table.fill(OPAQUE + 255 * GREY, last);
}

export function newLookup(): Uint32Array {
  return new Uint32Array(VALUES);
}

/** The window after a drag: to the right wider (less contrast), up brighter. */
export function dragWindow(window: Window, dx: number, dy: number): Window {
  return {
    width: clamp(window.width * Math.exp(dx / DRAG), 1, 2 * VALUES),
    center: clamp(window.center + (dy / DRAG) * Math.max(window.width, 50), -VALUES, 2 * VALUES),
  };
}
