import type { ReactNode } from 'react';

import type { Problem } from '../api/types.ts';

/** What is wrong, what to do, and the buttons for it. */
export function ErrorCard({ problem, children }: { problem: Problem; children?: ReactNode }) {
  return (
    <div role="alert" className="problem">
      <strong>{problem.what}</strong>
      <span>{problem.do}</span>
      {children !== undefined && children !== false && <div className="actions">{children}</div>}
    </div>
  );
}
