//! The types of what crosses the border, for TypeScript: those that the page has of the Rust types.

use wasm_bindgen::prelude::*;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
import type {
    AdapterFile, BaseDtype, DataSummary, DeviceChoice, DeviceReport, Evaluation, ExportRequest, GenerateReport,
    GenerateRequest, Manifest, Measured, MemoryReport, Message, ModelFile, ModelReport, Neighbour, OpTime, Plan,
    PredictRequest, Predictions, ProbeSummary, Recipe, StepReport, Sweep, SweepPlan, Workload, Worth, WorthRequest,
} from "../www/src/engine/types.js";

export type OnProgress = (done_bytes: number, total_bytes: number) => void;

/** Gets a piece of the answer; whether to go on. */
export type OnText = (delta: string) => Promise<boolean>;

/** Gets how many answers of how many there are; whether to go on. */
export type OnAnswers = (done: number, total: number) => Promise<boolean>;

/** Asked before each token that a run samples. */
export type GoOn = () => Promise<boolean>;

/** What sampled answers are worth, a number each; rejected when nobody rates any more. */
export type Rate = (prompt: Message[], answers: string[]) => Promise<number[]>;
"#;
