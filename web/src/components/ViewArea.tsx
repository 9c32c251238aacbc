import type { Cell, Heat, Place, Task } from '../api.ts';
import { referenceLine } from '../geometry.ts';
import { TOOLS, type Tool } from '../gestures.ts';
import type { CellKey } from '../grades.ts';
import type { Look } from '../look.ts';
import type { ViewSettings } from '../reading.ts';
import type { SliceStore } from '../slices.ts';
import { SLOTS, SLOT_TITLES, frameOf, runOf, type Run, type Slot, type Views, type ViewsAction } from '../views.ts';
import type { ReferenceLine } from './Overlay.tsx';
import { Viewport } from './Viewport.tsx';

interface Props {
  task: Task;
  cells: readonly Cell[];
  runs: readonly Run[];
  views: Views;
  store: SliceStore;
  looks: Readonly<Record<Slot, Look>>;
  settings: ViewSettings;
  chosen: CellKey | null;
  place: Place | null;
  heat: Heat | null;
  onViews: (action: ViewsAction) => void;
  onLook: (slot: Slot, change: (look: Look) => Look) => void;
  onSettings: (change: Partial<ViewSettings>) => void;
  onReset: () => void;
  onChoose: (cell: CellKey) => void;
}

const TOOL_TITLES: Record<Tool, string> = { window: 'Window', scroll: 'Scroll', pan: 'Pan', zoom: 'Zoom' };

/** The three linked views and what steers them all. */
export function ViewArea(props: Props) {
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
  const { task, cells, runs, views, store, looks, settings, chosen, place, heat } = props;
  const { onViews, onLook, onSettings, onChoose } = props;
  const view = views[slot];
  const run = runOf(runs, view);
  const frame = frameOf(runs, view);
  const offered = [...runs].sort((a, b) => Number(b.slot === slot) - Number(a.slot === slot));
  const title = run?.title ?? SLOT_TITLES[slot];
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
            value={view.run ?? ''}
            onChange={({ target }) => onViews({ type: 'choose', slot, run: target.value })}
          >
            {view.run === null && <option value="">{SLOT_TITLES[slot]}: none</option>}
            {offered.map((other) => (
              <option key={other.id} value={other.id}>
                {other.title}
              </option>
            ))}
          </select>
        ) : (
          <h2>{title}</h2>
        )}
        {run !== undefined && (
          <span className="count">
            {view.frame + 1} / {run.frames.length}
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
      {run === undefined || frame === undefined ? (
        <p className="empty">
          {offered.length > 0 ? 'There is no further series in this study.' : 'This study has no series that can be shown.'}
        </p>
      ) : (
        <Viewport
          run={run}
          at={view.frame}
          frame={frame}
          store={store}
          look={looks[slot]}
          tool={settings.tool}
          overlay={{
            task,
            lines: settings.lines ? linesOn(slot, runs, views) : [],
            marks: settings.marks ? cells.filter((cell) => cell.place?.series_id === frame.series.id) : [],
            chosen,
            focus: settings.marks ? (place?.mm ?? null) : null,
            heat,
            onChoose,
          }}
          onLook={(change) => onLook(slot, change)}
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
function linesOn(slot: Slot, runs: readonly Run[], views: Views): ReferenceLine[] {
  const on = frameOf(runs, views[slot]);
  if (on === undefined || on.series.geometry_known === false) return [];
  return SLOTS.flatMap((other) => {
    const of = other === slot ? undefined : frameOf(runs, views[other]);
    if (of === undefined || of.series.geometry_known === false) return [];
    const segment = referenceLine(of.series, of.slice, on.series, on.slice);
    return segment === null ? [] : [{ id: other, segment }];
  });
}

