import type { Cell, Heat, Place, Task } from '../api/types.ts';
import type { CellKey } from '../shared/grades.ts';
import { referenceLine } from './geometry.ts';
import { TOOLS, type Tool } from './gestures.ts';
import {
  SLOTS,
  SLOT_TITLES,
  frameOf,
  stackOf,
  type SeriesStack,
  type Slot,
  type ViewSettings,
  type Views,
  type ViewsAction,
} from './layout.ts';
import type { ReferenceLine } from './Overlay.tsx';
import type { SliceStore } from './sliceStore.ts';
import { Viewport } from './Viewport.tsx';
import type { ViewTransform } from './viewTransform.ts';

interface Props {
  task: Task;
  cells: readonly Cell[];
  stacks: readonly SeriesStack[];
  views: Views;
  store: SliceStore;
  transforms: Readonly<Record<Slot, ViewTransform>>;
  settings: ViewSettings;
  chosen: CellKey | null;
  place: Place | null;
  heat: Heat | null;
  onViews: (action: ViewsAction) => void;
  onTransform: (slot: Slot, change: (transform: ViewTransform) => ViewTransform) => void;
  onSettings: (change: Partial<ViewSettings>) => void;
  onReset: () => void;
  onChoose: (cell: CellKey) => void;
}

const TOOL_TITLES: Record<Tool, string> = { window: 'Window', scroll: 'Scroll', pan: 'Pan', zoom: 'Zoom' };

/** The three linked views and what steers them all. */
export function ViewGrid(props: Props) {
  const { settings, onSettings, onReset } = props;
  return (
    <section className="views" aria-label="Images">
      <div className="toolbar" role="toolbar" aria-label="Image tools">
        <div role="group" aria-label="What a drag does" className="segments">
          {TOOLS.map((tool) => (
            <button
              key={tool}
              type="button"
              aria-pressed={settings.tool === tool}
              onClick={() => onSettings({ tool })}
            >
              {TOOL_TITLES[tool]}
            </button>
          ))}
        </div>
        <button type="button" aria-pressed={settings.lines} onClick={() => onSettings({ lines: !settings.lines })}>
          Reference lines
        </button>
        <button type="button" aria-pressed={settings.marks} onClick={() => onSettings({ marks: !settings.marks })}>
          Marks
        </button>
        <button type="button" onClick={onReset}>
          Reset
        </button>
      </div>
      <div className="slots">
        {[settings.main, ...SLOTS.filter((slot) => slot !== settings.main)].map((slot, index) => (
          <SlotView key={slot} slot={slot} main={index === 0} {...props} />
        ))}
      </div>
    </section>
  );
}

function SlotView({ slot, main, ...props }: Props & { slot: Slot; main: boolean }) {
  const { task, cells, stacks, views, store, transforms, settings, chosen, place, heat } = props;
  const { onViews, onTransform, onSettings, onChoose } = props;
  const view = views[slot];
  const stack = stackOf(stacks, view);
  const frame = frameOf(stacks, view);
  const offered = [...stacks].sort((a, b) => Number(b.slot === slot) - Number(a.slot === slot));
  const title = stack?.title ?? SLOT_TITLES[slot];
  return (
    <section
      className={`slot ${main ? 'main' : ''} ${settings.active === slot ? 'active' : ''}`}
      aria-label={title}
      onDoubleClick={(event) => {
        if ((event.target as Element).closest('.viewport')) onSettings({ main: slot, active: slot });
      }}
    >
      <header>
        {offered.length > 0 ? (
          <select
            aria-label={`Series in the view for ${SLOT_TITLES[slot]}`}
            value={view.stack ?? ''}
            onChange={({ target }) => onViews({ type: 'choose', slot, stack: target.value })}
          >
            {view.stack === null && <option value="">{SLOT_TITLES[slot]}: none</option>}
            {offered.map((other) => (
              <option key={other.id} value={other.id}>
                {other.title}
              </option>
            ))}
          </select>
        ) : (
          <h2>{title}</h2>
        )}
        {stack !== undefined && (
          <span className="count">
            {view.frame + 1} / {stack.frames.length}
          </span>
        )}
        {!main && (
          <button
            type="button"
            className="quiet"
            aria-label={`Enlarge ${title}`}
            title="Enlarge (E)"
            onClick={() => onSettings({ main: slot, active: slot })}
          >
            <svg viewBox="0 0 16 16" width={14} height={14} aria-hidden="true">
              <path d="M6 2H2v4m8-4h4v4M6 14H2v-4m8 4h4v-4" />
            </svg>
          </button>
        )}
      </header>
      {stack === undefined || frame === undefined ? (
        <p className="empty">
          {offered.length > 0 ? 'There is no further series in this study.' : 'This study has no series that can be shown.'}
        </p>
      ) : (
        <Viewport
          stack={stack}
          at={view.frame}
          frame={frame}
          store={store}
          transform={transforms[slot]}
          tool={settings.tool}
          overlay={{
            task,
            lines: settings.lines ? linesOn(slot, stacks, views) : [],
            marks: settings.marks ? cells.filter((cell) => cell.place?.series_id === frame.series.id) : [],
            chosen,
            focus: settings.marks ? (place?.mm ?? null) : null,
            heat,
            onChoose,
          }}
          onTransform={(change) => onTransform(slot, change)}
          onScroll={(by) => onViews({ type: 'scroll', slot, by })}
          onGo={(to) => onViews({ type: 'go', slot, frame: to })}
          onActive={() => {
            if (settings.active !== slot) onSettings({ active: slot });
          }}
        />
      )}
    </section>
  );
}

/** Where the other views' slices cut this one. */
function linesOn(slot: Slot, stacks: readonly SeriesStack[], views: Views): ReferenceLine[] {
  const on = frameOf(stacks, views[slot]);
  if (!on?.series.geometry_known) return [];
  return SLOTS.flatMap((other) => {
    const of = other === slot ? undefined : frameOf(stacks, views[other]);
    if (!of?.series.geometry_known) return [];
    const segment = referenceLine(of.series, of.slice, on.series, on.slice);
    return segment === null ? [] : [{ id: other, segment }];
  });
}

