/** The stand-in's images: stacks through the spine of `spine.ts`, and grey PNGs. */

import { crc32, deflateSync } from 'node:zlib';

import type { Plane, Series, Vector3, Weighting } from '../src/api/types.ts';
import { toPatient } from '../src/viewer/geometry.ts';
import { tissue } from './spine.ts';

const WHITE = 1200;

interface Stack {
  id: string;
  title: string;
  plane: Plane;
  weighting: Weighting;
  slices: number;
  size: number;
}

/** A stack over the middle of the body; slices run toward the patient's left or head. */
export function makeSeries({ id, title, plane, weighting, slices, size }: Stack): Series {
  const sagittal = plane === 'sagittal';
  const [side, gap] = sagittal ? [280, 60 / slices] : [200, 180 / slices];
  const origin = (slice: number): Vector3 => {
    const along = (slice - (slices - 1) / 2) * gap;
    return sagittal ? [along, -110, 150] : [-100, -95, along];
  };
  return {
    id,
    title,
    plane,
    weighting,
    rows: size,
    columns: size,
    slices,
    window: { center: WHITE / 2, width: WHITE },
    pixel_mm: [side / size, side / size],
    geometry_known: true,
    geometry: Array.from({ length: slices }, (_, slice) => ({
      origin_mm: origin(slice),
      row_dir: sagittal ? [0, 1, 0] : [1, 0, 0],
      column_dir: sagittal ? [0, 0, -1] : [0, 1, 0],
    })),
  };
}

export function drawSlice(series: Series, slice: number): Buffer {
  const values = new Uint16Array(series.rows * series.columns);
  let noise = slice + 1;
  for (let index = 0; index < values.length; index++) {
    const point = { x: index % series.columns, y: Math.floor(index / series.columns) };
    noise = (noise * 48271) % 0x7fffffff;
    const grain = (noise / 0x7fffffff - 0.5) * 0.05;
    const signal = tissue(toPatient(series, slice, point), series.weighting === 'T1' ? 'T1' : 'T2') + grain;
    values[index] = Math.max(0, Math.round(signal * WHITE));
  }
  return Buffer.from(values.buffer);
}

/** A blob as an 8-bit grey PNG, base64. */
export function blobPng(size: number): string {
  const lines = Buffer.alloc((size + 1) * size);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const away = Math.hypot(x - size * 0.55, y - size * 0.5) / (size / 4);
      lines[y * (size + 1) + x + 1] = Math.round(255 * Math.exp(-(away ** 2)));
    }
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(size, 0);
  head.writeUInt32BE(size, 4);
  head[8] = 8;
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const parts = [chunk('IHDR', head), chunk('IDAT', deflateSync(lines)), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([signature, ...parts]).toString('base64');
}

function chunk(kind: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(kind), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}
