/**
 * What the page and the trainer tell each other.
 *
 * All of it is written by `cargo test` from the Rust types; what only a browser has, files, is here.
 * Lengths are in tokens, sizes in bytes, times in seconds.
 */
export type { Answer as GenerateReport } from './generated/Answer.js';
export type { AskedRow } from './generated/AskedRow.js';
export type { Change } from './generated/Change.js';
export type { ClassificationMetrics } from './generated/ClassificationMetrics.js';
export type { DataReport } from './generated/DataReport.js';
export type { DataShape } from './generated/DataShape.js';
export type { DataSummary } from './generated/DataSummary.js';
export type { BaseDtype } from './generated/BaseDtype.js';
export type { DeviceChoice } from './generated/DeviceChoice.js';
export type { DeviceReport } from './generated/DeviceReport.js';
export type { Evaluation } from './generated/Evaluation.js';
export type { ExportDtype } from './generated/ExportDtype.js';
export type { ExportFormat } from './generated/ExportFormat.js';
export type { ExportRequest } from './generated/ExportRequest.js';
export type { Finding } from './generated/Finding.js';
export type { Fix } from './generated/Fix.js';
export type { GenerateRequest } from './generated/GenerateRequest.js';
export type { LabelProbability } from './generated/LabelProbability.js';
export type { Manifest } from './generated/Manifest.js';
export type { Message } from './generated/Message.js';
export type { Measured } from './generated/Measured.js';
export type { MemoryReport } from './generated/MemoryReport.js';
export type { ModelReport } from './generated/ModelReport.js';
export type { Neighbour } from './generated/Neighbour.js';
export type { Objective } from './generated/Objective.js';
export type { OpTime } from './generated/OpTime.js';
export type { Plan } from './generated/Plan.js';
export type { PredictRequest } from './generated/PredictRequest.js';
export type { Predictions } from './generated/Predictions.js';
export type { PreviewPiece } from './generated/PreviewPiece.js';
export type { PreviewRow } from './generated/PreviewRow.js';
export type { ProbeSummary } from './generated/ProbeSummary.js';
export type { Recipe } from './generated/Recipe.js';
export type { Statement } from './generated/Statement.js';
export type { StepReport } from './generated/StepReport.js';
export type { Strategy } from './generated/Strategy.js';
export type { Sweep } from './generated/Sweep.js';
export type { SweepPlan } from './generated/SweepPlan.js';
export type { SweptSetting } from './generated/SweptSetting.js';
export type { TokenProbability } from './generated/TokenProbability.js';
export type { Way } from './generated/Way.js';
export type { WayWorth } from './generated/WayWorth.js';
export type { Workload } from './generated/Workload.js';
export type { Worth } from './generated/Worth.js';
export type { WorthFigure } from './generated/WorthFigure.js';
export type { WorthRequest } from './generated/WorthRequest.js';

/** One file of a model, on disk or in storage, not in memory. */
export interface ModelFile {
  name: string;
  blob: Blob;
}

/** One file of an adapter. */
export interface AdapterFile {
  name: string;
  bytes: Uint8Array;
}
