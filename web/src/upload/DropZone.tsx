import { useRef, useState, type DragEvent } from 'react';

import { problemOf } from '../api/client.ts';
import type { Problem } from '../api/types.ts';
import { ErrorCard } from '../shared/ErrorCard.tsx';
import { droppedFiles } from './upload.ts';

/** Takes a zip, a folder or many files, dropped or chosen. */
export function DropZone({ onFiles }: { onFiles: (files: readonly File[]) => void }) {
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);

  const drop = async (event: DragEvent): Promise<void> => {
    event.preventDefault();
    setOver(false);
    try {
      onFiles(await droppedFiles(event.dataTransfer));
    } catch (error) {
      setProblem(problemOf(error));
    }
  };
  const chosen = (input: HTMLInputElement): void => {
    const list = [...(input.files ?? [])].filter(({ name }) => !name.startsWith('.'));
    input.value = ''; // so that the same choice can be made again
    if (list.length > 0) onFiles(list);
  };

  return (
    <section
      className={over ? 'drop over' : 'drop'}
      aria-label="Send a study"
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget as Node | null)) setOver(false);
      }}
      onDrop={(event) => void drop(event)}
    >
      <svg className="drop-mark" viewBox="0 0 48 48" aria-hidden="true">
        <path d="M24 32V8m-9 9 9-9 9 9M8 30v8a3 3 0 0 0 3 3h26a3 3 0 0 0 3-3v-8" />
      </svg>
      <p className="drop-title">Drop a study here</p>
      <p className="drop-hint">a zip, a folder, or its DICOM files</p>
      <div className="actions">
        <button type="button" className="primary" onClick={() => files.current?.click()}>
          Choose a zip or files
        </button>
        <button type="button" onClick={() => folder.current?.click()}>
          Choose a folder
        </button>
      </div>
      <input ref={files} type="file" multiple hidden aria-label="Zip or DICOM files" onChange={(e) => chosen(e.target)} />
      <input
        ref={folder}
        type="file"
        hidden
        aria-label="Folder of a study"
        {...{ webkitdirectory: '' }}
        onChange={(e) => chosen(e.target)}
      />
      {problem !== null && <ErrorCard problem={problem} />}
    </section>
  );
}
