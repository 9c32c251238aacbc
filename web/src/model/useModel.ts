/** The facts of the model that serves, asked for again when the server comes back. */

import { useEffect, useState, useSyncExternalStore } from 'react';

import { getModel, problemOf } from '../api/client.ts';
import { connection } from '../api/connection.ts';
import type { ModelFacts, Problem } from '../api/types.ts';
import { UNAVAILABLE, trainingOf, type Training } from '../shared/training.ts';

export interface ModelState {
  facts: ModelFacts | null;
  problem: Problem | null;
  /** Undefined until the server has answered. */
  training: Training | undefined;
  retry: () => void;
}

export function useModel(): ModelState {
  const [facts, setFacts] = useState<ModelFacts | null>(null);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [asked, setAsked] = useState(0);
  const away = useSyncExternalStore(connection.subscribe, connection.get) === 'down';

  useEffect(() => {
    if (away) return;
    let stopped = false;
    getModel().then(
      (found) => {
        if (stopped) return;
        setFacts(found);
        setProblem(null);
      },
      (error: unknown) => {
        if (!stopped) setProblem(problemOf(error));
      },
    );
    return () => {
      stopped = true;
    };
  }, [asked, away]);

  const training = facts !== null ? trainingOf(facts.trained_on) : problem !== null || away ? UNAVAILABLE : undefined;
  return { facts, problem, training, retry: () => setAsked((count) => count + 1) };
}
