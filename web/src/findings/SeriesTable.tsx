import type { SeriesRow, Study, Task } from '../api/types.ts';
import { conditionTitle } from '../shared/grades.ts';

/** All series of the study: what each was used for, or why it was not. Closed at first: it explains, it does not warn. */
export function SeriesTable({ study, task }: { study: Study; task: Task }) {
  const rows = study.series_table;
  if (rows.length === 0) return null;
  const used = rows.filter((row) => row.used).length;
  return (
    <details className="series-table">
      <summary>
        Series: {used} used, {rows.length - used} not used
      </summary>
      <table>
        <thead>
          <tr>
            <th scope="col">Series</th>
            <th scope="col">Shows</th>
            <th scope="col">Slices</th>
            <th scope="col">Used for</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.series} className={row.used ? '' : 'unused'}>
              <th scope="row">{row.number ?? '–'}</th>
              <td>{row.name}</td>
              <td>{row.slices}</td>
              <td>{row.used ? uses(row, task) : `Not used: ${row.reason ?? 'no reason is given'}`}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}

function uses(row: SeriesRow, task: Task): string {
  const words = row.used_for.map((use) =>
    use === 'levels' ? 'names of the levels' : conditionTitle(task, use).toLowerCase(),
  );
  return words.join(', ');
}
