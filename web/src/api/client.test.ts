import { afterEach, describe, expect, it, vi } from 'vitest';

import { Refusal, Unreachable, getModel, getReport, getSession, problemOf, putCorrection, refusalOf } from './client.ts';
import { connection } from './connection.ts';

const CORRECTION = { condition: 'canal', level: 'L4/L5', grade: null, comment: null };
const serve = (...answers: (() => Response)[]) => {
  const fetched = vi.fn<(path: string, init?: RequestInit) => Promise<Response>>();
  for (const answer of answers) fetched.mockImplementationOnce(() => Promise.resolve(answer()));
  vi.stubGlobal('fetch', fetched);
  return fetched;
};

afterEach(() => vi.unstubAllGlobals());

describe('what is wrong', () => {
  it('is told in the server’s own words', () => {
    const refusal = refusalOf(415, { error: { what: 'The zip is encrypted.', do: 'Send it without a password.' } });
    expect(problemOf(refusal)).toEqual({ what: 'The zip is encrypted.', do: 'Send it without a password.' });
  });

  it.each([
    [413, 'The upload is too large.'],
    [429, 'Too many requests at once.'],
    [404, 'This is no longer on the server.'],
    [500, 'The server could not do this.'],
  ])('is told in plain words where %i has no body of ours', (status, what) => {
    expect(problemOf(refusalOf(status, null)).what).toBe(what);
  });

  it('is that nobody answers where only a proxy did', () => {
    expect(refusalOf(502, null)).toBeInstanceOf(Unreachable);
  });
});

describe('the connection', () => {
  it('is lost when nobody answers, and back with the session', async () => {
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('no network')));
    await expect(getModel()).rejects.toBeInstanceOf(Unreachable);
    expect(connection.get()).toBe('down');
    serve(() => Response.json({ csrf_token: 't', ready: false }));
    await getSession();
    expect(connection.get()).toBe('no-model');
  });
});

describe('a report', () => {
  const named = (disposition: string) => () => new Response('text', { headers: { 'Content-Disposition': disposition } });

  it.each([
    ['attachment; filename="lumbargrade-1a2b.dcm"', 'lumbargrade-1a2b.dcm'],
    ['attachment; filename=report.csv', 'report.csv'],
    ['inline', null],
  ])('with %s is saved as %s', async (disposition, name) => {
    serve(named(disposition));
    expect((await getReport('/r')).name).toBe(name);
  });

  it('that breaks off is one that did not arrive', async () => {
    const broken = new ReadableStream({ start: (stream) => stream.error(new TypeError('network')) });
    serve(() => new Response(broken));
    await expect(getReport('/r')).rejects.toBeInstanceOf(Unreachable);
  });
});

describe('a stale token', () => {
  const stale = () => Response.json({ error: { what: 'Out of date.', do: 'Reload.' } }, { status: 403 });

  it('is replaced once, and the change sent again', async () => {
    const fetched = serve(stale, () => Response.json({ csrf_token: 'new', ready: true }), () => Response.json({ at: 'now' }));
    await putCorrection('abc', CORRECTION);
    expect(fetched.mock.calls.map(([path]) => path)).toEqual([
      '/api/studies/abc/corrections',
      '/api/session',
      '/api/studies/abc/corrections',
    ]);
    expect(new Headers(fetched.mock.calls[2]?.[1]?.headers).get('X-CSRF-Token')).toBe('new');
  });

  it('is not replaced for ever', async () => {
    serve(stale, () => Response.json({ csrf_token: 'new', ready: true }), stale);
    await expect(putCorrection('abc', CORRECTION)).rejects.toBeInstanceOf(Refusal);
  });
});
