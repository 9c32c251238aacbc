/** The slices of a study: fetched before they are asked for, nearest first, and kept within a bound of memory. */

import { getSlice, type Pixels } from '../api/client.ts';
import type { Frame } from './layout.ts';

const AT_ONCE = 4;
const AHEAD = 40;
const KEPT_BYTES = 384e6;
const RETRY_MS = 3000;

type Load = (series: string, slice: number, signal: AbortSignal) => Promise<Pixels>;

const keyOf = ({ series, slice }: Frame): string => `${series.id}/${slice}`;

export class SliceStore {
  private readonly kept = new Map<string, Pixels>();
  private readonly failed = new Set<string>();
  private readonly underWay = new Set<string>();
  private readonly wanted = new Map<string, readonly Frame[]>();
  private readonly listeners = new Set<() => void>();
  private abort = new AbortController();
  private bytes = 0;

  constructor(private readonly load: Load) {}

  static ofStudy(id: string): SliceStore {
    return new SliceStore((series, slice, signal) => getSlice(id, series, slice, signal));
  }

  /** The pixels, undefined while they are on their way, null while they could not be had. */
  get(frame: Frame): Pixels | null | undefined {
    const key = keyOf(frame);
    return this.kept.get(key) ?? (this.failed.has(key) ? null : undefined);
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** A view shows a frame: it is fetched first, then its neighbours outward. */
  want(view: string, frames: readonly Frame[], at: number): void {
    const order: Frame[] = [];
    for (let away = 0; away <= AHEAD; away++) {
      for (const index of away === 0 ? [at] : [at + away, at - away]) {
        const frame = frames[index];
        if (frame !== undefined) order.push(frame);
      }
    }
    this.wanted.set(view, order);
    this.fill();
  }

  /** Returns what closes it; it can be opened again. */
  open(): () => void {
    if (this.abort.signal.aborted) this.abort = new AbortController();
    this.fill();
    return () => {
      this.abort.abort();
    };
  }

  private fill(): void {
    while (this.underWay.size < AT_ONCE && !this.abort.signal.aborted) {
      const frame = this.next();
      if (frame === undefined) return;
      void this.fetch(frame);
    }
  }

  /** Of all views' frames that are missing, the one nearest to what its view shows. */
  private next(): Frame | undefined {
    let best: Frame | undefined;
    let least = Infinity;
    for (const frames of this.wanted.values()) {
      const index = frames.findIndex((frame) => {
        const key = keyOf(frame);
        return !this.kept.has(key) && !this.underWay.has(key) && !this.failed.has(key);
      });
      if (index >= 0 && index < least) [best, least] = [frames[index], index];
    }
    return best;
  }

  private async fetch(frame: Frame): Promise<void> {
    const key = keyOf(frame);
    const { signal } = this.abort;
    this.underWay.add(key);
    try {
      const pixels = await this.load(frame.series.id, frame.slice, signal);
      if (pixels.values.length !== frame.series.rows * frame.series.columns) throw new RangeError('cut slice');
      this.kept.set(key, pixels);
      this.bytes += pixels.values.byteLength;
      this.evict();
    } catch {
      if (signal.aborted) return;
      this.failed.add(key);
      setTimeout(() => {
        this.failed.delete(key);
        this.fill();
      }, RETRY_MS);
    } finally {
      this.underWay.delete(key);
    }
    this.listeners.forEach((listener) => {
      listener();
    });
    this.fill();
  }

  private evict(): void {
    if (this.bytes <= KEPT_BYTES) return;
    const wanted = new Set([...this.wanted.values()].flat().map(keyOf));
    for (const [key, { values }] of this.kept) {
      if (this.bytes <= KEPT_BYTES) return;
      if (wanted.has(key)) continue;
      this.kept.delete(key);
      this.bytes -= values.byteLength;
    }
  }
}
