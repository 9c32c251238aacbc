import { useEffect, useEffectEvent, useState } from 'react';

import { forgetStudy, problemOf, putCorrection } from '../api/client.ts';
import type { CorrectionRequest, Problem, Session, Study } from '../api/types.ts';
import { CellDetail } from '../findings/CellDetail.tsx';
import type { Draft } from '../findings/CorrectionForm.tsx';
import { Findings } from '../findings/Findings.tsx';
import { useHeat } from '../findings/heatMap.ts';
import { StudyNotes } from '../findings/StudyNotes.tsx';
import { ErrorCard } from '../shared/ErrorCard.tsx';
import { findCell, keyText, sameCell } from '../shared/grades.ts';
import { isForField } from '../shared/keys.ts';
import { go } from '../shared/route.ts';
import { Strip } from '../shared/Strip.tsx';
import { trainingOf } from '../shared/training.ts';
import { ViewGrid } from '../viewer/ViewGrid.tsx';
import { readingKeys } from './shortcuts.ts';
import { StudyBar } from './StudyBar.tsx';
import { useReading } from './useReading.ts';

interface Props {
  study: Study;
  session: Session;
  shown: boolean;
  onHelp: () => void;
  onStudy: (change: (study: Study | null) => Study | null) => void;
}

/** The reading view: words and grades on one side, the linked images on the other. */
export function ReadingView({ study, session, shown, onHelp, onStudy }: Props) {
  const { task } = session;
  const reading = useReading(study, task);
  const { chosen } = reading;
  const cell = chosen === null ? undefined : findCell(study, chosen);
  const heat = useHeat(study.id, chosen);
  const [drafts, setDrafts] = useState<Readonly<Record<string, Draft | null>>>({});
  const [problem, setProblem] = useState<Problem | null>(null);

  const onKey = useEffectEvent((event: KeyboardEvent) => {
    if (!shown || isForField(event)) return;
    const action = readingKeys({ task, study, reading, onHelp, onHeat: heat.toggle })[event.key.toLowerCase()];
    if (action === undefined) return;
    event.preventDefault();
    action();
  });
  useEffect(() => {
    const listener = (event: KeyboardEvent): void => onKey(event);
    document.addEventListener('keydown', listener);
    return () => document.removeEventListener('keydown', listener);
  }, []);

  const correct = async (request: CorrectionRequest): Promise<Problem | null> => {
    try {
      const correction = await putCorrection(study.id, request);
      onStudy((old) =>
        old && { ...old, cells: old.cells.map((c) => (sameCell(c, request) ? { ...c, correction } : c)) },
      );
      return null;
    } catch (error) {
      return problemOf(error);
    }
  };
  const forget = async (): Promise<void> => {
    if (!window.confirm('Delete this study from the server now? Corrections that you saved stay.')) return;
    try {
      await forgetStudy(study.id);
      go({ study: null, model: false });
    } catch (error) {
      setProblem(problemOf(error));
    }
  };

  return (
    <>
      <Strip words={session.research_strip} training={trainingOf(study.trained_on)} />
      <StudyBar study={study} onHelp={onHelp} onForget={() => void forget()} onProblem={setProblem} />
      {problem !== null && (
        <ErrorCard problem={problem}>
          <button type="button" onClick={() => setProblem(null)}>
            Close
          </button>
        </ErrorCard>
      )}
      <StudyNotes flags={study.flags} />
      <main className="reading">
        <div className="panel">
          <h1 className="unseen">Findings</h1>
          <Findings study={study} task={task} chosen={chosen} onChoose={reading.choose} />
          {cell !== undefined && (
            <CellDetail
              key={keyText(cell)}
              cell={cell}
              task={task}
              heat={heat.state}
              onHeat={heat.toggle}
              draft={drafts[keyText(cell)] ?? null}
              onDraft={(draft) => setDrafts((all) => ({ ...all, [keyText(cell)]: draft }))}
              onCorrect={correct}
            />
          )}
        </div>
        <ViewGrid
          task={task}
          cells={study.cells}
          stacks={reading.stacks}
          views={reading.views}
          store={reading.store}
          transforms={reading.transforms}
          settings={reading.settings}
          chosen={chosen}
          place={cell?.place ?? null}
          heat={heat.state.shown ? heat.state.heat : null}
          onViews={reading.changeViews}
          onTransform={reading.changeTransform}
          onSettings={reading.changeSettings}
          onReset={reading.reset}
          onChoose={reading.choose}
        />
      </main>
    </>
  );
}
