/** Answers the reading room's API with a synthetic study, for work on the page without a model: `npm run dev -- --mode mock`. */

import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Connect, Plugin } from 'vite';

import type { Correction, CorrectionRequest, ModelFacts, Problem, Stage } from '../src/api/types.ts';
import { blobPng } from './images.ts';
import { SESSION, TRAINED_ON, makeStudy, type StandInStudy } from './study.ts';

const CSP =
  "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";
const STEP_MS = 250;
const STEPS: [Stage, number, string][] = [
  ['received', 5, 'No study is waiting before this one.'],
  ['checking', 10, 'The files are checked.'],
  ['reading', 30, 'Slice 24 of 50 is read.'],
  ['grading', 50, 'The model grades 25 places; this usually takes 4 s.'],
  ['done', 100, 'The study is graded.'],
];
const FACTS: ModelFacts = {
  ...SESSION.model,
  registered_at: '2026-03-01T12:00:00+00:00',
  trained_on: TRAINED_ON,
  score_on: 'cross-validation',
  score: 0.612,
  score_interval: [0.54, 0.69],
  accuracy: 0.778,
  accuracy_majority: 0.778,
  severe_auc: 0.93,
  calibration_error: 0.041,
  holdout_score: null,
  holdout_accuracy: 0.765,
  studies: 12,
  cells: 300,
  card_html: null,
  lineage_html: null,
};

export function standIn(): Plugin {
  return {
    name: 'stand-in',
    configureServer: (server) => void server.middlewares.use(answer),
    configurePreviewServer: (server) => {
      server.middlewares.use((_request, response, next) => {
        response.setHeader('Content-Security-Policy', CSP);
        next();
      });
      server.middlewares.use(answer);
    },
  };
}

const studies = new Map<string, StandInStudy & { since: number }>();

/** How far a study is, by the clock. */
function stepOf(since: number): [Stage, number, string] {
  const at = Math.min(Math.floor((Date.now() - since) / STEP_MS), STEPS.length - 1);
  return STEPS[at] ?? ['done', 100, ''];
}

const answer: Connect.NextHandleFunction = (request, response, next) => {
  const url = new URL(request.url ?? '/', 'http://stand-in');
  const parts = url.pathname.split('/').slice(1);
  if (parts[0] !== 'api') {
    next();
    return;
  }
  if (request.method !== 'GET' && request.headers['x-csrf-token'] !== SESSION.csrf_token) {
    refuse(response, 403, { what: 'The page is out of date.', do: 'Reload it and try again.' });
  } else if (parts[1] === 'session') json(response, SESSION);
  else if (parts[1] === 'model') json(response, FACTS);
  else if (parts[1] === 'studies' && parts[2] === undefined) void receive(request, response);
  else if (parts[1] === 'studies') void study(request, response, url, parts);
  else refuse(response, 404, { what: 'There is no such address.', do: 'Go back.' });
};

async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await bodyOf(request);
  const zip = body.indexOf('PK\x03\x04', 0, 'latin1');
  if (zip < 0 && !body.includes('DICM')) {
    const what = 'The upload is no zip and holds no DICOM file.';
    refuse(response, 415, { what, do: 'Send the study’s DICOM files, or a zip of them.' });
  } else if (zip >= 0 && (body.readUInt16LE(zip + 6) & 1) === 1) {
    refuse(response, 415, { what: 'The zip is encrypted.', do: 'Send it without a password.' });
  } else {
    const id = randomBytes(16).toString('base64url');
    studies.set(id, { ...makeStudy(id), since: Date.now() });
    json(response, { id }, 202);
  }
}

async function study(request: IncomingMessage, response: ServerResponse, url: URL, parts: string[]): Promise<void> {
  const [, , id = '', what, name = '', , number] = parts;
  const found = studies.get(id);
  if (found === undefined) {
    refuse(response, 404, { what: 'This study has been deleted.', do: 'Send it again.' });
  } else if (request.method === 'DELETE') {
    studies.delete(id);
    response.writeHead(204).end();
  } else if (what === undefined) {
    const [stage, percent, words] = stepOf(found.since);
    if (stage === 'done') json(response, found.study);
    else json(response, { stage, percent, words }, 202);
  } else if (what === 'events') tellEvents(response, found.since);
  else if (what === 'series') sendSlice(response, found.slice(name, Number(number)));
  else if (what === 'corrections') {
    const asked = JSON.parse((await bodyOf(request)).toString()) as CorrectionRequest;
    json(response, correct(found, asked));
  } else if (what === 'heat') sendHeat(response, found, url.searchParams);
  else if (what.startsWith('report.')) {
    response.setHeader('Content-Disposition', `attachment; filename="${what}"`);
    response.end(`A stand-in for ${what}`);
  } else refuse(response, 404, { what: 'There is no such address.', do: 'Go back.' });
}

function tellEvents(response: ServerResponse, since: number): void {
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  const tell = (): void => {
    const [stage, percent, words] = stepOf(since);
    response.write(`data: ${JSON.stringify({ stage, percent, words })}\n\n`);
    if (stage !== 'done') return;
    clearInterval(timer);
    response.end();
  };
  const timer = setInterval(tell, STEP_MS);
  tell();
}

function sendSlice(response: ServerResponse, slice: Buffer | null): void {
  if (slice === null) {
    refuse(response, 404, { what: 'There is no such slice.', do: 'Choose one that is shown.' });
    return;
  }
  response.writeHead(200, {
    'Content-Type': 'application/octet-stream',
    'Cache-Control': 'private, max-age=3600',
    'X-Offset': '0',
    'X-Scale': '1',
  });
  response.end(slice);
}

function sendHeat(response: ServerResponse, { study: { cells } }: StandInStudy, query: URLSearchParams): void {
  const cell = cells.find((one) => one.condition === query.get('condition') && one.level === query.get('level'));
  if (cell?.place == null) {
    refuse(response, 404, { what: 'There is no heat map: this cell has no grade.', do: 'Choose another cell.' });
    return;
  }
  const { series_id, slice, x, y } = cell.place;
  const words = `What spoke for ${cell.grade ?? ''}: the brighter, the more it moved the model. An explanation of the answer, not evidence of a finding.`;
  json(response, { series_id, slice, x, y, side_mm: 60, png: blobPng(32), words });
}

function correct(found: StandInStudy, asked: CorrectionRequest): Correction | null {
  const cell = found.study.cells.find((one) => one.condition === asked.condition && one.level === asked.level);
  if (cell === undefined) return null;
  const { comment = null, ...rest } = asked;
  const correction = { ...rest, comment, model_grade: cell.grade, at: new Date().toISOString(), by: 'reader' };
  found.study = { ...found.study, cells: found.study.cells.map((one) => (one === cell ? { ...one, correction } : one)) };
  return correction;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' });
  response.end(JSON.stringify(body));
}

function refuse(response: ServerResponse, status: number, error: Problem): void {
  json(response, { error }, status);
}
