/** The types of the reading room's HTTP API, as its OpenAPI document tells them. */

export type Vector3 = readonly [number, number, number];

/** What goes wrong, in two plain sentences. */
export interface Problem {
  what: string;
  do: string;
}

export interface ServedModel {
  name: string;
  version: string;
  alias: string | null;
  run_id: string | null;
}

/** On what a model was trained, and how well it finds Severe, in words that are to be shown as they are. */
export interface TrainedOn {
  sentence: string;
  /** Recall of Severe, and the baseline beside the accuracy; null if they are not recorded. */
  performance: string | null;
  synthetic: boolean | null;
  dataset: string | null;
  studies: number | null;
  /** What the sets of possible grades mean. */
  possible_grades?: string | null;
}

export interface Condition {
  name: string;
  title: string;
  /** For the head of a column. */
  short: string;
  side: 'left' | 'right' | null;
}

export interface Grade {
  name: string;
  title: string;
}

export interface Task {
  name: string;
  title: string;
  conditions: readonly Condition[];
  levels: readonly string[];
  level_titles: readonly string[];
  /** From the best to the worst. */
  grades: readonly Grade[];
}

export interface Session {
  csrf_token: string;
  model: ServedModel;
  task: Task;
  /** Words of the strip on every page; null once the organisation has removed them. */
  research_strip: string | null;
  limits: { max_bytes: number; max_files: number };
  /** Whether the model server answers. */
  ready: boolean;
}

export type Stage = 'received' | 'checking' | 'reading' | 'grading' | 'done' | 'failed';

export interface StudyEvent {
  stage: Stage;
  percent: number;
  words: string;
  error?: Problem | null;
}

export interface Sentence {
  level: string;
  text: string;
}

/** Where the model looked; x and y in pixels of slice `slice` (from 0), mm in DICOM's patient coordinates. */
export interface Place {
  series_id: string;
  slice: number;
  x: number;
  y: number;
  mm: Vector3;
  /** 0 to 1; null if the place came with the study. */
  confidence: number | null;
}

/** What a reader thinks instead; grade null: the cell cannot be graded. */
export interface Correction {
  condition: string;
  level: string;
  grade: string | null;
  model_grade: string | null;
  comment?: string | null;
  at: string;
  by: string;
}

export interface CorrectionRequest {
  condition: string;
  level: string;
  grade: string | null;
  comment: string | null;
}

export interface Cell {
  condition: string;
  level: string;
  grade: string | null;
  probabilities: Readonly<Record<string, number>> | null;
  possible_grades: readonly string[];
  /** Why there is no grade. */
  reason: string | null;
  correction: Correction | null;
  place: Place | null;
  /** Whether the model is not confident enough of the place; the server knows the threshold. */
  place_uncertain?: boolean;
}

/** Grey scale in the values of the slices as sent. */
export interface Window {
  center: number;
  width: number;
}

/** The pixel at column x, row y lies at origin + x * column spacing * row_dir + y * row spacing * column_dir. */
export interface SliceGeometry {
  origin_mm: Vector3;
  row_dir: Vector3;
  column_dir: Vector3;
}

export type Plane = 'sagittal' | 'axial' | 'coronal' | 'other';
export type Weighting = 'T1' | 'T2' | 'STIR' | 'other';

/** A series of slices of one shape, parallel or in blocks at angles; they run toward the patient's left (sagittal), head (axial), back (coronal). */
export interface Series {
  id: string;
  title: string;
  plane: Plane;
  weighting: Weighting;
  rows: number;
  columns: number;
  slices: number;
  window: Window;
  /** Distance between rows, then between columns. */
  pixel_mm: readonly [number, number];
  /** False where DICOM told no position. */
  geometry_known?: boolean;
  geometry: readonly SliceGeometry[];
}

export interface Identifiers {
  patient_name: string;
  patient_id: string;
  birth_date: string;
  study_date: string;
  accession_number: string;
}

export interface Study {
  id: string;
  request_id: string;
  model: ServedModel;
  trained_on?: TrainedOn | null;
  graded_at: string;
  flags: readonly string[];
  study_hash: string;
  sentences: readonly Sentence[];
  cells: readonly Cell[];
  series: readonly Series[];
  identifiers?: Identifiers | null;
  report: { pdf: string; sr: string; json: string; csv: string };
}

/** What spoke for a grade: a grey PNG (base64) whose centre lies at x, y of a slice, turned as the slice is. */
export interface Heat {
  series_id: string;
  slice: number;
  x: number;
  y: number;
  side_mm: number;
  png: string;
  words: string;
}

/** Scores: lower is better; the intervals are 95 %. */
export interface ModelFacts extends ServedModel {
  registered_at: string | null;
  trained_on?: TrainedOn | null;
  score_on?: 'holdout' | 'cross-validation' | null;
  score: number | null;
  score_interval: readonly [number, number] | null;
  prior: number | null;
  accuracy: number | null;
  accuracy_majority: number | null;
  severe_auc?: number | null;
  calibration_error?: number | null;
  holdout_score?: number | null;
  holdout_accuracy?: number | null;
  studies?: number | null;
  cells?: number | null;
  card_html: string | null;
  lineage_html: string | null;
}
