import { useState } from 'react';

import { chooseStudy, problemOf } from '../api/client.ts';
import type { Problem, StudyChoice } from '../api/types.ts';
import { ErrorCard } from '../shared/ErrorCard.tsx';
import { go } from '../shared/route.ts';

interface Props {
  id: string;
  words: string;
  studies: readonly StudyChoice[];
}

/** The studies of an upload that holds several; each is graded on its own, when it is chosen. */
export function ChooseStudy({ id, words, studies }: Props) {
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);

  const choose = async (number: number): Promise<void> => {
    setBusy(true);
    try {
      go({ study: await chooseStudy(id, number), model: false });
    } catch (error) {
      setProblem(problemOf(error));
      setBusy(false);
    }
  };

  return (
    <>
      <h1>Which study?</h1>
      <p>
        {words} Each is graded on its own; the way back in the browser leads here again.
      </p>
      {problem !== null && <ErrorCard problem={problem} />}
      <ul className="choices">
        {studies.map((study) => (
          <li key={study.number}>
            <span>
              <strong>{study.date ?? 'No date'}</strong>
              <span>{counted(study)}</span>
              {study.shows.length > 0 && <span>{study.shows.join(', ')}</span>}
            </span>
            <button type="button" disabled={busy} aria-label={`Read study ${study.number}`} onClick={() => void choose(study.number)}>
              Read this study
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

const counted = ({ series, images }: StudyChoice): string =>
  `${series} series, ${images} ${images === 1 ? 'image' : 'images'}`;
