import { useEffect, useRef, useState } from 'react';

import type { Problem, Session } from '../api';
import { problemOf } from '../client';
import { isForField } from '../keys';
import { go, routeHash } from '../route';
import { checkFiles, sendStudy, type Sending } from '../upload';
import { DropZone } from './DropZone';
import { ProblemCard } from './ProblemCard';
import { TopBar } from './TopBar';
import { UploadProgress } from './UploadProgress';

interface Attempt {
  files: readonly File[];
  share: number;
  problem: Problem | null;
}

/** Where a study is dropped and sent. What was chosen is kept until it has arrived. */
export function Home({ session, onHelp }: { session: Session; onHelp: () => void }) {
  const [attempt, setAttempt] = useState<Attempt | null>(null);
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
    setAttempt({ files, share: 0, problem });
    if (problem !== null) return;
    const current = sendStudy(files, (share) => setAttempt({ files, share, problem: null }));
    sending.current = current;
    try {
      go({ study: await current.id, model: false });
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') setAttempt(null);
      else setAttempt({ files, share: 0, problem: problemOf(error) });
    }
  };

  const { model, task } = session;
  return (
    <>
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
              <ProblemCard problem={attempt.problem}>
                <button type="button" onClick={() => void send(attempt.files)}>
                  Send the same again
                </button>
              </ProblemCard>
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
