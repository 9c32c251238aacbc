import type { ModelFacts, Session } from '../api/types.ts';
import { ErrorCard } from '../shared/ErrorCard.tsx';
import { Strip } from '../shared/Strip.tsx';
import { TopBar } from '../shared/TopBar.tsx';
import { trainingOf } from '../shared/training.ts';
import { modelRows, performanceWords } from './modelRows.ts';
import { useModel } from './useModel.ts';

/** Which version serves, how good it was found beside its baselines, and where it comes from. */
export function ModelPage({ session, back }: { session: Session; back: string }) {
  const { facts, problem, retry } = useModel();

  return (
    <>
      <Strip words={session.research_strip} />
      <TopBar>
        <span className="spacer" />
        <a className="button" href={back}>
          Back
        </a>
      </TopBar>
      <main className="model">
        <h1>The model</h1>
        {problem !== null && (
          <ErrorCard problem={problem}>
            <button type="button" onClick={retry}>
              Try again
            </button>
          </ErrorCard>
        )}
        {facts !== null && <Facts facts={facts} />}
      </main>
    </>
  );
}

function Facts({ facts }: { facts: ModelFacts }) {
  const rows = modelRows(facts);
  return (
    <>
      <div className="caveat">
        <p>
          <strong>{trainingOf(facts.trained_on).sentence}</strong>
        </p>
        {performanceWords(facts).map((words) => (
          <p key={words}>{words}</p>
        ))}
      </div>
      <p className="version">
        <strong>
          {facts.name} {facts.version}
        </strong>
        {facts.alias !== null && <span className="tag">{facts.alias}</span>}
      </p>
      {rows.length === 0 && <p>No performance figures are available.</p>}
      <table className="facts" hidden={rows.length === 0}>
        <thead>
          <tr>
            <th scope="col">Measure</th>
            <th scope="col">Model</th>
            <th scope="col">Baseline</th>
            <th scope="col">Baseline is</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ measure, note, value, interval, baseline, what }) => (
            <tr key={measure}>
              <th scope="row">
                {measure}
                <small>{note}</small>
              </th>
              <td>
                {value}
                {interval !== '' && <small>{interval}</small>}
              </td>
              <td>{baseline}</td>
              <td>{what}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <dl className="origin">
        <Fact title="Measured on" value={measuredOn(facts)} />
        <Fact title="Trained on" value={trainingSet(facts.trained_on)} />
        <Fact title="Registered" value={facts.registered_at && dateOf(facts.registered_at)} />
        <Fact title="MLflow run" value={facts.run_id} />
      </dl>
      <p className="actions">
        {facts.card_html !== null && (
          <a className="button" href={facts.card_html} target="_blank" rel="noreferrer">
            Model card
          </a>
        )}
        {facts.lineage_html !== null && (
          <a className="button" href={facts.lineage_html} target="_blank" rel="noreferrer">
            Lineage
          </a>
        )}
      </p>
    </>
  );
}

function dateOf(at: string): string {
  return new Date(at).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'short' });
}

function Fact({ title, value }: { title: string; value: string | null }) {
  return value === null || value === '' ? null : (
    <div>
      <dt>{title}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function trainingSet(trainedOn: ModelFacts['trained_on']): string | null {
  const { dataset, studies } = trainedOn;
  return dataset === null || studies === null ? dataset : `${dataset}, ${studies} studies`;
}

function measuredOn({ score_on, studies, cells }: ModelFacts): string | null {
  if (score_on === null || studies === null) return score_on;
  return `${score_on}: ${studies} studies${cells === null ? '' : `, ${cells} cells`}`;
}
