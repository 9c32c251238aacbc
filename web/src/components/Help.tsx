import { useEffect, useRef } from 'react';

import { KEYS } from '../keys.ts';

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
            The bar shows how probable each grade is, the number that of the grade given. Lit letters are the grades that
            are possible: the true one is meant to be among them nine times in ten. One lit letter: the model is sure.
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
