import type { Connection } from '../api/connection.ts';

const WORDS: Partial<Record<Connection, { what: string; do: string }>> = {
  down: {
    what: 'The reading room does not answer.',
    do: 'What you see is kept. The page asks again by itself.',
  },
  'no-model': {
    what: 'The model server does not answer.',
    do: 'Graded studies can be read; new ones cannot be graded yet. The page asks again by itself.',
  },
};

export function ConnectionBanner({ state, retry }: { state: Connection; retry: () => void }) {
  const words = WORDS[state];
  return (
    <div role="status" className="connection" hidden={words === undefined}>
      {words !== undefined && (
        <>
          <p>
            <strong>{words.what}</strong> {words.do}
          </p>
          <button type="button" onClick={retry}>
            Ask now
          </button>
        </>
      )}
    </div>
  );
}
