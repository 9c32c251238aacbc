import type { ReactNode } from 'react';

import type { Stage } from '../api/types.ts';

const STEPS: readonly { stage: Stage; title: string }[] = [
  { stage: 'received', title: 'Send' },
  { stage: 'checking', title: 'Check' },
  { stage: 'reading', title: 'Read images' },
  { stage: 'grading', title: 'Grade' },
];

interface Props {
  current: Stage;
  percent: number;
  words: string;
  children?: ReactNode;
}

/** How far a study has come, from its upload to its grades. */
export function ProgressSteps({ current, percent, words, children }: Props) {
  const at = STEPS.findIndex(({ stage }) => stage === current);
  const state = (index: number): string => (index < at || at < 0 ? 'past' : index === at ? 'now' : 'next');
  return (
    <section className="steps" aria-label="Progress">
      <ol>
        {STEPS.map(({ stage, title }, index) => (
          <li key={stage} className={state(index)} aria-current={index === at ? 'step' : undefined}>
            {title}
          </li>
        ))}
      </ol>
      <progress max={100} value={percent} aria-label="Progress of this study" />
      <p role="status">{words}</p>
      {children !== undefined && <div className="actions">{children}</div>}
    </section>
  );
}
