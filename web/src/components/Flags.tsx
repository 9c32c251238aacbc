import { useId, useState } from 'react';

const ALWAYS = 2;

/** What to know before reading the grades. */
export function Flags({ flags }: { flags: readonly string[] }) {
  const [all, setAll] = useState(false);
  const id = useId();
  if (flags.length === 0) return null;
  const shown = all ? flags : flags.slice(0, ALWAYS);
  return (
    <section className="flags" aria-label="Notes on this study">
      <svg viewBox="0 0 16 16" width={16} height={16} aria-hidden="true">
        <path d="M8 1.2 15.4 14.5H.6ZM8 6v4.2m0 1.6v.4" />
      </svg>
      <ul id={id}>
        {shown.map((flag) => (
          <li key={flag}>{flag}</li>
        ))}
      </ul>
      {flags.length > ALWAYS && (
        <button type="button" className="quiet" aria-expanded={all} aria-controls={id} onClick={() => setAll(!all)}>
          {all ? 'Fewer' : `${flags.length - ALWAYS} more`}
        </button>
      )}
    </section>
  );
}
