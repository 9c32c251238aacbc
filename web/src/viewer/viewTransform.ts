/** How an image lies in its view: zoom, pan, window. Pure. */

import type { Series, Window } from '../api/types.ts';
import { clamp } from '../shared/clamp.ts';
import type { Point } from './geometry.ts';

export interface Size {
  width: number;
  height: number;
}

export interface Box extends Point, Size {}

export interface ViewTransform {
  /** 1 fits the image into the view. */
  zoom: number;
  /** The point of the image at the view's centre, mm from the image's centre. */
  center: Point;
  /** Null: as the server proposes. */
  window: Window | null;
}

export const IDENTITY: ViewTransform = { zoom: 1, center: { x: 0, y: 0 }, window: null };
const MOST = 12;
const LEAST = 0.5;

const sizeMm = ({ rows, columns, pixel_mm }: Series): Size => ({
  width: columns * pixel_mm[1],
  height: rows * pixel_mm[0],
});

/** CSS pixels a millimetre. */
export function scaleOf(series: Series, view: Size, transform: ViewTransform): number {
  const { width, height } = sizeMm(series);
  return Math.min(view.width / width, view.height / height) * transform.zoom;
}

/** Where the image lies in the view, CSS pixels. */
export function boxOf(series: Series, view: Size, transform: ViewTransform): Box {
  const scale = scaleOf(series, view, transform);
  const mm = sizeMm(series);
  const width = mm.width * scale;
  const height = mm.height * scale;
  return {
    x: (view.width - width) / 2 - transform.center.x * scale,
    y: (view.height - height) / 2 - transform.center.y * scale,
    width,
    height,
  };
}

/** A pixel's centre in the view. */
export function inView(series: Series, box: Box, { x, y }: Point): Point {
  return {
    x: box.x + ((x + 0.5) / series.columns) * box.width,
    y: box.y + ((y + 0.5) / series.rows) * box.height,
  };
}

export function panBy(series: Series, view: Size, transform: ViewTransform, dx: number, dy: number): ViewTransform {
  const scale = scaleOf(series, view, transform);
  return centered(series, transform, { x: transform.center.x - dx / scale, y: transform.center.y - dy / scale });
}

/** Zooms about a point of the view, which stays where it is. */
export function zoomAt(series: Series, view: Size, transform: ViewTransform, at: Point, factor: number): ViewTransform {
  const zoom = clamp(transform.zoom * factor, LEAST, MOST);
  const before = scaleOf(series, view, transform);
  const after = scaleOf(series, view, { ...transform, zoom });
  const moved = 1 / before - 1 / after;
  return centered(series, { ...transform, zoom }, {
    x: transform.center.x + (at.x - view.width / 2) * moved,
    y: transform.center.y + (at.y - view.height / 2) * moved,
  });
}

/** Brings a pixel to the view's centre if the image is enlarged. */
export function centerOn(series: Series, transform: ViewTransform, { x, y }: Point): ViewTransform {
  if (transform.zoom <= 1) return transform;
  const [row, column] = series.pixel_mm;
  return centered(series, transform, {
    x: (x + 0.5 - series.columns / 2) * column,
    y: (y + 0.5 - series.rows / 2) * row,
  });
}

/** The image never leaves the view. */
function centered(series: Series, transform: ViewTransform, center: Point): ViewTransform {
  const { width, height } = sizeMm(series);
  return {
    ...transform,
    center: { x: clamp(center.x, -width / 2, width / 2), y: clamp(center.y, -height / 2, height / 2) },
  };
}
