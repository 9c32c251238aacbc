/** The page's keys: one list that is handled and that the help shows. */

export const KEYS = [
  { keys: '1 – 5', words: 'Go to a level' },
  { keys: '← ↑ → ↓', words: 'Move in the grid of grades, when it has the focus' },
  { keys: 'N', words: 'Next finding, the worst first' },
  { keys: '↑ ↓', words: 'Scroll through the slices of the active image' },
  { keys: 'Page ↑ ↓', words: 'Scroll five slices; Home and End to the first and last' },
  { keys: '+ −', words: 'Zoom' },
  { keys: 'R', words: 'Reset zoom, place and window of all images' },
  { keys: 'W S P Z', words: 'What a drag does: window, scroll, pan, zoom' },
  { keys: 'E', words: 'Enlarge the active image' },
  { keys: 'L', words: 'Reference lines on or off' },
  { keys: 'M', words: 'Marks where the model looked on or off' },
  { keys: 'H', words: 'Ask for the heat map of the chosen cell, or hide it' },
  { keys: '?', words: 'This help' },
] as const;

/** Whether a key belongs to what has the focus, and not to the page. */
export function isForField(event: KeyboardEvent): boolean {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return true;
  const target = event.target;
  return target instanceof Element && target.closest('input, textarea, select, dialog[open]') !== null;
}
