/** Patient coordinates (DICOM, mm; +x left, +y back, +z head) and pixels of slices. */

import type { Series, SliceGeometry, Vector3 } from '../api/types.ts';

export interface Point {
  x: number;
  y: number;
}

/** A point in a slice's pixels, and how far the patient's point lies off the slice's plane, mm. */
export interface Projection extends Point {
  offPlane: number;
}

export type Segment = readonly [Point, Point];

const PARALLEL = 1e-4;

export const dot = (a: Vector3, b: Vector3): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
export const subtract = (a: Vector3, b: Vector3): Vector3 => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
export const cross = (a: Vector3, b: Vector3): Vector3 => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];

/** @throws RangeError The series has no such slice. */
export function geometryOf(series: Series, slice: number): SliceGeometry {
  const geometry = series.geometry[slice];
  if (geometry === undefined) throw new RangeError(`series ${series.id} has no slice ${slice}`);
  return geometry;
}

export function toPatient(series: Series, slice: number, { x, y }: Point): Vector3 {
  const { origin_mm, row_dir, column_dir } = geometryOf(series, slice);
  const across = x * series.pixel_mm[1];
  const down = y * series.pixel_mm[0];
  return [
    origin_mm[0] + across * row_dir[0] + down * column_dir[0],
    origin_mm[1] + across * row_dir[1] + down * column_dir[1],
    origin_mm[2] + across * row_dir[2] + down * column_dir[2],
  ];
}

/** Where a patient's point falls on a slice, dropped at a right angle. */
export function toPixel(series: Series, slice: number, mm: Vector3): Projection {
  const { origin_mm, row_dir, column_dir } = geometryOf(series, slice);
  const from = subtract(mm, origin_mm);
  return {
    x: dot(from, row_dir) / series.pixel_mm[1],
    y: dot(from, column_dir) / series.pixel_mm[0],
    offPlane: dot(from, cross(row_dir, column_dir)),
  };
}

export function isInside(series: Series, { x, y }: Point): boolean {
  return x >= -0.5 && y >= -0.5 && x <= series.columns - 0.5 && y <= series.rows - 0.5;
}

/** Distance of a patient's point from a slice's rectangle, mm. */
export function distance(series: Series, slice: number, mm: Vector3): number {
  const { x, y, offPlane } = toPixel(series, slice, mm);
  const beside = Math.max(0, -x, x - (series.columns - 1)) * series.pixel_mm[1];
  const below = Math.max(0, -y, y - (series.rows - 1)) * series.pixel_mm[0];
  return Math.hypot(offPlane, beside, below);
}

/**
 * The line in which one slice cuts another, in the other's pixels and no longer than either slice;
 * null where they are parallel or do not meet.
 */
export function referenceLine(of: Series, ofSlice: number, on: Series, onSlice: number): Segment | null {
  const a = geometryOf(of, ofSlice);
  const b = geometryOf(on, onSlice);
  const normalA = cross(a.row_dir, a.column_dir);
  const normalB = cross(b.row_dir, b.column_dir);
  if (Math.hypot(...cross(normalA, normalB)) < PARALLEL) return null;
  const right = of.columns - 0.5;
  const bottom = of.rows - 0.5;
  const outline: Point[] = [
    { x: -0.5, y: -0.5 },
    { x: right, y: -0.5 },
    { x: right, y: bottom },
    { x: -0.5, y: bottom },
  ];
  const corners = outline.map((corner) => toPixel(on, onSlice, toPatient(of, ofSlice, corner)));
  const crossings: Point[] = [];
  corners.forEach((start, index) => {
    const end = corners[(index + 1) % corners.length];
    if (end === undefined || start.offPlane > 0 === end.offPlane > 0) return;
    const share = start.offPlane / (start.offPlane - end.offPlane);
    crossings.push({ x: start.x + share * (end.x - start.x), y: start.y + share * (end.y - start.y) });
  });
  const [first, second] = crossings;
  return first && second ? clip([first, second], on) : null;
}

/** The part of a segment that lies in a slice's outline (Liang and Barsky 1984). */
export function clip([start, end]: Segment, { rows, columns }: Series): Segment | null {
  const dx = end.x - start.x;
  const dy = end.y - start.y;
  let from = 0;
  let to = 1;
  const sides: [number, number][] = [
    [-dx, start.x + 0.5],
    [dx, columns - 0.5 - start.x],
    [-dy, start.y + 0.5],
    [dy, rows - 0.5 - start.y],
  ];
  for (const [slope, room] of sides) {
    if (slope === 0) {
      if (room < 0) return null;
    } else if (slope < 0) from = Math.max(from, room / slope);
    else to = Math.min(to, room / slope);
  }
  if (from > to) return null;
  const at = (share: number): Point => ({ x: start.x + share * dx, y: start.y + share * dy });
  return [at(from), at(to)];
}

/** The letters at a slice's edges: R or L, A or P, H (head) or F (feet). */
export interface EdgeLetters {
  left: string;
  right: string;
  top: string;
  bottom: string;
}

export function edgeLetters({ row_dir, column_dir }: SliceGeometry): EdgeLetters {
  return {
    right: letter(row_dir, 1),
    left: letter(row_dir, -1),
    bottom: letter(column_dir, 1),
    top: letter(column_dir, -1),
  };
}

function letter(direction: Vector3, sign: number): string {
  const names = ['LR', 'PA', 'HF'];
  const axis = [0, 1, 2].reduce((best, next) =>
    Math.abs(direction[next] ?? 0) > Math.abs(direction[best] ?? 0) ? next : best,
  );
  return names[axis]?.charAt((direction[axis] ?? 0) * sign > 0 ? 0 : 1) ?? '';
}
