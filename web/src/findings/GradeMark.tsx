import { severityClass, type Severity } from '../shared/grades.ts';

/** A grade's shape: circle, diamond, triangle; a dash where nothing was graded. */
export function GradeMark({ severity }: { severity: Severity }) {
  return (
    <svg className={`mark ${severityClass(severity)}`} viewBox="0 0 16 16" width={14} height={14} aria-hidden="true">
      {severity === 0 && <circle cx="8" cy="8" r="5" className="hollow" />}
      {severity === 1 && <path d="M8 1.5 14.5 8 8 14.5 1.5 8Z" />}
      {severity === 2 && <path d="M8 1 15.5 14.5H.5Z" />}
      {severity === null && <path d="M3 8h10" className="hollow" />}
    </svg>
  );
}

