import { useEffect, useEffectEvent, useLayoutEffect, useRef, useState, useSyncExternalStore } from 'react';

import { clamp } from '../shared/clamp.ts';
import { listenGestures, type Tool } from './gestures.ts';
import type { Frame, SeriesStack } from './layout.ts';
import { Overlay, type OverlayData } from './Overlay.tsx';
import { Renderer } from './renderer.ts';
import type { SliceStore } from './sliceStore.ts';
import { SliceTrack } from './SliceTrack.tsx';
import { boxOf, panBy, zoomAt, type ViewTransform, type Size } from './viewTransform.ts';
import { dragWindow } from './windowLevel.ts';

interface Props {
  stack: SeriesStack;
  at: number;
  frame: Frame;
  store: SliceStore;
  transform: ViewTransform;
  tool: Tool;
  overlay: OverlayData;
  onTransform: (change: (transform: ViewTransform) => ViewTransform) => void;
  onScroll: (by: number) => void;
  onGo: (frame: number) => void;
  onActive: () => void;
}

const PAGE = 5;
const KEY_ZOOM = 1.25;

/** One image: canvas below, marks above. As a control it is a slider over the slices. */
export function Viewport({ stack, at, frame, store, transform, tool, overlay, onTransform, onScroll, onGo, onActive }: Props) {
  const element = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const painter = useRef<Renderer | null>(null);
  const size = useSize(element);
  const pixels = useSyncExternalStore(store.subscribe, () => store.get(frame));
  const { series } = frame;
  const box = boxOf(series, size, transform);
  const shownWindow = transform.window ?? series.window;

  useEffect(() => store.want(stack.slot ?? stack.id, stack.frames, at), [store, stack, at]);

  const { rows, columns } = series;
  const { x, y, width, height } = box;
  useLayoutEffect(() => {
    if (canvas.current === null) return;
    painter.current ??= new Renderer(canvas.current);
    painter.current.paint({ pixels: pixels ?? null, rows, columns, window: shownWindow, box: { x, y, width, height } });
  }, [pixels, rows, columns, shownWindow, x, y, width, height, size]);
  useEffect(
    () => () => {
      painter.current?.close();
      painter.current = null;
    },
    [],
  );

  const currentTool = useEffectEvent(() => tool);
  const scroll = useEffectEvent(onScroll);
  const drag = useEffectEvent((dx: number, dy: number) =>
    onTransform((old) => ({ ...old, window: dragWindow(old.window ?? series.window, dx, dy) })),
  );
  const pan = useEffectEvent((dx: number, dy: number) => onTransform((old) => panBy(series, size, old, dx, dy)));
  const zoom = useEffectEvent((factor: number, point: { x: number; y: number }) =>
    onTransform((old) => zoomAt(series, size, old, point, factor)),
  );
  useEffect(() => {
    if (element.current === null) return;
    return listenGestures(element.current, {
      tool: () => currentTool(),
      onScroll: (by) => scroll(by),
      onWindow: (dx, dy) => drag(dx, dy),
      onPan: (dx, dy) => pan(dx, dy),
      onZoom: (factor, point) => zoom(factor, point),
    });
  }, []);

  const last = stack.frames.length - 1;
  const onKey = (event: React.KeyboardEvent): void => {
    const centre = { x: size.width / 2, y: size.height / 2 };
    const actions: Record<string, () => void> = {
      ArrowUp: () => onScroll(-1),
      ArrowLeft: () => onScroll(-1),
      ArrowDown: () => onScroll(1),
      ArrowRight: () => onScroll(1),
      PageUp: () => onScroll(-PAGE),
      PageDown: () => onScroll(PAGE),
      Home: () => onGo(0),
      End: () => onGo(last),
      '+': () => onTransform((old) => zoomAt(series, size, old, centre, KEY_ZOOM)),
      '=': () => onTransform((old) => zoomAt(series, size, old, centre, KEY_ZOOM)),
      '-': () => onTransform((old) => zoomAt(series, size, old, centre, 1 / KEY_ZOOM)),
    };
    const action = actions[event.key];
    if (action === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  };

  return (
    <div
      ref={element}
      className="viewport"
      role="slider"
      tabIndex={0}
      aria-label={`${stack.title}, slice`}
      aria-orientation="vertical"
      aria-valuemin={1}
      aria-valuemax={last + 1}
      aria-valuenow={at + 1}
      aria-valuetext={`slice ${at + 1} of ${last + 1}`}
      onKeyDown={onKey}
      onFocus={onActive}
      onPointerDown={onActive}
    >
      <canvas ref={canvas} />
      {pixels == null && (
        <p className="no-slice">{pixels === null ? 'This slice did not arrive; asking again…' : 'Loading…'}</p>
      )}
      <Overlay series={series} slice={frame.slice} box={box} size={size} data={overlay} />
      <p className="values" aria-hidden="true">
        {windowWords(shownWindow, pixels)}
      </p>
      <SliceTrack at={at} last={last} onGo={(to) => onGo(clamp(to, 0, last))} />
    </div>
  );
}

/** In the scanner's values. */
function windowWords(
  { center, width }: { center: number; width: number },
  pixels: { offset: number; scale: number } | null | undefined,
): string {
  const { offset, scale } = pixels ?? { offset: 0, scale: 1 };
  return `W ${Math.round(width * scale)} L ${Math.round(center * scale + offset)}`;
}

function useSize(element: React.RefObject<HTMLDivElement | null>): Size {
  const [size, setSize] = useState<Size>({ width: 1, height: 1 });
  useLayoutEffect(() => {
    const current = element.current;
    if (current === null) return;
    const observer = new ResizeObserver(() => {
      setSize({ width: Math.max(current.clientWidth, 1), height: Math.max(current.clientHeight, 1) });
    });
    observer.observe(current);
    return () => observer.disconnect();
  }, [element]);
  return size;
}
