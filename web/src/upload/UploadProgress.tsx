import { ProgressSteps } from '../shared/ProgressSteps.tsx';
import { megabytes } from './upload.ts';

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
    <ProgressSteps current="received" percent={share * 100} words={words}>
      <button type="button" onClick={onCancel}>
        Cancel
      </button>
    </ProgressSteps>
  );
}
