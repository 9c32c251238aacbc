/** What to know before reading the grades: all of it, whatever room it takes. */
export function StudyNotes({ flags }: { flags: readonly string[] }) {
  if (flags.length === 0) return null;
  return (
    <section className="flags" aria-label="Notes on this study">
      <svg viewBox="0 0 16 16" width={16} height={16} aria-hidden="true">
        <path d="M8 1.2 15.4 14.5H.6ZM8 6v4.2m0 1.6v.4" />
      </svg>
      <ul>
        {flags.map((flag) => (
          <li key={flag}>{flag}</li>
        ))}
      </ul>
    </section>
  );
}
