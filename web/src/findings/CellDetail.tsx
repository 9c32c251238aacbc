import type { Cell, Correction, CorrectionRequest, Problem, Task } from '../api/types.ts';
import { ErrorCard } from '../shared/ErrorCard.tsx';
import { conditionTitle, gradeTitle, percent, severityClass, severityOf } from '../shared/grades.ts';
import { CorrectionForm, type Draft } from './CorrectionForm.tsx';
import { GradeMark } from './GradeMark.tsx';
import type { HeatState } from './heatMap.ts';
import { surenessOf } from './sureness.ts';

interface Props {
  cell: Cell;
  task: Task;
  heat: HeatState;
  onHeat: () => void;
  draft: Draft | null;
  onDraft: (draft: Draft | null) => void;
  onCorrect: (correction: CorrectionRequest) => Promise<Problem | null>;
}

/** The chosen cell: what the model says, how sure it is, and what the reader thinks. */
export function CellDetail({ cell, task, heat, onHeat, draft, onDraft, onCorrect }: Props) {
  const severity = severityOf(task, cell.grade);
  return (
    <section className="detail" aria-label="The chosen cell">
      <header>
        <h2>
          {cell.level} <span>{conditionTitle(task, cell.condition)}</span>
        </h2>
        <p className={`verdict ${severityClass(severity)}`}>
          <GradeMark severity={severity} /> {gradeTitle(cell.grade)}
        </p>
      </header>
      {cell.grade === null ? (
        <p>{asSentence(cell.reason ?? 'The model gave no reason')}</p>
      ) : (
        <>
          <Probabilities cell={cell} task={task} />
          <Source place={cell.place} />
          <div className="sureness">
            <Sureness cell={cell} task={task} />
            {cell.place !== null && (
              <button type="button" aria-pressed={heat.shown} disabled={heat.loading} onClick={onHeat}>
                {heat.shown ? 'Hide the heat map' : heat.loading ? 'Asking the model…' : 'Show the heat map'}
              </button>
            )}
          </div>
          <p role="status" className="heat-words">
            {heat.heat !== null && heat.shown ? heat.heat.words : heat.loading ? 'This takes a few seconds.' : ''}
          </p>
          {heat.problem !== null && <ErrorCard problem={heat.problem} />}
        </>
      )}
      {cell.correction !== null && <Corrected correction={cell.correction} />}
      <CorrectionForm cell={cell} task={task} draft={draft} onDraft={onDraft} onCorrect={onCorrect} />
    </section>
  );
}

function Probabilities({ cell, task }: { cell: Cell; task: Task }) {
  return (
    <dl className="chances">
      {task.grades.map((grade) => {
        const chance = cell.probabilities?.[grade] ?? 0;
        return (
          <div key={grade} className={severityClass(severityOf(task, grade))}>
            <dt>{grade}</dt>
            <dd>
              <span className="track" aria-hidden="true">
                <span style={{ width: `${chance * 100}%` }} />
              </span>
              {percent(chance)}
            </dd>
          </div>
        );
      })}
    </dl>
  );
}

/** On which slice of which series the model graded. */
function Source({ place }: { place: Cell['place'] }) {
  if (place?.series_name == null) return null;
  const { series_number: number, instance_number: instance, series_name: name } = place;
  return (
    <p className="source">
      Read on {name}
      {number !== null && ` (series ${number})`}
      {instance !== null && `, image ${instance}`}
    </p>
  );
}

function Sureness({ cell, task }: { cell: Cell; task: Task }) {
  const { lead, possible, rest, caveats } = surenessOf(task, cell);
  return (
    <div>
      {caveats.map((caveat) => (
        <p key={caveat} className="doubtful">
          {caveat}
        </p>
      ))}
      {possible !== '' && (
        <p>
          {lead}
          <strong>{possible}</strong>
          {rest}
        </p>
      )}
    </div>
  );
}

function Corrected({ correction }: { correction: Correction }) {
  const at = new Date(correction.at);
  return (
    <p className="reader">
      Reader{correction.by === 'reader' ? '' : ` ${correction.by}`}:{' '}
      <strong>{correction.grade ?? 'Not gradable'}</strong>
      {correction.comment ? ` – ${correction.comment}` : ''}
      <time dateTime={correction.at}>
        {' '}
        {at.toLocaleString('en-GB', { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' })}
      </time>
    </p>
  );
}

function asSentence(words: string): string {
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? '' : '.'}`;
}
