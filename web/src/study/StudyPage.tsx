import { useEffect, useState } from 'react';

import { forgetStudy } from '../api/client.ts';
import { watchStudy } from '../api/studyEvents.ts';
import type { Problem, Session, Study, StudyEvent } from '../api/types.ts';
import { ErrorCard } from '../shared/ErrorCard.tsx';
import { ProgressSteps } from '../shared/ProgressSteps.tsx';
import { go } from '../shared/route.ts';
import { Strip } from '../shared/Strip.tsx';
import { TopBar } from '../shared/TopBar.tsx';
import { ChooseStudy } from './ChooseStudy.tsx';
import { ReadingView } from './ReadingView.tsx';

interface Props {
  id: string;
  session: Session;
  /** False while another page lies over it; it keeps its state. */
  shown: boolean;
  onHelp: () => void;
}

const DELETED: Problem = {
  what: 'This study is no longer on the server.',
  do: 'Studies are deleted by a reader, after a set time, or when the server restarts. To read it, send it again.',
};

/** A study: at work, one of several that is to be chosen, refused, deleted, or read. */
export function StudyPage({ id, session, shown, onHelp }: Props) {
  const [event, setEvent] = useState<StudyEvent | null>(null);
  const [study, setStudy] = useState<Study | null>(null);
  const [deleted, setDeleted] = useState(false);

  useEffect(
    () => watchStudy(id, { onEvent: setEvent, onStudy: setStudy, onDeleted: () => setDeleted(true) }),
    [id],
  );

  if (study !== null) {
    return <ReadingView study={study} session={session} shown={shown} onHelp={onHelp} onStudy={setStudy} />;
  }
  const cancel = (): void => {
    void forgetStudy(id).catch(() => null); // it expires anyway
    go({ study: null, model: false });
  };
  return (
    <>
      <Strip words={session.research_strip} />
      <TopBar onHelp={onHelp} />
      <main className="home">
        {deleted ? (
          <>
            <h1>This study has been deleted</h1>
            <ErrorCard problem={DELETED}>
              <a className="button primary" href="#/">
                Send a study
              </a>
            </ErrorCard>
          </>
        ) : event?.stage === 'failed' ? (
          <>
            <h1>This study could not be graded</h1>
            <ErrorCard problem={event.error ?? { what: event.words, do: 'Send the study again.' }}>
              <a className="button primary" href="#/">
                Send another study
              </a>
            </ErrorCard>
          </>
        ) : event?.stage === 'choose' ? (
          <ChooseStudy id={id} words={event.words} studies={event.studies} />
        ) : (
          <>
            <h1>Processing the study</h1>
            <ProgressSteps current={event?.stage ?? 'received'} percent={event?.percent ?? 0} words={event?.words ?? 'One moment…'}>
              <button type="button" onClick={cancel}>
                Stop and delete
              </button>
            </ProgressSteps>
          </>
        )}
      </main>
    </>
  );
}
