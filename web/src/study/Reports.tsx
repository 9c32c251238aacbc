import { useState, type MouseEvent } from 'react';

import { getReport, problemOf } from '../api/client.ts';
import type { Problem, Study } from '../api/types.ts';
import { saveFile } from './download.ts';

const KINDS = [
  { kind: 'pdf', title: 'PDF' },
  { kind: 'sr', title: 'DICOM SR' },
  { kind: 'json', title: 'JSON' },
  { kind: 'csv', title: 'CSV' },
] as const;

type Kind = (typeof KINDS)[number];

interface Props {
  links: Study['report'];
  /** Null when a report is asked for again. */
  onProblem: (problem: Problem | null) => void;
}

/** Reports are fetched and then saved, so that one which cannot be made says why. */
export function Reports({ links, onProblem }: Props) {
  const [underWay, setUnderWay] = useState<string | null>(null);

  const save = async ({ kind, title }: Kind): Promise<void> => {
    setUnderWay(title);
    onProblem(null);
    try {
      const { content, name } = await getReport(links[kind]);
      saveFile(content, name ?? `report.${kind === 'sr' ? 'dcm' : kind}`);
    } catch (error) {
      const { what, do: next } = problemOf(error);
      onProblem({ what: `The ${title} report was not saved. ${what}`, do: next });
    }
    setUnderWay(null);
  };
  const onClick = (event: MouseEvent, kind: Kind): void => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // the browser's own ways to open a link
    event.preventDefault();
    if (underWay === null) void save(kind);
  };

  return (
    <nav className="reports" aria-label="Report downloads" aria-busy={underWay !== null}>
      <span role="status">{underWay === null ? 'Report' : `Preparing ${underWay}…`}</span>
      {KINDS.map((one) => (
        <a
          key={one.kind}
          className="button"
          href={links[one.kind]}
          download
          title={one.kind === 'sr' ? 'DICOM Structured Report' : undefined}
          onClick={(event) => onClick(event, one)}
        >
          {one.title}
        </a>
      ))}
    </nav>
  );
}
