import { useState } from 'react';

import { routeHash, useRoute } from '../route.ts';
import { useSession } from '../session.ts';
import { ConnectionBanner } from './ConnectionBanner.tsx';
import { Help } from './Help.tsx';
import { Home } from './Home.tsx';
import { ModelPage } from './ModelPage.tsx';
import { Strip } from './Strip.tsx';
import { StudyPage } from './StudyPage.tsx';

const RESEARCH = 'Not for clinical use';

export function App() {
  const route = useRoute();
  const { session, state, retry } = useSession();
  const [helping, setHelping] = useState(false);
  return (
    <div className="app">
      {session === null && <Strip words={RESEARCH} />}
      <ConnectionBanner state={state} retry={retry} />
      {session !== null && (
        <>
          {route.study === null && !route.model && <Home session={session} onHelp={() => setHelping(true)} />}
          {route.study !== null && (
            <div className="kept" hidden={route.model}>
              <StudyPage
                key={route.study}
                id={route.study}
                session={session}
                shown={!route.model}
                onHelp={() => setHelping(true)}
              />
            </div>
          )}
          {route.model && <ModelPage session={session} back={routeHash({ ...route, model: false })} />}
        </>
      )}
      {session === null && state === 'starting' && <p className="waiting">Asking the reading room…</p>}
      {helping && <Help onClose={() => setHelping(false)} />}
    </div>
  );
}
