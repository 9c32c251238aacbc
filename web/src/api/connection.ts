/** Whether the reading room and its model server answer; one store for the whole page. */

export type Connection = 'starting' | 'up' | 'no-model' | 'down';

let state: Connection = 'starting';
const listeners = new Set<() => void>();

function become(next: Connection): void {
  if (next === state) return;
  state = next;
  listeners.forEach((listener) => {
    listener();
  });
}

export const connection = {
  get: (): Connection => state,
  subscribe: (listener: () => void): (() => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
  answered(ready: boolean): void {
    become(ready ? 'up' : 'no-model');
  },
  lost(): void {
    become('down');
  },
};
