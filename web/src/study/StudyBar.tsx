import type { Problem, Study } from '../api/types.ts';
import { routeHash } from '../shared/route.ts';
import { TopBar } from '../shared/TopBar.tsx';
import { Reports } from './Reports.tsx';

interface Props {
  study: Study;
  onHelp: () => void;
  onForget: () => void;
  onProblem: (problem: Problem | null) => void;
}

/** Whose answer this is, and what can be done with it. */
export function StudyBar({ study, onHelp, onForget, onProblem }: Props) {
  const { model, report, identifiers } = study;
  const at = new Date(study.graded_at).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'short' });
  return (
    <TopBar onHelp={onHelp}>
      <p className="study-name">
        {identifiers ? (
          <strong>
            {[identifiers.patient_name, identifiers.patient_id, identifiers.study_date].filter(Boolean).join(' · ')}
          </strong>
        ) : (
          <>
            Study <code title={study.study_hash}>{study.study_hash.slice(0, 8)}</code>
          </>
        )}
        <span>graded {at}</span>
        <a href={routeHash({ study: study.id, model: true })}>
          {model.name} {model.version}
        </a>
      </p>
      <Reports links={report} onProblem={onProblem} />
      <button type="button" className="quiet" onClick={onForget}>
        Delete study
      </button>
      <a className="button" href="#/">
        New study
      </a>
    </TopBar>
  );
}
