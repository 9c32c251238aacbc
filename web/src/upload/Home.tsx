import { useEffect, useRef, useState } from 'react';

import { isPassing, problemOf } from '../api/client.ts';
import type { Problem, Session } from '../api/types.ts';
import { useModel } from '../model/useModel.ts';
import { ErrorCard } from '../shared/ErrorCard.tsx';
import { isForField } from '../shared/keys.ts';
import { go, routeHash } from '../shared/route.ts';
import { Strip } from '../shared/Strip.tsx';
import { TopBar } from '../shared/TopBar.tsx';
import { DropZone } from './DropZone.tsx';
import { checkFiles, sendStudy, type Sending } from './upload.ts';
import { UploadProgress } from './UploadProgress.tsx';

interface Attempt {
  files: readonly File[];
  share: number;
  problem: Problem | null;
  /** Whether the same files may be accepted at another time. */
  again: boolean;
}

/** Where a study is dropped and sent. What was chosen is kept until it has arrived. */
export function Home({ session, onHelp }: { session: Session; onHelp: () => void }) {
  const [attempt, setAttempt] = useState<Attempt | null>(null);
  const { training } = useModel();
  const sending = useRef<Sending | null>(null);

  useEffect(() => () => sending.current?.cancel(), []);
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (!isForField(event) && event.key === '?') onHelp();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [onHelp]);

  const send = async (files: readonly File[]): Promise<void> => {
    const problem = checkFiles(files, session.limits);
    setAttempt({ files, share: 0, problem, again: false });
    if (problem !== null) return;
    const current = sendStudy(files, (share) => setAttempt({ files, share, problem: null, again: false }));
    sending.current = current;
    try {
      go({ study: await current.id, model: false });
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') setAttempt(null);
      else setAttempt({ files, share: 0, problem: problemOf(error), again: isPassing(error) });
    }
  };

  const { model, task } = session;
  return (
    <>
      <Strip words={session.research_strip} training={training} />
      <TopBar onHelp={onHelp}>
        <span className="spacer" />
        <a href={routeHash({ study: null, model: true })}>
          Model {model.name} {model.version}
        </a>
      </TopBar>
      <main className="home">
        <h1>Read a lumbar spine MRI</h1>
        {attempt !== null && attempt.problem === null ? (
          <UploadProgress files={attempt.files} share={attempt.share} onCancel={() => sending.current?.cancel()} />
        ) : (
          <>
            {attempt?.problem != null && (
              <ErrorCard problem={attempt.problem}>
                {attempt.again && (
                  <button type="button" onClick={() => void send(attempt.files)}>
                    Send the same again
                  </button>
                )}
              </ErrorCard>
            )}
            <DropZone onFiles={(files) => void send(files)} />
          </>
        )}
        <p className="aside">
          {task.title}: {task.conditions.length === 1 ? 'one condition' : `${task.conditions.length} conditions`} at{' '}
          {task.levels.length} levels. The study stays on this server for a limited time and is then deleted.
        </p>
      </main>
    </>
  );
}
