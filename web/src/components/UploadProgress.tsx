import { megabytes } from '../upload.ts';
import { Steps } from './Steps.tsx';

interface Props {
  files: readonly File[];
  share: number;
  onCancel: () => void;
}

export function UploadProgress({ files, share, onCancel }: Props) {
  const bytes = files.reduce((sum, { size }) => sum + size, 0);
  const words =
    share < 1 ? `${megabytes(bytes * share)} of ${megabytes(bytes)} sent.` : 'All is sent. The server looks at it.';
  return (
    <Steps current="received" percent={share * 100} words={words}>
      <button type="button" onClick={onCancel}>
        Cancel
      </button>
    </Steps>
  );
}
