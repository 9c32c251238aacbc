// @vitest-environment jsdom
import { server } from '../test/reading.tsx';

import { render, screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, it } from 'vitest';

import { getStudy } from '../api/client.ts';
import { ChooseStudy } from './ChooseStudy.tsx';

const STUDIES = [
  { number: 1, date: '2024-03-12', series: 3, images: 67, shows: ['sagittal T1', 'axial T2'] },
  { number: 2, date: null, series: 1, images: 1, shows: [] },
];

describe('an upload of several studies', () => {
  beforeEach(() => {
    window.location.hash = '#/study/both';
    render(<ChooseStudy id="both" words="The upload holds 2 studies." studies={STUDIES} />);
  });

  it('is listed by what says nothing of the patient', () => {
    const items = screen.getAllByRole('listitem').map((item) => item.textContent);
    expect(items[0]).toContain('2024-03-123 series, 67 imagessagittal T1, axial T2');
    expect(items[1]).toContain('No date1 series, 1 image');
    expect(screen.getByText(/The upload holds 2 studies\./)).toBeTruthy();
  });

  it('leads to the study that is chosen', async () => {
    server.answer = () => Response.json({ id: 'second' }, { status: 202 });
    await userEvent.click(screen.getByRole('button', { name: 'Read study 2' }));
    expect(server.asked.mock.calls.at(-1)?.[0]).toBe('/api/studies/both/choices/2');
    expect(window.location.hash).toBe('#/study/second');
  });

  it('says why a study cannot be taken, and lets another be chosen', async () => {
    const error = { what: 'The reading room is full.', do: 'Try again later.' };
    server.answer = () => Response.json({ error }, { status: 503 });
    await userEvent.click(screen.getByRole('button', { name: 'Read study 1' }));
    const alert = await screen.findByRole('alert');
    expect(within(alert).getByText('The reading room is full.')).toBeTruthy();
    expect(screen.getByRole<HTMLButtonElement>('button', { name: 'Read study 2' }).disabled).toBe(false);
  });
});

it('is an event for who asks for the study', async () => {
  server.answer = () => Response.json({ error: { what: '2 studies.', do: 'Choose.' }, studies: STUDIES }, { status: 300 });
  expect(await getStudy('both')).toEqual({ stage: 'choose', percent: 100, words: '2 studies.', error: null, studies: STUDIES });
});
