// @vitest-environment jsdom
import { cell, detail, server, show, slider } from '../test/reading.tsx';

import { screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, it } from 'vitest';

beforeEach(() => show());

describe('the reading view', () => {
  it('opens at the worst finding, all views at its place', () => {
    expect(cell(/^L4\/L5 Spinal canal stenosis: Severe/).getAttribute('aria-selected')).toBe('true');
    expect(slider(/Sagittal T2/).getAttribute('aria-valuetext')).toBe('slice 7 of 11');
    expect(slider(/Sagittal T1/).getAttribute('aria-valuetext')).toBe('slice 7 of 11');
  });

  it('leads with sentences, flags and reasons', () => {
    expect(screen.getByText('The levels may be named one too high.')).toBeTruthy();
    expect(screen.getByRole('button', { name: /L4\/L5 Severe spinal canal stenosis\./ })).toBeTruthy();
    expect(screen.getByText(/Not graded: left subarticular stenosis at L5\/S1: there is no axial T2 series/)).toBeTruthy();
  });

  it('tells a cell without a grade why, and offers no heat map for it', async () => {
    await userEvent.click(cell(/L5\/S1 Left subarticular stenosis: not graded/));
    expect(detail().getByText('There is no axial T2 series.')).toBeTruthy();
    expect(detail().queryByRole('button', { name: 'Show the heat map' })).toBeNull();
  });

  it('moves in the grid by arrows, and by digits from anywhere', async () => {
    cell(/L4\/L5 Spinal/).focus();
    await userEvent.keyboard('{ArrowRight}');
    expect(document.activeElement).toBe(cell(/L4\/L5 Left/));
    (document.activeElement as HTMLElement).blur();
    await userEvent.keyboard('2');
    expect(cell(/L5\/S1 Left/).getAttribute('aria-selected')).toBe('true');
  });

  it('scrolls a view by keys, and stops at its ends', async () => {
    slider(/Axial/).focus();
    await userEvent.keyboard('{End}');
    expect(slider(/Axial/).getAttribute('aria-valuenow')).toBe('7');
    await userEvent.keyboard('{ArrowDown}{PageUp}');
    expect(slider(/Axial/).getAttribute('aria-valuenow')).toBe('2');
  });
});

describe('a heat map', () => {
  it('is asked for by the reader only, and gone at the next cell', async () => {
    const heat = { series_id: 's0', slice: 6, x: 16, y: 40, side_mm: 40, png: 'AAAA', words: 'An explanation of Severe.' };
    server.answer = () => Response.json(heat);
    expect(server.asked).not.toHaveBeenCalled();
    await userEvent.click(detail().getByRole('button', { name: 'Show the heat map' }));
    expect(await screen.findByText('An explanation of Severe.')).toBeTruthy();
    expect(document.querySelector('.heat-map image')).toBeTruthy();
    await userEvent.keyboard('2');
    expect(document.querySelector('.heat-map image')).toBeNull();
  });

  it('that cannot be had says so in the server’s words', async () => {
    server.answer = () => Response.json({ error: { what: 'The model server does not answer.', do: 'Try again.' } }, { status: 503 });
    await userEvent.click(detail().getByRole('button', { name: 'Show the heat map' }));
    expect((await detail().findByRole('alert')).textContent).toContain('The model server does not answer.');
  });
});

describe('a correction', () => {
  it('is sent with the token, and shown beside the model’s grade', async () => {
    server.answer = (_, init) => {
      const sent = JSON.parse(init?.body as string) as object;
      return Response.json({ ...sent, model_grade: 'Severe', at: '2026-01-02T03:04:05Z', by: 'reader' });
    };
    await userEvent.click(detail().getByRole('radio', { name: 'Moderate' }));
    await userEvent.type(detail().getByLabelText('Comment, if you like'), 'motion');
    await userEvent.click(detail().getByRole('button', { name: 'Save' }));
    const corrected = await screen.findByRole('gridcell', { name: /L4\/L5 Spinal .*Severe, 80 %.*Reader says moderate/ });
    expect(corrected.textContent).toContain('Severe');
    expect(corrected.textContent).toContain('→ Moderate');
    const [path, init] = server.asked.mock.calls[0] ?? [];
    expect(path).toBe('/api/studies/abc/corrections');
    expect(JSON.parse(init?.body as string)).toEqual(
      { condition: 'canal', level: 'L4/L5', grade: 'Moderate', comment: 'motion' },
    );
    expect(new Headers(init?.headers).has('X-CSRF-Token')).toBe(true);
  });

  it('that does not arrive is kept as it was typed, also while another cell is looked at', async () => {
    server.answer = () => {
      throw new TypeError('no network');
    };
    await userEvent.click(detail().getByRole('radio', { name: 'Not gradable' }));
    await userEvent.type(detail().getByLabelText('Comment, if you like'), 'motion');
    await userEvent.click(detail().getByRole('button', { name: 'Save' }));
    expect((await detail().findByRole('alert')).textContent).toContain('does not answer');
    await userEvent.click(cell(/L5\/S1 Spinal/));
    await userEvent.click(cell(/L4\/L5 Spinal/));
    expect(detail().getByLabelText<HTMLInputElement>('Comment, if you like').value).toBe('motion');
    expect(detail().getByRole<HTMLInputElement>('radio', { name: 'Not gradable' }).checked).toBe(true);
  });
});
