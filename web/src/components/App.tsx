import { useState } from 'react';

import { routeHash, useRoute } from '../route';
import { useSession } from '../session';
import { ConnectionBanner } from './ConnectionBanner';
import { Help } from './Help';
import { Home } from './Home';
import { ModelPage } from './ModelPage';
import { StudyPage } from './StudyPage';

const STRIP = 'Not for clinical use';

export function App() {
  const route = useRoute();
  const { session, state, retry } = useSession();
  const [helping, setHelping] = useState(false);
  const strip = session === null ? STRIP : session.research_strip;
  return (
    <div className="app">
      {strip !== null && (
        <div className="strip" role="note">
          {strip}
        </div>
      )}
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
          {route.model && <ModelPage back={routeHash({ ...route, model: false })} />}
        </>
      )}
      {session === null && state === 'starting' && <p className="waiting">Asking the reading room…</p>}
      {helping && <Help onClose={() => setHelping(false)} />}
    </div>
  );
}
