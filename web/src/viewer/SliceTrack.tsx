import { useRef } from 'react';

interface Props {
  at: number;
  last: number;
  onGo: (frame: number) => void;
}

/** Where the slice lies in its stack; dragged like a scroll bar. The view itself is the slider for keys and readers. */
export function SliceTrack({ at, last, onGo }: Props) {
  const track = useRef<HTMLDivElement>(null);
  if (last < 1) return null;
  const goTo = (clientY: number): void => {
    if (track.current === null) return;
    const { top, height } = track.current.getBoundingClientRect();
    onGo(Math.round(((clientY - top) / height) * last));
  };
  return (
    <div
      ref={track}
      className="slice-track"
      aria-hidden="true"
      onPointerDown={(event) => {
        event.stopPropagation();
        event.currentTarget.setPointerCapture(event.pointerId);
        goTo(event.clientY);
      }}
      onPointerMove={(event) => {
        event.stopPropagation();
        if (event.currentTarget.hasPointerCapture(event.pointerId)) goTo(event.clientY);
      }}
    >
      <span className="thumb" style={{ top: `${(at / last) * 100}%` }} />
    </div>
  );
}
