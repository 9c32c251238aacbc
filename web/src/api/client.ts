/** Asks the reading room. A refusal keeps the server's plain words; a server that does not answer is told apart. */

import { connection } from './connection.ts';
import type {
  Choices,
  Correction,
  CorrectionRequest,
  Heat,
  ModelFacts,
  Problem,
  Session,
  Study,
  StudyEvent,
} from './types.ts';

export class Refusal extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(problem.what);
    this.name = 'Refusal';
  }
}

/** Nobody answered, or only a proxy did. */
export class Unreachable extends Error {
  readonly problem: Problem = {
    what: 'The reading room does not answer.',
    do: 'What you see is kept. Try again when the server is back.',
  };

  constructor() {
    super('The reading room does not answer.');
    this.name = 'Unreachable';
  }
}

export function problemOf(error: unknown): Problem {
  if (error instanceof Refusal || error instanceof Unreachable) return error.problem;
  return { what: 'Something went wrong in the page.', do: 'Reload it and try again.' };
}

/** Whether the same request may succeed later. */
export function isPassing(error: unknown): boolean {
  return !(error instanceof Refusal) || error.status >= 500 || error.status === 429 || error.status === 403;
}

/** The refusal that an answer's body tells; without one, the plain words for its status. */
export function refusalOf(status: number, body: unknown): Refusal | Unreachable {
  const problem = (body as { error?: Partial<Problem> } | null)?.error;
  if (typeof problem?.what === 'string' && typeof problem.do === 'string') {
    return new Refusal(status, { what: problem.what, do: problem.do });
  }
  if (status === 502 || status === 503 || status === 504) return new Unreachable();
  if (status === 413) return new Refusal(status, { what: 'The upload is too large.', do: 'Send one study at a time.' });
  if (status === 429) {
    return new Refusal(status, { what: 'Too many requests at once.', do: 'Wait a minute, then try again.' });
  }
  if (status === 404) return new Refusal(status, { what: 'This is no longer on the server.', do: 'Send the study again.' });
  return new Refusal(status, {
    what: 'The server could not do this.',
    do: 'Try again; if it stays, tell whoever runs the reading room.',
  });
}

/** HTTP's Multiple Choices: the upload holds several studies. */
const SEVERAL = 300;

let csrf = '';

export const csrfToken = (): string => csrf;

export async function getSession(): Promise<Session> {
  const session = await json<Session>(await ask('/api/session'));
  csrf = session.csrf_token;
  connection.answered(session.ready);
  return session;
}

/** The study, or the last event while it is at work or holds several studies. */
export async function getStudy(id: string): Promise<Study | StudyEvent> {
  const answer = await ask(address(id));
  if (answer.status !== SEVERAL) return json(answer);
  const { error, studies } = await json<Choices>(answer);
  return { stage: 'choose', percent: 100, words: error.what, error: null, studies };
}

/** Has one of the studies of an upload graded; its id. */
export async function chooseStudy(id: string, number: number): Promise<string> {
  const answer = await change(`${address(id)}/choices/${number}`, { method: 'POST' });
  return (await json<{ id: string }>(answer)).id;
}

export const isStudy = (answer: Study | StudyEvent): answer is Study => 'cells' in answer;

export async function getHeat(id: string, condition: string, level: string): Promise<Heat> {
  const query = new URLSearchParams({ condition, level });
  return json(await ask(`${address(id)}/heat?${query.toString()}`));
}

export async function getModel(): Promise<ModelFacts> {
  return json(await ask('/api/model'));
}

export async function putCorrection(id: string, correction: CorrectionRequest): Promise<Correction> {
  const answer = await change(`${address(id)}/corrections`, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(correction),
  });
  return json(answer);
}

export interface Report {
  content: Blob;
  /** As the server names it; null if it does not. */
  name: string | null;
}

export async function getReport(path: string): Promise<Report> {
  const answer = await ask(path);
  const name = /filename="?([^";]+)"?/i.exec(answer.headers.get('Content-Disposition') ?? '')?.[1] ?? null;
  try {
    return { content: await answer.blob(), name };
  } catch {
    connection.lost(); // the answer broke off
    throw new Unreachable();
  }
}

export async function forgetStudy(id: string): Promise<void> {
  await change(address(id), { method: 'DELETE' });
}

/** Values of a slice as sent; the scanner's are value * scale + offset. */
export interface Pixels {
  values: Uint16Array;
  offset: number;
  scale: number;
}

export async function getSlice(id: string, series: string, slice: number, signal: AbortSignal): Promise<Pixels> {
  const answer = await ask(`${address(id)}/series/${encodeURIComponent(series)}/slices/${slice}`, { signal });
  return {
    values: new Uint16Array(await answer.arrayBuffer()),
    offset: Number(answer.headers.get('X-Offset') ?? 0),
    scale: Number(answer.headers.get('X-Scale') ?? 1),
  };
}

export const address = (id: string): string => `/api/studies/${encodeURIComponent(id)}`;

async function change(path: string, init: RequestInit): Promise<Response> {
  const send = (): Promise<Response> => {
    const headers = new Headers(init.headers);
    headers.set('X-CSRF-Token', csrf);
    return ask(path, { ...init, headers });
  };
  try {
    return await send();
  } catch (error) {
    if (!(error instanceof Refusal) || error.status !== 403) throw error;
    await getSession(); // the token may be of a server that was restarted
    return send();
  }
}

async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(path, { credentials: 'same-origin', ...init });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    connection.lost();
    throw new Unreachable();
  }
  if (answer.ok || answer.status === SEVERAL) return answer;
  if (answer.status === 401) window.location.assign('/login');
  const refusal = refusalOf(answer.status, await answer.json().catch(() => null));
  if (refusal instanceof Unreachable) connection.lost();
  throw refusal;
}

async function json<T>(answer: Response): Promise<T> {
  return (await answer.json()) as T;
}
