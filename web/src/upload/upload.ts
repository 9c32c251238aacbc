/** Collects the files of a study that was dropped or chosen, checks them against the limits, and sends them. */

import { Refusal, Unreachable, csrfToken, getSession, refusalOf } from '../api/client.ts';
import { connection } from '../api/connection.ts';
import type { Problem, Session } from '../api/types.ts';

export interface Sending {
  /** Sends the files; the study's id. */
  id: Promise<string>;
  cancel: () => void;
}

/** What the server would refuse anyway, told before hundreds of megabytes are sent. */
export function checkFiles(files: readonly File[], limits: Session['limits']): Problem | null {
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  if (files.length === 0 || bytes === 0) {
    return { what: 'There is no file in what you chose.', do: 'Choose the study’s zip, its folder, or its DICOM files.' };
  }
  if (bytes > limits.max_bytes) {
    return {
      what: `This is ${megabytes(bytes)}; at most ${megabytes(limits.max_bytes)} are accepted.`,
      do: 'Send one study at a time.',
    };
  }
  if (files.length > limits.max_files) {
    return {
      what: `These are ${files.length} files; at most ${limits.max_files} are accepted.`,
      do: 'Send one study at a time.',
    };
  }
  return null;
}

export function megabytes(bytes: number): string {
  const mega = bytes / 1e6;
  return `${mega < 10 ? mega.toFixed(1) : Math.round(mega).toLocaleString('en')} MB`;
}

const isZip = ({ name }: File): boolean => name.toLowerCase().endsWith('.zip');

/** One file goes as it is, the server tells what it is; names are not sent. */
export function studyForm(files: readonly File[]): FormData {
  const form = new FormData();
  const [only] = files;
  if (files.length === 1 && only && isZip(only)) form.append('file', only, 'study.zip');
  else files.forEach((file, index) => form.append('files', file, `${index + 1}.dcm`));
  return form;
}

export function sendStudy(files: readonly File[], onProgress: (share: number) => void): Sending {
  let cancelled = false;
  let request: XMLHttpRequest | null = null;
  const send = (): Promise<string> =>
    new Promise((resolve, reject) => {
      if (cancelled) {
        reject(new DOMException('cancelled', 'AbortError'));
        return;
      }
      request = new XMLHttpRequest(); // fetch tells no upload progress
      request.open('POST', '/api/studies');
      request.setRequestHeader('X-CSRF-Token', csrfToken());
      request.responseType = 'json';
      request.upload.onprogress = ({ loaded, total }) => onProgress(total > 0 ? loaded / total : 0);
      request.onload = function (this: XMLHttpRequest) {
        const body = this.response as { id?: string } | null;
        if (this.status === 202 && typeof body?.id === 'string') {
          resolve(body.id);
          return;
        }
        if (this.status === 401) window.location.assign('/login');
        reject(refusalOf(this.status, body));
      };
      request.onerror = () => {
        connection.lost();
        reject(new Unreachable());
      };
      request.onabort = () => reject(new DOMException('cancelled', 'AbortError'));
      request.send(studyForm(files));
    });
  const id = send().catch(async (error: unknown) => {
    if (!(error instanceof Refusal) || error.status !== 403) throw error;
    await getSession();
    return send();
  });
  return {
    id,
    cancel: () => {
      cancelled = true;
      request?.abort();
    },
  };
}

/** The files in what was dropped, folders opened. To be called in the drop event itself: the list is emptied after it. */
export async function droppedFiles(transfer: DataTransfer): Promise<File[]> {
  const entries = [...transfer.items].flatMap((item) => {
    const entry = item.kind === 'file' ? item.webkitGetAsEntry() : null;
    return entry ? [entry] : [];
  });
  const files = entries.length > 0 ? (await Promise.all(entries.map(filesIn))).flat() : [...transfer.files];
  return files.filter(({ name }) => !name.startsWith('.'));
}

async function filesIn(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isFile) {
    return [await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const files: File[] = [];
  for (;;) {
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (batch.length === 0) return files; // a reader gives at most 100 entries at a time
    for (const inner of batch) files.push(...(await filesIn(inner)));
  }
}
