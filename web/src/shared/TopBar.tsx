import type { ReactNode } from 'react';

import mark from '../favicon.svg';

export function TopBar({ children, onHelp }: { children?: ReactNode; onHelp?: () => void }) {
  return (
    <header className="topbar">
      <a className="brand" href="#/" aria-label="Lumbargrade, send a study">
        <img src={mark} alt="" width={22} height={22} />
        Lumbargrade
      </a>
      {children}
      {onHelp !== undefined && (
        <button type="button" className="quiet" onClick={onHelp} aria-label="Help: keys and gestures">
          Help <kbd>?</kbd>
        </button>
      )}
    </header>
  );
}
