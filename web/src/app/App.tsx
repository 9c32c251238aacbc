import { useState } from 'react';

import { useSession } from '../api/session.ts';
import { ModelPage } from '../model/ModelPage.tsx';
import { routeHash, useRoute } from '../shared/route.ts';
import { Strip } from '../shared/Strip.tsx';
import { StudyPage } from '../study/StudyPage.tsx';
import { Home } from '../upload/Home.tsx';
import { ConnectionBanner } from './ConnectionBanner.tsx';
import { Help } from './Help.tsx';

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
