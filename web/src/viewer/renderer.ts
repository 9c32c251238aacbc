/** Paints 16-bit slices on a canvas through a lookup table, at most once a frame of the display. */

import type { Pixels } from '../api/client.ts';
import type { Window } from '../api/types.ts';
import { fillLookup, newLookup } from './windowLevel.ts';

export interface Picture {
  pixels: Pixels | null;
  rows: number;
  columns: number;
  window: Window;
  /** Of the image on the canvas, CSS pixels. */
  box: { x: number; y: number; width: number; height: number };
}

export class Renderer {
  private readonly lookup = newLookup();
  private readonly buffer = document.createElement('canvas');
  private words: Uint32Array | null = null;
  private image: ImageData | null = null;
  private shown: { pixels: Pixels | null; window: Window } | null = null;
  private picture: Picture | null = null;
  private request = 0;

  constructor(private readonly canvas: HTMLCanvasElement) {}

  paint(picture: Picture): void {
    this.picture = picture;
    if (this.request === 0) this.request = requestAnimationFrame(() => this.draw());
  }

  close(): void {
    cancelAnimationFrame(this.request);
  }

  private draw(): void {
    this.request = 0;
    const { picture, canvas } = this;
    const context = canvas.getContext('2d', { alpha: false });
    if (picture === null || context === null) return;
    const ratio = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * ratio);
    const height = Math.round(canvas.clientHeight * ratio);
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = '#000';
    context.fillRect(0, 0, width, height);
    if (picture.pixels !== null) {
      this.fillBuffer(picture, picture.pixels);
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.imageSmoothingQuality = 'high';
      const { x, y, width: across, height: down } = picture.box;
      context.drawImage(this.buffer, x, y, across, down);
    }
  }

  private fillBuffer({ rows, columns, window }: Picture, pixels: Pixels): void {
    if (this.shown?.pixels === pixels && this.shown.window === window) return;
    if (this.image?.width !== columns || this.image.height !== rows) {
      this.buffer.width = columns;
      this.buffer.height = rows;
      this.image = new ImageData(columns, rows);
      this.words = new Uint32Array(this.image.data.buffer);
    }
    if (this.shown?.window !== window) fillLookup(this.lookup, window);
    const { lookup, words } = this;
    const { values } = pixels;
    if (words === null) return;
    for (let index = 0; index < values.length; index++) words[index] = lookup[values[index] ?? 0] ?? 0;
    this.buffer.getContext('2d')?.putImageData(this.image, 0, 0);
    this.shown = { pixels, window };
  }
}
