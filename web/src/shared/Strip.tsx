import type { Training } from './training.ts';

interface Props {
  /** Null once the organisation has removed them. */
  words: string | null;
  training?: Training | undefined;
}

/** What every reader must know first: it cannot be closed, and takes the room that it needs. */
export function Strip({ words, training }: Props) {
  if (words === null && training === undefined) return null;
  return (
    <aside className="strip" aria-label="Limits of use">
      {words !== null && <p className="research">{words}</p>}{' '}
      {training !== undefined && (
        <p className="training">
          <strong>{training.sentence}</strong> {training.performance}
        </p>
      )}
    </aside>
  );
}
