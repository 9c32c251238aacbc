import { useEffect, useRef } from 'react';

import { KEYS } from '../shared/keys.ts';

const GESTURES = [
  { keys: 'Wheel', words: 'Scroll through the slices' },
  { keys: 'Drag', words: 'The chosen tool; at first window: right is wider, up is brighter' },
  { keys: 'Shift + drag', words: 'Pan; so does the middle button' },
  { keys: 'Right drag', words: 'Zoom; so does Ctrl with the wheel' },
  { keys: 'Double click', words: 'Enlarge an image' },
  { keys: 'One finger', words: 'The chosen tool; at first scroll' },
  { keys: 'Two fingers', words: 'Zoom and pan' },
] as const;

/** Keys and gestures, and how to read a cell. */
export function Help({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} className="help" aria-labelledby="help-title" onClose={onClose}>
      <header>
        <h2 id="help-title">Help</h2>
        <button type="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </header>
      <div className="columns">
        <KeyList title="Keys" rows={KEYS} />
        <div>
          <KeyList title="Mouse and touch" rows={GESTURES} />
          <h3>A cell of the grid</h3>
          <p>
            The bar shows the probability of each grade, the number that of the grade given. Letters are the grades that
            are possible: on images like those that the model was trained on, the true one is among them nine times in
            ten. A question mark in its place, and a dotted outline: the model is not sure where the site is. Check the marked place;
            such a grade may belong to another site.
          </p>
        </div>
      </div>
    </dialog>
  );
}

function KeyList({ title, rows }: { title: string; rows: readonly { keys: string; words: string }[] }) {
  return (
    <div>
      <h3>{title}</h3>
      <dl className="keys">
        {rows.map(({ keys, words }) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{words}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}
