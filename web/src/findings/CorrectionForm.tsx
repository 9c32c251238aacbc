import { useId, useState } from 'react';

import type { Cell, CorrectionRequest, Problem, Task } from '../api/types.ts';
import { ErrorCard } from '../shared/ErrorCard.tsx';
import { severityClass, severityOf } from '../shared/grades.ts';
import { GradeMark } from './GradeMark.tsx';

/** What a reader has chosen but not saved; grade null: cannot be graded. */
export interface Draft {
  grade: string | null;
  comment: string;
}

interface Props {
  cell: Cell;
  task: Task;
  draft: Draft | null;
  onDraft: (draft: Draft | null) => void;
  onCorrect: (correction: CorrectionRequest) => Promise<Problem | null>;
}

const LONGEST_COMMENT = 500;

/** The reader's own grade, kept beside the model's, never instead of it. */
export function CorrectionForm({ cell, task, draft, onDraft, onCorrect }: Props) {
  const id = useId();
  const [saving, setSaving] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const choices = [...task.grades, null];

  const save = async (): Promise<void> => {
    if (draft === null) return;
    setSaving(true);
    const { condition, level } = cell;
    const refused = await onCorrect({ condition, level, grade: draft.grade, comment: draft.comment.trim() || null });
    setSaving(false);
    setProblem(refused);
    if (refused === null) onDraft(null);
  };

  return (
    <form
      className="correction"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <div className="yours" role="group" aria-labelledby={`${id}-title`}>
        <span id={`${id}-title`}>Your grade</span>
        <div className="choices">
          {choices.map((grade) => {
            const severity = severityOf(task, grade);
            return (
              <label key={grade} className={severityClass(severity)}>
                <input
                  type="radio"
                  name={id}
                  checked={draft !== null && draft.grade === grade}
                  onChange={() => onDraft({ grade, comment: draft?.comment ?? '' })}
                />
                <span>
                  <GradeMark severity={severity} />
                  {grade ?? 'Not gradable'}
                </span>
              </label>
            );
          })}
        </div>
      </div>
      {draft !== null && (
        <div className="comment">
          <input
            type="text"
            aria-label="Comment, if you like"
            placeholder="Comment, if you like; no patient data"
            maxLength={LONGEST_COMMENT}
            value={draft.comment}
            onChange={({ target }) => onDraft({ ...draft, comment: target.value })}
          />
          <button type="submit" className="primary" disabled={saving}>
            Save
          </button>
          <button
            type="button"
            className="quiet"
            onClick={() => {
              onDraft(null);
              setProblem(null);
            }}
          >
            Cancel
          </button>
        </div>
      )}
      {problem !== null && <ErrorCard problem={problem} />}
    </form>
  );
}
