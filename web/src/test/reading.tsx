/** The reading view with a server that answers as a test says. To be imported first by its tests. */

import './setup.ts';

import { render, screen, within } from '@testing-library/react';
import { useState } from 'react';
import { afterEach, beforeEach, vi, type Mock } from 'vitest';

import type { Session, Study } from '../api/types.ts';
import { ReadingView } from '../study/ReadingView.tsx';
import { STUDY, TASK } from './study.ts';

const SESSION: Session = {
  csrf_token: 'token',
  model: STUDY.model,
  task: TASK,
  research_strip: null,
  limits: { max_bytes: 1, max_files: 1 },
  ready: true,
};

function Page({ of }: { of: Study }) {
  const [study, setStudy] = useState<Study | null>(of);
  return study && <ReadingView study={study} session={SESSION} shown onHelp={() => null} onStudy={setStudy} />;
}

export const show = (change: Partial<Study> = {}): void => void render(<Page of={{ ...STUDY, ...change }} />);

type Answer = (path: string, init?: RequestInit) => Response | Promise<Response>;

/** `answer` is what the server says to anything but slices. */
export const server: { answer: Answer; asked: Mock<(path: string, init?: RequestInit) => void> } = {
  answer: () => new Response(),
  asked: vi.fn(),
};

export const cell = (name: RegExp): HTMLElement => screen.getByRole('gridcell', { name });
export const detail = () => within(screen.getByRole('region', { name: 'The chosen cell' }));
export const slider = (name: RegExp): HTMLElement => screen.getByRole('slider', { name });

beforeEach(() => {
  server.asked.mockClear();
  vi.stubGlobal('fetch', async (path: string, init?: RequestInit) => {
    if (path.includes('/slices/')) return new Response(new ArrayBuffer(2 * 65 * 65));
    server.asked(path, init);
    return await server.answer(path, init);
  });
});
afterEach(() => vi.unstubAllGlobals());
