/** The page's names for what the server sends and takes; `openapi.d.ts` is generated from the server's own schemas. */

import type { components } from './openapi.d.ts';

type Schemas = components['schemas'];

export type Cell = Schemas['Cell'];
export type Choices = Schemas['Choices'];
export type Condition = Schemas['ConditionInfo'];
export type Correction = Schemas['Correction'];
export type CorrectionRequest = Schemas['CorrectionRequest'];
export type Heat = Schemas['Heat'];
export type ModelFacts = Schemas['ModelPage'];
export type Place = Schemas['Place'];
export type Problem = Schemas['Problem'];
export type Series = Schemas['Series'];
export type SeriesRow = Schemas['SeriesRow'];
export type Session = Schemas['Session'];
export type SliceGeometry = Schemas['SliceGeometry'];
export type Study = Schemas['StudyAnswer'];
export type StudyChoice = Schemas['StudyChoice'];
export type StudyEvent = Schemas['Event'];
export type Task = Schemas['TaskInfo'];
export type TrainedOn = Schemas['TrainedOnStatement'];
export type Window = Schemas['Window'];

export type Plane = Series['plane'];
export type Stage = StudyEvent['stage'];
export type Vector3 = Place['mm'];
export type Weighting = Series['weighting'];
