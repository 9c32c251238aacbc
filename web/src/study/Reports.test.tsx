// @vitest-environment jsdom
import { server, show } from '../test/reading.tsx';

import { screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeEach, describe, expect, it, vi } from 'vitest';

import { saveFile } from './download.ts';

vi.mock('./download.ts', () => ({ saveFile: vi.fn() }));

describe('a report', () => {
  const link = (name: string): HTMLElement =>
    within(screen.getByRole('navigation', { name: 'Report downloads' })).getByRole('link', { name });
  const refuse = (status: number) => () =>
    Response.json({ error: { what: 'It has no UIDs.', do: 'Use the PDF.' } }, { status });

  beforeEach(() => {
    vi.mocked(saveFile).mockClear();
    show();
  });

  it('is saved under the name that the server gives it', async () => {
    server.answer = () => new Response('%PDF', { headers: { 'Content-Disposition': 'attachment; filename="study.pdf"' } });
    await userEvent.click(link('PDF'));
    expect(saveFile).toHaveBeenCalledWith(expect.anything(), 'study.pdf');
    expect(server.asked.mock.calls[0]?.[0]).toBe('/r.pdf');
    expect(screen.queryByRole('alert')).toBeNull();
  });

  it.each([
    ['DICOM SR', 422],
    ['PDF', 503],
    ['JSON', 404],
    ['CSV', 500],
  ])('in %s that is refused with %i says why, until it is closed', async (name, status) => {
    server.answer = refuse(status);
    await userEvent.click(link(name));
    const alert = await screen.findByRole('alert');
    expect(alert.textContent).toContain(`The ${name} report was not saved. It has no UIDs.`);
    expect(alert.textContent).toContain('Use the PDF.');
    expect(saveFile).not.toHaveBeenCalled();
    await userEvent.click(within(alert).getByRole('button', { name: 'Close' }));
    expect(screen.queryByRole('alert')).toBeNull();
  });

  it('that does not arrive says so', async () => {
    server.answer = () => {
      throw new TypeError('no network');
    };
    await userEvent.click(link('CSV'));
    expect((await screen.findByRole('alert')).textContent).toContain('does not answer');
  });

  it('says that it is being prepared, and is asked for once', async () => {
    let arrive: (answer: Response) => void = () => undefined;
    server.answer = () => new Promise<Response>((resolve) => (arrive = resolve));
    await userEvent.click(link('DICOM SR'));
    await userEvent.click(link('DICOM SR'));
    expect(screen.getByText('Preparing DICOM SR…')).toBeTruthy();
    expect(server.asked.mock.calls.filter(([path]) => path === '/r.sr')).toHaveLength(1);
    arrive(new Response('DICM'));
    expect(await screen.findByText('Report')).toBeTruthy();
    expect(saveFile).toHaveBeenCalledWith(expect.anything(), 'report.dcm');
  });
});
