use super::{error, read_recipe, to_js};
use crate::error::Error;
use crate::sweep::{Measured, Sweep, SweepPlan};
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;

/// The runs of a sweep and how far each is trained.
///
/// # Errors
/// A `LoraletError` that names the setting.
#[wasm_bindgen(unchecked_return_type = "SweepPlan")]
pub fn plan_sweep(
    #[wasm_bindgen(unchecked_param_type = "Recipe")] recipe: JsValue,
    #[wasm_bindgen(unchecked_param_type = "Sweep")] sweep: JsValue,
) -> Result<JsValue, JsValue> {
    let sweep: Sweep = read(sweep)?;
    to_js(&SweepPlan::new(&read_recipe(recipe)?, &sweep).map_err(error::to_js)?)
}

/// Seconds that a plan takes, by what was measured of its runs.
#[wasm_bindgen]
pub fn sweep_seconds(
    #[wasm_bindgen(unchecked_param_type = "SweepPlan")] plan: JsValue,
    #[wasm_bindgen(unchecked_param_type = "Measured[]")] measured: JsValue,
) -> Result<f64, JsValue> {
    let (plan, measured): (SweepPlan, Vec<Measured>) = (read(plan)?, read(measured)?);
    Ok(plan.seconds(&measured))
}

/// The places of the runs that go on after a rung, best first; a loss is null where there is none.
#[wasm_bindgen]
pub fn sweep_survivors(
    #[wasm_bindgen(unchecked_param_type = "SweepPlan")] plan: JsValue,
    rung: usize,
    #[wasm_bindgen(unchecked_param_type = "(number | null)[]")] losses: JsValue,
) -> Result<Vec<usize>, JsValue> {
    let (plan, losses): (SweepPlan, Vec<Option<f64>>) = (read(plan)?, read(losses)?);
    Ok(plan.survivors(rung, &losses))
}

fn read<T: DeserializeOwned>(value: JsValue) -> Result<T, JsValue> {
    serde_wasm_bindgen::from_value(value).map_err(|error| {
        error::to_js(Error::InvalidRecipe { reason: format!("the sweep cannot be read ({error})") })
    })
}
