/** Heat maps: asked for by the reader only, one cell at a time, kept once they are there. */

import { useCallback, useState } from 'react';

import { getHeat, problemOf } from '../api/client.ts';
import type { Heat, Problem } from '../api/types.ts';
import { keyText, type CellKey } from '../shared/grades.ts';

export interface HeatState {
  heat: Heat | null;
  shown: boolean;
  loading: boolean;
  problem: Problem | null;
}

const NONE: HeatState = { heat: null, shown: false, loading: false, problem: null };

/** The heat map of the chosen cell. It is hidden again when another cell is chosen. */
export function useHeat(study: string, chosen: CellKey | null): { state: HeatState; toggle: () => void } {
  const [states, setStates] = useState<Readonly<Record<string, HeatState>>>({});
  const [shown, setShown] = useState<string | null>(null);
  const key = chosen === null ? '' : keyText(chosen);
  const state = states[key] ?? NONE;

  const toggle = useCallback((): void => {
    if (chosen === null || state.loading) return;
    if (shown === key) {
      setShown(null);
      return;
    }
    setShown(key);
    if (state.heat !== null) return;
    const put = (next: Partial<HeatState>): void => setStates((all) => ({ ...all, [key]: { ...NONE, ...next } }));
    put({ loading: true });
    getHeat(study, chosen.condition, chosen.level).then(
      (heat) => put({ heat }),
      (error: unknown) => {
        put({ problem: problemOf(error) });
        setShown(null);
      },
    );
  }, [study, chosen, key, shown, state]);

  return { state: { ...state, shown: shown === key && state.heat !== null }, toggle };
}
