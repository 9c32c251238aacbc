/** Watches a study at work: server-sent events, and polling where they do not come through. */

import { Refusal, address, getStudy, isStudy, problemOf } from './client.ts';
import type { Stage, Study, StudyEvent } from './types.ts';

const POLL_MS = 2000;
const ENDS: ReadonlySet<Stage> = new Set(['choose', 'done', 'failed']);

export interface Watcher {
  onEvent: (event: StudyEvent) => void;
  onStudy: (study: Study) => void;
  /** The server does not have it, or has it no longer. */
  onDeleted: () => void;
}

/** Returns what stops it. The last event is `failed` where there is no study. */
export function watchStudy(id: string, { onEvent, onStudy, onDeleted }: Watcher): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let stopped = false;

  const fail = (error: unknown): void => {
    const problem = problemOf(error);
    onEvent({ stage: 'failed', percent: 100, words: problem.what, error: problem, studies: [] });
  };
  const later = (): void => {
    timer = setTimeout(() => void poll(), POLL_MS);
  };
  const poll = async (listen = false): Promise<void> => {
    try {
      const answer = await getStudy(id);
      if (stopped) return;
      if (isStudy(answer)) onStudy(answer);
      else {
        onEvent(answer);
        if (answer.stage === 'choose') return;
        if (listen) open();
        else later();
      }
    } catch (error) {
      if (stopped) return;
      if (error instanceof Refusal && error.status === 404) onDeleted();
      else if (error instanceof Refusal && error.status !== 429) fail(error);
      else later(); // the server is away: its study may still be there when it is back
    }
  };
  const open = (): void => {
    source = new EventSource(`${address(id)}/events`);
    source.onmessage = ({ data }: MessageEvent<string>) => {
      const event = JSON.parse(data) as StudyEvent;
      if (ENDS.has(event.stage)) source?.close();
      if (event.stage === 'done') void poll();
      onEvent(event);
    };
    source.onerror = () => {
      source?.close();
      if (!stopped) later();
    };
  };
  void poll(true);
  return () => {
    stopped = true;
    source?.close();
    clearTimeout(timer);
  };
}
