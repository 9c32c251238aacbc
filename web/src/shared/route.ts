/** The address after `#`, so that a reload or a bookmark finds the study again: `#/study/ID`, `#/study/ID/model`, `#/model`. */

import { useSyncExternalStore } from 'react';

export interface Route {
  study: string | null;
  model: boolean;
}

export function parseRoute(hash: string): Route {
  const parts = hash.replace(/^#\/?/, '').split('/').filter(Boolean);
  const study = parts[0] === 'study' && parts[1] ? decodeURIComponent(parts[1]) : null;
  return { study, model: parts.at(-1) === 'model' && parts.length !== 2 };
}

export function routeHash({ study, model }: Route): string {
  return `#/${[...(study === null ? [] : ['study', encodeURIComponent(study)]), ...(model ? ['model'] : [])].join('/')}`;
}

export function useRoute(): Route {
  const hash = useSyncExternalStore(subscribe, () => window.location.hash);
  return parseRoute(hash);
}

export function go(route: Route): void {
  window.location.hash = routeHash(route);
}

function subscribe(listener: () => void): () => void {
  window.addEventListener('hashchange', listener);
  return () => window.removeEventListener('hashchange', listener);
}
