import type { Study } from '../api.ts';
import { routeHash } from '../route.ts';
import { TopBar } from './TopBar.tsx';

interface Props {
  study: Study;
  onHelp: () => void;
  onForget: () => void;
}

/** Whose answer this is, and what can be done with it. */
export function StudyBar({ study, onHelp, onForget }: Props) {
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
      <nav className="reports" aria-label="Report downloads">
        <span>Report</span>
        <a className="button" href={report.pdf} download>
          PDF
        </a>
        <a className="button" href={report.sr} download title="DICOM Structured Report">
          DICOM SR
        </a>
        <a className="button" href={report.json} download>
          JSON
        </a>
        <a className="button" href={report.csv} download>
          CSV
        </a>
      </nav>
      <button type="button" className="quiet" onClick={onForget}>
        Delete study
      </button>
      <a className="button" href="#/">
        New study
      </a>
    </TopBar>
  );
}
