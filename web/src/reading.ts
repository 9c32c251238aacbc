/** The state of the reading view: the chosen cell, what the views show and how. */

import { useCallback, useEffect, useMemo, useReducer, useState } from 'react';

import type { Study, Task } from './api.ts';
import { toPixel } from './geometry.ts';
import { firstTool, type Tool } from './gestures.ts';
import { findCell, nextFinding, type CellKey } from './grades.ts';
import { PLAIN, centerOn, type Look } from './look.ts';
import { SliceStore } from './slices.ts';
import {
  SLOTS,
  changeViews,
  firstViews,
  frameOf,
  runsOf,
  type Run,
  type Slot,
  type Views,
  type ViewsAction,
} from './views.ts';

export interface ViewSettings {
  tool: Tool;
  lines: boolean;
  marks: boolean;
  /** The view that is enlarged. */
  main: Slot;
  /** The view that keys steer. */
  active: Slot;
}

type Looks = Readonly<Record<Slot, Look>>;

export interface Reading {
  runs: readonly Run[];
  views: Views;
  store: SliceStore;
  looks: Looks;
  settings: ViewSettings;
  chosen: CellKey | null;
  choose: (cell: CellKey) => void;
  changeViews: (action: ViewsAction) => void;
  changeLook: (slot: Slot, change: (look: Look) => Look) => void;
  changeSettings: (change: Partial<ViewSettings>) => void;
  reset: () => void;
}

const PLAIN_LOOKS: Looks = { 'sagittal-t2': PLAIN, 'sagittal-t1': PLAIN, 'axial-t2': PLAIN };

interface State {
  views: Views;
  looks: Looks;
  chosen: CellKey | null;
}

type Action =
  | { type: 'views'; change: ViewsAction }
  | { type: 'look'; slot: Slot; change: (look: Look) => Look }
  | { type: 'reset' }
  | { type: 'choose'; cell: CellKey };

export function useReading(study: Study, task: Task): Reading {
  const { id, series } = study;
  const runs = useMemo(() => runsOf(series), [series]);
  const [store] = useState(() => SliceStore.ofStudy(id));
  useEffect(() => store.open(), [store]);

  const reduce = (state: State, action: Action): State => {
    if (action.type === 'views') return { ...state, views: changeViews(runs, state.views, action.change) };
    if (action.type === 'look') {
      return { ...state, looks: { ...state.looks, [action.slot]: action.change(state.looks[action.slot]) } };
    }
    if (action.type === 'reset') return { ...state, looks: PLAIN_LOOKS };
    return choose(runs, study, state, action.cell);
  };
  const [state, dispatch] = useReducer(reduce, null, (): State => {
    const first: State = { views: firstViews(runs), looks: PLAIN_LOOKS, chosen: null };
    const worst = nextFinding(task, study, null);
    return worst === undefined ? first : choose(runs, study, first, worst);
  });
  const [settings, setSettings] = useState<ViewSettings>(() => ({
    tool: firstTool(),
    lines: true,
    marks: true,
    main: SLOTS[0],
    active: SLOTS[0],
  }));

  const pick = useCallback((cell: CellKey) => dispatch({ type: 'choose', cell }), []);

  return {
    runs,
    store,
    settings,
    ...state,
    choose: pick,
    changeViews: (change) => dispatch({ type: 'views', change }),
    changeLook: (slot, change) => dispatch({ type: 'look', slot, change }),
    changeSettings: (change) => setSettings((old) => ({ ...old, ...change })),
    reset: () => dispatch({ type: 'reset' }),
  };
}

/** All views go to a cell's place; those that are enlarged bring it to their middle. */
function choose(runs: readonly Run[], study: Study, state: State, cell: CellKey): State {
  const place = findCell(study, cell)?.place ?? null;
  const chosen = { condition: cell.condition, level: cell.level };
  if (place === null) return { ...state, chosen };
  const views = changeViews(runs, state.views, { type: 'jump', place });
  const looks = { ...state.looks };
  for (const slot of SLOTS) {
    const frame = frameOf(runs, views[slot]);
    if (frame === undefined) continue;
    const here = frame.series.id === place.series_id ? place : toPixel(frame.series, frame.slice, place.mm);
    looks[slot] = centerOn(frame.series, looks[slot], here);
  }
  return { chosen, views, looks };
}
