/** Mouse, wheel and touch on a view, told as what they mean. */

import type { Point } from './geometry.ts';

export const TOOLS = ['window', 'scroll', 'pan', 'zoom'] as const;
export type Tool = (typeof TOOLS)[number];

export interface Gestures {
  /** Of a drag with the main button or one finger. */
  tool: () => Tool;
  onScroll: (slices: number) => void;
  onWindow: (dx: number, dy: number) => void;
  onPan: (dx: number, dy: number) => void;
  onZoom: (factor: number, at: Point) => void;
}

const DRAG_PER_SLICE = 14;
const WHEEL_PER_SLICE = 60;
const LINE = 30;
const ZOOM_DRAG = 150;
const ZOOM_WHEEL = 400;
const MIDDLE = 1;
const RIGHT = 2;

/** Returns what stops it. */
export function listenGestures(element: HTMLElement, gestures: Gestures): () => void {
  const pointers = new Map<number, Point>();
  let tool: Tool = 'window';
  let dragged = 0;
  let wheeled = 0;

  const inside = ({ clientX, clientY }: MouseEvent): Point => {
    const { left, top } = element.getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  };
  const onDown = (event: PointerEvent): void => {
    pointers.set(event.pointerId, inside(event));
    element.setPointerCapture(event.pointerId);
    dragged = 0;
    tool = event.button === MIDDLE || event.shiftKey ? 'pan' : event.button === RIGHT ? 'zoom' : gestures.tool();
    if (event.button === MIDDLE) event.preventDefault(); // no autoscroll
  };
  const onMove = (event: PointerEvent): void => {
    const before = pointers.get(event.pointerId);
    if (before === undefined) return;
    const now = inside(event);
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    pointers.set(event.pointerId, now);
    if (other !== undefined) {
      pinch(before, now, other);
      return;
    }
    const dx = now.x - before.x;
    const dy = now.y - before.y;
    if (tool === 'window') gestures.onWindow(dx, dy);
    else if (tool === 'pan') gestures.onPan(dx, dy);
    else if (tool === 'zoom') gestures.onZoom(Math.exp(-dy / ZOOM_DRAG), centre());
    else {
      dragged += dy;
      const slices = Math.trunc(dragged / DRAG_PER_SLICE);
      dragged -= slices * DRAG_PER_SLICE;
      if (slices !== 0) gestures.onScroll(slices);
    }
  };
  const pinch = (before: Point, now: Point, other: Point): void => {
    const apart = (point: Point): number => Math.max(Math.hypot(point.x - other.x, point.y - other.y), 1);
    gestures.onZoom(apart(now) / apart(before), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
    gestures.onPan((now.x - before.x) / 2, (now.y - before.y) / 2);
  };
  const centre = (): Point => ({ x: element.clientWidth / 2, y: element.clientHeight / 2 });
  const onUp = (event: PointerEvent): void => {
    pointers.delete(event.pointerId);
  };
  const onWheel = (event: WheelEvent): void => {
    event.preventDefault();
    const delta = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : event.deltaY * LINE;
    if (event.ctrlKey) {
      gestures.onZoom(Math.exp(-delta / ZOOM_WHEEL), inside(event)); // also a pinch on a trackpad
      return;
    }
    if (Math.sign(delta) !== Math.sign(wheeled)) wheeled = 0;
    wheeled += delta;
    const slices = Math.trunc(wheeled / WHEEL_PER_SLICE);
    wheeled -= slices * WHEEL_PER_SLICE;
    if (slices !== 0) gestures.onScroll(Math.abs(delta) >= 100 ? Math.sign(slices) : slices); // a notch is a slice
  };
  const onMenu = (event: Event): void => {
    event.preventDefault();
  };

  const stop = new AbortController();
  const { signal } = stop;
  element.addEventListener('pointerdown', onDown, { signal });
  element.addEventListener('pointermove', onMove, { signal });
  element.addEventListener('pointerup', onUp, { signal });
  element.addEventListener('pointercancel', onUp, { signal });
  element.addEventListener('wheel', onWheel, { signal, passive: false });
  element.addEventListener('contextmenu', onMenu, { signal });
  return () => {
    stop.abort();
  };
}

/** The tool that a drag has at first: a finger scrolls, a mouse windows. */
export function firstTool(): Tool {
  return window.matchMedia('(pointer: coarse)').matches ? 'scroll' : 'window';
}
