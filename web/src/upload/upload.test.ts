import { describe, expect, it } from 'vitest';

import { checkFiles, studyForm } from './upload.ts';

const LIMITS = { max_bytes: 1000, max_files: 3 };
const file = (name: string, bytes = 10): File => new File([new Uint8Array(bytes)], name);

describe('what is told before anything is sent', () => {
  it.each([
    ['nothing', [], 'There is no file'],
    ['empty files', [file('a.dcm', 0)], 'There is no file'],
    ['too many bytes', [file('a.zip', 1001)], 'at most 0.0 MB'],
    ['too many files', ['a', 'b', 'c', 'd'].map((name) => file(name)), '4 files'],
  ])('%s', (_, files, words) => {
    expect(checkFiles(files, LIMITS)?.what).toContain(words);
  });

  it('nothing where all is well', () => {
    expect(checkFiles([file('a.dcm'), file('b.dcm')], LIMITS)).toBeNull();
    expect(checkFiles([file('a.zip'), file('b.dcm')], LIMITS)).toBeNull();
  });
});

describe('what is sent', () => {
  it('is a zip as one part, under a name that tells nothing', () => {
    const form = studyForm([file('Smith_John.ZIP')]);
    expect((form.get('file') as File).name).toBe('study.zip');
    expect(form.getAll('files')).toEqual([]);
  });

  it('is every loose file, without its name', () => {
    const names = studyForm([file('Smith.dcm'), file('John.dcm')]).getAll('files').map((part) => (part as File).name);
    expect(names).toEqual(['1.dcm', '2.dcm']);
  });
});
