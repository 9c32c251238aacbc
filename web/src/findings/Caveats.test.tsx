// @vitest-environment jsdom
import { cell, detail, show } from '../test/reading.tsx';

import { screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { describe, expect, it } from 'vitest';

import type { Study } from '../api/types.ts';
import { SAGITTAL, STUDY } from '../test/study.ts';

describe('what must not be overlooked', () => {
  const limits = () => within(screen.getByRole('complementary', { name: 'Limits of use' }));

  it('is what the model was trained on, in a landmark that nothing closes', () => {
    show();
    expect(limits().getByText('This model was trained on synthetic spines only (40 studies).')).toBeTruthy();
    expect(limits().getByText(/recall 12 %/)).toBeTruthy();
    expect(limits().queryByRole('button')).toBeNull();
  });

  it('is that nothing is recorded of it, where that is so', () => {
    show({ trained_on: undefined } as unknown as Partial<Study>);
    expect(limits().getByText('It is not recorded what this model was trained on.')).toBeTruthy();
  });

  it('is every note, however many there are', () => {
    const flags = ['22 of 25 places are uncertain.', 'b', 'c', 'd', 'e', 'f'];
    show({ flags });
    const notes = within(screen.getByRole('region', { name: 'Notes on this study' }));
    expect(notes.getAllByRole('listitem').map(({ textContent }) => textContent)).toEqual(flags);
  });

  it('is a place that is uncertain: in the grid, in words, and in the image', async () => {
    show({ cells: STUDY.cells.map((one) => (one.condition === 'left_recess' ? { ...one, place_uncertain: true } : one)) });
    const doubtful = cell(/L4\/L5 Left subarticular stenosis: Normal\/Mild, 85 %; place uncertain/);
    expect(doubtful.className).toContain('uncertain');
    expect(doubtful.querySelector('.doubt')?.textContent).toBe('?');
    expect(cell(/L4\/L5 Spinal/).querySelector('.doubt')).toBeNull();
    await userEvent.click(doubtful);
    expect(detail().getByText(/^Place uncertain \(confidence 90 %\)/)).toBeTruthy();
    expect(detail().queryByText(/^Sure/)).toBeNull();
    expect(document.querySelector('.place.uncertain text')?.textContent).toBe('L4/L5 ?');
  });

  it('is that mild is not normal', () => {
    show();
    expect(cell(/L4\/L5 Left/).querySelector('.grade')?.textContent).toBe('N/mild');
  });
});

describe('where a grade comes from', () => {
  it('is the series and the image that it was read on', async () => {
    show();
    await userEvent.click(cell(/L4\/L5 Spinal/));
    expect(detail().getByText('Read on sagittal T2 (series 7), image 12')).toBeTruthy();
  });

  it('is a table of all series, with why the others are not used', () => {
    show();
    expect(screen.getByText('Series: 1 used, 1 not used')).toBeTruthy();
    const rows = screen.getAllByRole('row', { hidden: true }).map(({ textContent }) => textContent);
    expect(rows).toContain('7sagittal T211spinal canal stenosis, names of the levels');
    expect(rows).toContain('1localizer9Not used: it is a localizer: its name says so');
  });
});

describe('the choice of a series', () => {
  const other = (id: string, title: string) => ({ ...SAGITTAL, id, title, plane: 'coronal', weighting: 'other' }) as const;
  const choice = (view: string) => screen.getByRole<HTMLSelectElement>('combobox', { name: `Series in the view for ${view}` });

  it('is there also where a study has three series', async () => {
    show();
    await userEvent.selectOptions(choice('Axial T2'), 'Sagittal T1');
    expect(screen.getAllByRole('slider', { name: /Sagittal T1/ })).toHaveLength(2);
  });

  it('is there, and the series are shown, where all are of unknown kind', () => {
    show({ series: [other('a', 'LOC 1'), other('b', 'LOC 2'), other('c', 'LOC 3')] });
    expect(screen.getAllByRole('slider').map((view) => view.getAttribute('aria-label'))).toEqual(
      ['LOC 1, slice', 'LOC 2, slice', 'LOC 3, slice'],
    );
    expect(choice('Sagittal T2/STIR').value).toBe('a');
    expect(document.querySelector('.empty')).toBeNull();
  });
});
