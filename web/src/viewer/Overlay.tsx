import { useId } from 'react';

import type { Cell, Heat, Series, Task, Vector3 } from '../api/types.ts';
import { sameCell, severityClass, severityOf, type CellKey } from '../shared/grades.ts';
import { edgeLetters, geometryOf, isInside, toPixel, type Segment } from './geometry.ts';
import { inView, type Box, type Size } from './viewTransform.ts';

export interface ReferenceLine {
  id: string;
  segment: Segment;
}

export interface OverlayData {
  task: Task;
  lines: readonly ReferenceLine[];
  /** The cells whose place lies in this series; empty while the marks are off. */
  marks: readonly Cell[];
  chosen: CellKey | null;
  /** The chosen cell's place in the patient. */
  focus: Vector3 | null;
  heat: Heat | null;
  onChoose: (cell: CellKey) => void;
}

interface Props {
  series: Series;
  slice: number;
  box: Box;
  size: Size;
  data: OverlayData;
}

const RING = 9;
const NEAR_SLICES = 2;
const OFF_PLANE_MM = 12;
const BAR_MM = 50;

/** What is drawn over an image. All of it can be read elsewhere too, so it is hidden from screen readers. */
export function Overlay({ series, slice, box, size, data }: Props) {
  return (
    <svg className="overlay" width={size.width} height={size.height} aria-hidden="true">
      <HeatMap series={series} slice={slice} box={box} heat={data.heat} />
      {data.lines.map(({ id, segment: [start, end] }) => {
        const [from, to] = [inView(series, box, start), inView(series, box, end)];
        return <line key={id} className="reference" x1={from.x} y1={from.y} x2={to.x} y2={to.y} />;
      })}
      <Focus series={series} slice={slice} box={box} data={data} />
      <Marks series={series} slice={slice} box={box} data={data} />
      {series.geometry_known && <Letters series={series} slice={slice} size={size} />}
      <ScaleBar series={series} box={box} size={size} />
    </svg>
  );
}

type Placed = Omit<Props, 'size'>;

function Marks({ series, slice, box, data }: Placed) {
  return data.marks.map((cell) => {
    const { place } = cell;
    if (place === null || Math.abs(place.slice - slice) > NEAR_SLICES) return null;
    const { x, y } = inView(series, box, place);
    const here = place.slice === slice;
    const chosen = sameCell(cell, data.chosen);
    const outward = data.marks.some(
      (other) => other !== cell && other.level === cell.level && other.place?.slice === place.slice && other.place.x > place.x,
    );
    const shade = severityClass(severityOf(data.task, cell.grade));
    return (
      <g
        key={`${cell.condition} ${cell.level}`}
        className={`place ${shade} ${here ? 'here' : 'near'} ${chosen ? 'chosen' : ''} ${cell.place_uncertain ? 'uncertain' : ''}`}
        onPointerDown={(event) => event.stopPropagation()}
        onClick={() => data.onChoose(cell)}
      >
        <circle className="touch" cx={x} cy={y} r={RING * 2} />
        <circle className="ring" cx={x} cy={y} r={here ? RING : RING / 3} />
        <text x={x + (outward ? -1 : 1) * (RING + 5)} y={y + 4} textAnchor={outward ? 'end' : 'start'}>
          {cell.level}
          {cell.place_uncertain && ' ?'}
        </text>
      </g>
    );
  });
}

/** A cross at the chosen place in the views that do not hold it themselves. */
function Focus({ series, slice, box, data }: Placed) {
  if (data.focus === null || !series.geometry_known) return null;
  const point = toPixel(series, slice, data.focus);
  const marked = data.marks.some((cell) => sameCell(cell, data.chosen) && cell.place?.slice === slice);
  if (marked || !isInside(series, point) || Math.abs(point.offPlane) > OFF_PLANE_MM) return null;
  const { x, y } = inView(series, box, point);
  return <path className="focus" d={`M${x - 12} ${y}h8m8 0h8M${x} ${y - 12}v8m0 8v8`} />;
}

function HeatMap({ series, slice, box, heat }: Omit<Placed, 'data'> & { heat: Heat | null }) {
  const id = useId();
  if (heat?.series_id !== series.id || heat.slice !== slice) return null;
  const { x, y } = inView(series, box, heat);
  const width = (heat.side_mm / series.pixel_mm[1] / series.columns) * box.width;
  const height = (heat.side_mm / series.pixel_mm[0] / series.rows) * box.height;
  return (
    <g className="heat-map">
      <filter id={id} colorInterpolationFilters="sRGB">
        <feColorMatrix values="0 0 0 0 1  0.75 0 0 0 0.15  0 0 0 0 0.1  0.85 0 0 0 -0.12" />
      </filter>
      <image
        href={`data:image/png;base64,${heat.png}`}
        x={x - width / 2}
        y={y - height / 2}
        width={width}
        height={height}
        preserveAspectRatio="none"
        filter={`url(#${id})`}
      />
      <rect x={x - width / 2} y={y - height / 2} width={width} height={height} />
    </g>
  );
}

function Letters({ series, slice, size: { width, height } }: { series: Series; slice: number; size: Size }) {
  const { left, right, top, bottom } = edgeLetters(geometryOf(series, slice));
  return (
    <g className="letters">
      <text x={8} y={height / 2 + 5}>
        {left}
      </text>
      <text x={width - 22} y={height / 2 + 5} textAnchor="end">
        {right}
      </text>
      <text x={width / 2} y={18} textAnchor="middle">
        {top}
      </text>
      <text x={width / 2} y={height - 8} textAnchor="middle">
        {bottom}
      </text>
    </g>
  );
}

function ScaleBar({ series, box, size }: { series: Series; box: Box; size: Size }) {
  const length = (BAR_MM / (series.columns * series.pixel_mm[1])) * box.width;
  if (length > size.width / 2) return null;
  const [x, y] = [size.width - 24, size.height - 10];
  return (
    <g className="scale-bar">
      <path d={`M${x - length} ${y - 5}v5h${length}v-5`} />
      <text x={x - length / 2} y={y - 4} textAnchor="middle">
        5 cm
      </text>
    </g>
  );
}
