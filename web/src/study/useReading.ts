/** The state of the reading view: the chosen cell, what the views show and how. */

import { useCallback, useEffect, useMemo, useReducer, useState } from 'react';

import type { Study, Task } from '../api/types.ts';
import { findCell, nextFinding, type CellKey } from '../shared/grades.ts';
import { toPixel } from '../viewer/geometry.ts';
import { firstTool } from '../viewer/gestures.ts';
import {
  SLOTS,
  changeViews,
  firstViews,
  frameOf,
  stacksOf,
  type SeriesStack,
  type Slot,
  type ViewSettings,
  type Views,
  type ViewsAction,
} from '../viewer/layout.ts';
import { SliceStore } from '../viewer/sliceStore.ts';
import { IDENTITY, centerOn, type ViewTransform } from '../viewer/viewTransform.ts';

type ViewTransforms = Readonly<Record<Slot, ViewTransform>>;

export interface Reading {
  stacks: readonly SeriesStack[];
  views: Views;
  store: SliceStore;
  transforms: ViewTransforms;
  settings: ViewSettings;
  chosen: CellKey | null;
  choose: (cell: CellKey) => void;
  changeViews: (action: ViewsAction) => void;
  changeTransform: (slot: Slot, change: (transform: ViewTransform) => ViewTransform) => void;
  changeSettings: (change: Partial<ViewSettings>) => void;
  reset: () => void;
}

const IDENTITY_TRANSFORMS: ViewTransforms = { 'sagittal-t2': IDENTITY, 'sagittal-t1': IDENTITY, 'axial-t2': IDENTITY };

interface State {
  views: Views;
  transforms: ViewTransforms;
  chosen: CellKey | null;
}

type Action =
  | { type: 'views'; change: ViewsAction }
  | { type: 'transform'; slot: Slot; change: (transform: ViewTransform) => ViewTransform }
  | { type: 'reset' }
  | { type: 'choose'; cell: CellKey };

export function useReading(study: Study, task: Task): Reading {
  const { id, series } = study;
  const stacks = useMemo(() => stacksOf(series), [series]);
  const [store] = useState(() => SliceStore.ofStudy(id));
  useEffect(() => store.open(), [store]);

  const reduce = (state: State, action: Action): State => {
    if (action.type === 'views') return { ...state, views: changeViews(stacks, state.views, action.change) };
    if (action.type === 'transform') {
      return { ...state, transforms: { ...state.transforms, [action.slot]: action.change(state.transforms[action.slot]) } };
    }
    if (action.type === 'reset') return { ...state, transforms: IDENTITY_TRANSFORMS };
    return choose(stacks, study, state, action.cell);
  };
  const [state, dispatch] = useReducer(reduce, null, (): State => {
    const first: State = { views: firstViews(stacks), transforms: IDENTITY_TRANSFORMS, chosen: null };
    const worst = nextFinding(task, study, null);
    return worst === undefined ? first : choose(stacks, study, first, worst);
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
    stacks,
    store,
    settings,
    ...state,
    choose: pick,
    changeViews: (change) => dispatch({ type: 'views', change }),
    changeTransform: (slot, change) => dispatch({ type: 'transform', slot, change }),
    changeSettings: (change) => setSettings((old) => ({ ...old, ...change })),
    reset: () => dispatch({ type: 'reset' }),
  };
}

/** All views go to a cell's place; those that are enlarged bring it to their middle. */
function choose(stacks: readonly SeriesStack[], study: Study, state: State, cell: CellKey): State {
  const place = findCell(study, cell)?.place ?? null;
  const chosen = { condition: cell.condition, level: cell.level };
  if (place === null) return { ...state, chosen };
  const views = changeViews(stacks, state.views, { type: 'jump', place });
  const transforms = { ...state.transforms };
  for (const slot of SLOTS) {
    const frame = frameOf(stacks, views[slot]);
    if (frame === undefined) continue;
    const here = frame.series.id === place.series_id ? place : toPixel(frame.series, frame.slice, place.mm);
    transforms[slot] = centerOn(frame.series, transforms[slot], here);
  }
  return { chosen, views, transforms };
}
