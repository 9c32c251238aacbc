/** The session, asked for until the reading room answers, and again while it or its model server is away. */

import { useEffect, useState, useSyncExternalStore } from 'react';

import { getSession } from './client.ts';
import { connection, type Connection } from './connection.ts';
import type { Session } from './types.ts';

const FIRST_WAIT_MS: Record<Connection, number> = { starting: 0, up: 0, down: 1000, 'no-model': 4000 };
const LONGEST_WAIT_MS = 8000;

export interface SessionState {
  session: Session | null;
  state: Connection;
  retry: () => void;
}

export function useSession(): SessionState {
  const state = useSyncExternalStore(connection.subscribe, connection.get);
  const [session, setSession] = useState<Session | null>(null);
  const [asked, setAsked] = useState(0);

  useEffect(() => {
    if (state === 'up') return;
    let wait = FIRST_WAIT_MS[state];
    let timer = setTimeout(() => void attempt(), asked > 0 ? 0 : wait);
    let stopped = false;
    const attempt = async (): Promise<void> => {
      const found = await getSession().catch(() => null); // the store has noted what is wrong
      if (found !== null) setSession(found);
      if (stopped) return;
      wait = Math.min(Math.max(wait, 1000) * 1.5, LONGEST_WAIT_MS);
      timer = setTimeout(() => void attempt(), wait);
    };
    return () => {
      stopped = true;
      clearTimeout(timer);
    };
  }, [state, asked]);

  return { session, state, retry: () => setAsked((count) => count + 1) };
}
